"""Made-up secrets of many kinds, each in every carrier it may turn up in.

Nothing here is a secret or looks like one until it is put together: bodies are drawn at run time, prefixes are broken up.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
BASE64 = ALNUM + "+/"


@dataclass(frozen=True)
class Plant:
    """A text with secrets in it, none of which may be left when it was redacted."""

    kind: str
    carrier: str
    text: str
    secrets: tuple[str, ...]

    def leaks(self, shown: str) -> bool:
        """Whether a piece of a secret that would narrow a guess is left."""
        return any(piece in shown for secret in self.secrets for piece in _pieces(secret))


def _pieces(secret: str) -> Iterator[str]:
    size = min(len(secret), max(6, len(secret) // 3))
    yield from (secret[at : at + size] for at in range(0, len(secret) - size + 1))


@dataclass
class Draw:
    """Characters by chance, the same in every run."""

    chance: random.Random = field(default_factory=lambda: random.Random(20))

    def __call__(self, length: int, alphabet: str = ALNUM) -> str:
        # a digit, an upper- and a lower-case letter where the alphabet has them: a token without is as good as never drawn
        while True:
            drawn = "".join(self.chance.choice(alphabet) for _ in range(length))
            wanted = (set(string.digits), set(string.ascii_uppercase), set(string.ascii_lowercase))
            if length < 8 or all(not some & set(alphabet) or some & set(drawn) for some in wanted):
                return drawn

    def uuid(self) -> str:
        return "-".join(self(length, HEX) for length in (8, 4, 4, 4, 12))


Made = Callable[[Draw], str]


def _prefixed(prefix: str, length: int, alphabet: str = ALNUM, end: str = "") -> Made:
    return lambda draw: prefix + draw(length, alphabet) + end


def _jwt(draw: Draw) -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": draw(6)}).encode()).decode().rstrip("=")
    return f"{head}.{draw(60, URLSAFE)}.{draw(43, URLSAFE)}"


# Known by their shape wherever they stand. Prefixes are in two parts, so that no scanner takes this file for a leak.
SHAPED: dict[str, Made] = {
    "Adafruit": _prefixed("aio" + "_", 28),
    "age": _prefixed("AGE-SECRET" + "-KEY-1", 58, UPPER),
    "Airtable": lambda draw: f"pat{draw(14)}.{draw(64, HEX)}",
    "Alibaba access key": _prefixed("LT" + "AI", 20),
    "Anthropic": _prefixed("sk-" + "ant-api03-", 93, URLSAFE),
    "Artifactory": _prefixed("AK" + "Cp", 69),
    "Atlassian": _prefixed("ATA" + "TT3", 180, URLSAFE),
    "AWS access key": _prefixed("AK" + "IA", 16, UPPER),
    "AWS temporary access key": _prefixed("AS" + "IA", 16, UPPER),
    "Azure client secret": lambda draw: f"{draw(3)}8" + f"Q~{draw(34, URLSAFE)}",
    "Azure storage key": lambda draw: "AccountKey" + f"={draw(86, BASE64)}==",
    "Bitbucket app password": _prefixed("AT" + "BB", 32),
    "Buildkite": _prefixed("bk" + "ua_", 40, HEX),
    "CircleCI": lambda draw: "CCI" + f"PAT_{draw(22)}_{draw(40, HEX)}",
    "Cloudflare origin key": lambda draw: "v1" + f".0-{draw(24, HEX)}-{draw(146, HEX)}",
    "Databricks": _prefixed("da" + "pi", 32, HEX),
    "dbt Cloud": _prefixed("db" + "tu_", 40, URLSAFE),
    "DigitalOcean": _prefixed("dop" + "_v1_", 64, HEX),
    "Discord bot": lambda draw: f"M{draw(23)}.{draw(6)}.{draw(27, URLSAFE)}",
    "Discord webhook": lambda draw: f"https://discord.com/api/webhooks/{draw(18, string.digits)}/{draw(68, URLSAFE)}",
    "Docker Hub": _prefixed("dckr" + "_pat_", 27, URLSAFE),
    "Doppler": _prefixed("dp" + ".pt.", 43),
    "Dynatrace": lambda draw: "dt0" + f"c01.{draw(24, UPPER)}.{draw(64, UPPER)}",
    "Fernet token": _prefixed("gAAA" + "AAB", 113, URLSAFE, "="),
    "Figma": _prefixed("fi" + "gd_", 40, URLSAFE),
    "GitHub": _prefixed("gh" + "p_", 36),
    "GitHub App": _prefixed("gh" + "s_", 36),
    "GitHub fine-grained": lambda draw: "github" + f"_pat_{draw(22)}_{draw(59)}",
    "GitLab": _prefixed("gl" + "pat-", 20, URLSAFE),
    "GitLab runner": _prefixed("gl" + "rt-", 20, URLSAFE),
    "Google API key": _prefixed("AI" + "za", 35, URLSAFE),
    "Google client secret": _prefixed("GOC" + "SPX-", 28, URLSAFE),
    "Google OAuth": _prefixed("ya" + "29.", 120, URLSAFE),
    "Google refresh token": _prefixed("1/" + "/0", 60, URLSAFE),
    "Grafana": lambda draw: "gl" + f"sa_{draw(32)}_{draw(8, HEX)}",
    "Groq": _prefixed("gs" + "k_", 52),
    "Heroku": _prefixed("HRK" + "U-AA", 58, URLSAFE),
    "HubSpot": lambda draw: "pat" + f"-na1-{draw.uuid()}",
    "Hugging Face": _prefixed("h" + "f_", 34),
    "JWT": _jwt,
    "LangSmith": lambda draw: "lsv2" + f"_pt_{draw(32, HEX)}_{draw(10, HEX)}",
    "Linear": _prefixed("lin" + "_api_", 40),
    "Mailchimp": _prefixed("", 32, HEX, "-" + "us21"),
    "Mailgun": _prefixed("ke" + "y-", 32, HEX),
    "Mapbox": lambda draw: "sk" + f".eyJ{draw(60)}.{draw(22)}",
    "Netlify": _prefixed("nf" + "p_", 36),
    "New Relic": _prefixed("NR" + "AK-", 27, UPPER),
    "Notion": _prefixed("nt" + "n_", 46),
    "npm": _prefixed("np" + "m_", 36),
    "NuGet": _prefixed("oy" + "2", 43, LOWER),
    "Okta SSWS": lambda draw: "SS" + f"WS 00{draw(40, URLSAFE)}",
    "1Password": lambda draw: "ops" + f"_eyJ{draw(250)}",
    "OpenAI": _prefixed("sk-" + "proj-", 120, URLSAFE),
    "OpenAI, older": _prefixed("s" + "k-", 48),
    "OpenRouter": _prefixed("sk-" + "or-v1-", 64, HEX),
    "Perplexity": _prefixed("pp" + "lx-", 48),
    "Pinecone": lambda draw: "pc" + f"sk_{draw(6)}_{draw(60)}",
    "Plaid": lambda draw: "access" + f"-production-{draw.uuid()}",
    "PlanetScale": _prefixed("psc" + "ale_tkn_", 43, URLSAFE),
    "Postman": lambda draw: "PM" + f"AK-{draw(24, HEX)}-{draw(34, HEX)}",
    "Prefect": _prefixed("pn" + "u_", 36),
    "Pulumi": _prefixed("pu" + "l-", 40, HEX),
    "PyPI": _prefixed("py" + "pi-AgEIcHlwaS5vcmc", 150, URLSAFE),
    "Replicate": _prefixed("r" + "8_", 37),
    "RubyGems": _prefixed("ruby" + "gems_", 48, HEX),
    "SendGrid": lambda draw: "S" + f"G.{draw(22, URLSAFE)}.{draw(43, URLSAFE)}",
    "Sendinblue": lambda draw: "xkey" + f"sib-{draw(64, HEX)}-{draw(16)}",
    "Sentry": _prefixed("snt" + "rys_eyJ", 150),
    "Shopify": _prefixed("sh" + "pat_", 32, HEX),
    "Slack app": lambda draw: "xa" + f"pp-1-A{draw(10, UPPER)}-{draw(13, string.digits)}-{draw(64, HEX)}",
    "Slack bot": lambda draw: "xo" + f"xb-{draw(12, string.digits)}-{draw(12, string.digits)}-{draw(24)}",
    "Slack webhook": lambda draw: f"https://hooks.slack.com/services/T{draw(8, UPPER)}/B{draw(8, UPPER)}/{draw(24)}",
    "Snowflake session": lambda draw: f"ver:1-hint:{draw(10, string.digits)}-ETMsDg{draw(120, BASE64)}",
    "SonarQube": _prefixed("sq" + "p_", 40, HEX),
    "Square": _prefixed("sq0" + "csp-", 43, URLSAFE),
    "Stripe": _prefixed("sk" + "_live_", 24),
    "Stripe webhook": _prefixed("wh" + "sec_", 32),
    "Supabase": _prefixed("sb" + "p_", 40, HEX),
    "Tailscale": lambda draw: "ts" + f"key-auth-{draw(12)}-{draw(32)}",
    "Teams webhook": lambda draw: (
        f"https://acme.webhook.office.com/webhookb2/{draw.uuid()}@{draw.uuid()}/IncomingWebhook/{draw(32, HEX)}/{draw.uuid()}"
    ),
    "Telegram": lambda draw: f"{draw(9, string.digits)}:{draw(35, URLSAFE)}",
    "Tencent secret id": _prefixed("AK" + "ID", 32),
    "Terraform Cloud": lambda draw: f"{draw(14)}.atlas" + f"v1.{draw(67)}",
    "Twilio API key": _prefixed("S" + "K", 32, HEX),
    "Typeform": lambda draw: "tf" + f"p_{draw(44, URLSAFE)}",
    "Vault": _prefixed("hv" + "s.", 90, URLSAFE),
    "Vault, older": _prefixed("s" + ".", 24),
    "Yandex Cloud": _prefixed("AQ" + "VN", 36, URLSAFE),
    "Yandex OAuth": _prefixed("y0" + "_", 55, URLSAFE),
}

# Known by their name alone: what stands for a value may be any text.
NAMED: dict[str, tuple[str, Made]] = {
    "Airbyte client secret": ("AIRBYTE_CLIENT_SECRET", lambda draw: draw(32)),
    "Auth0 client secret": ("auth0_client_secret", lambda draw: draw(64, URLSAFE)),
    "AWS secret key": ("aws_secret_access_key", lambda draw: draw(40, BASE64)),
    "AWS session token": ("aws_session_token", lambda draw: draw(300, BASE64)),
    "Azure DevOps token": ("AZURE_DEVOPS_EXT_PAT", lambda draw: draw(52, LOWER)),
    "Cloudflare token": ("CLOUDFLARE_API_TOKEN", lambda draw: draw(40, URLSAFE)),
    "Confluent secret": ("confluent_api_secret", lambda draw: draw(64, BASE64)),
    "Datadog key": ("DD_API_KEY", lambda draw: draw(32, HEX)),
    "Fernet key": ("fernet_key", lambda draw: draw(43, URLSAFE) + "="),
    "Fivetran secret": ("fivetran_api_secret", lambda draw: draw(48)),
    "Flask secret key": ("SECRET_KEY", lambda draw: draw(32, HEX)),
    "Linode token": ("linode_token", lambda draw: draw(64, HEX)),
    "Looker secret": ("LOOKERSDK_CLIENT_SECRET", lambda draw: draw(24)),
    "PagerDuty key": ("pagerduty_routing_key", lambda draw: draw(32, HEX)),
    "passphrase": ("private_key_passphrase", lambda draw: draw(14)),
    "password": ("password", lambda draw: draw(12)),
    "password of signs": ("db_password", lambda draw: draw(5) + "!#$" + draw(6) + "^*-+"),
    "Postgres password": ("PGPASSWORD", lambda draw: draw(16)),
    "Snowflake password": ("SNOWFLAKE_PASSWORD", lambda draw: draw(18)),
    "Tencent secret key": ("tencent_secret_key", lambda draw: draw(32)),
    "Twilio auth token": ("TWILIO_AUTH_TOKEN", lambda draw: draw(32, HEX)),
}

Carrier = Callable[[str, str], str]
"""name and value to a text"""

# Where a value may stand. `json.dumps` and `repr` escape as the real writers do.
CARRIERS: dict[str, Carrier] = {
    "key=value": lambda name, value: f"[2026-10-03T04:11:09+0000] INFO - connecting with {name}={value}",
    "key: value": lambda name, value: f"INFO - {name}: {value}",
    "JSON event": lambda name, value: json.dumps({"event": "connect", name: value, "level": "info"}),
    "JSON in JSON": lambda name, value: json.dumps({"event": json.dumps({name: value})}),
    "JSON, pretty": lambda name, value: json.dumps({"a": {name: value}}, indent=2),
    "Python": lambda name, value: f"    {name} = {value!r}",
    "Python, typed": lambda name, value: f"{name}: str = {value!r}",
    "Python, default": lambda name, value: f'{name} = os.environ.get("{name.upper()}", {value!r})',
    "dict": lambda name, value: f"params { ({'user': 'etl', name: value, 'port': 5432})!r}",
    "dict item": lambda name, value: f"conf[{name!r}] = {value!r}",
    "kwargs": lambda name, value: f"Hook(host='db', {name}={value!r}, port=5432)",
    "dataclass": lambda name, value: f"Settings(host='db', {name}={value!r})",
    "tuple": lambda name, value: f"[('host', 'db'), ({name!r}, {value!r})]",
    "traceback": lambda name, value: (
        f'  File "/opt/airflow/dags/load.py", line 12, in load\n    connect({name}={value!r})\nValueError: {name}={value}'
    ),
    "YAML": lambda name, value: f"dwh:\n  {name}: {value}\n  port: 5432",
    "YAML, quoted": lambda name, value: f'dwh:\n  {name}: "{value}"\n',
    "YAML, name and value": lambda name, value: f"env:\n  - name: {name}\n    value: {value}\n",
    "YAML, block": lambda name, value: f"dwh:\n  {name}: |\n    {value}\n  port: 5432",
    "YAML, folded": lambda name, value: f"dwh:\n  {name}: >-\n    {value}\n",
    "env": lambda name, value: f"SHELL=/bin/sh\n{name.upper()}={value}\nLANG=C",
    "export": lambda name, value: f"+ export {name.upper()}='{value}'",
    "INI": lambda name, value: f"[dwh]\n{name} = {value}\n",
    "properties": lambda name, value: f"spring.datasource.{name}={value}",
    "docker -e": lambda name, value: f"docker run --rm -e {name.upper()}={value} image:1",
    "shell flag": lambda name, value: f"$ tool --{name.lower().replace('_', '-')} '{value}' --verbose",
    "shell flag, =": lambda name, value: f"Running command: tool --{name.lower().replace('_', '-')}={value} run",
    "argv": lambda name, value: f"Running {['tool', '--' + name.lower().replace('_', '-'), value, 'run']!r}",
    "header": lambda name, value: f"X-{name.replace('_', '-').title()}: {value}",
    "XML": lambda name, value: f"<property><{name}>{value}</{name}></property>",
    "Hadoop XML": lambda name, value: f"<property><name>fs.{name}</name><value>{value}</value></property>",
    "Terraform": lambda name, value: f'  {name} = "{value}"',
    "CSV row": lambda name, value: f"{name},{value},2026-01-01",
    "tab": lambda name, value: f"{name}\t{value}",
    "table": lambda name, value: f"| {name} | {value} |",
    "SET": lambda name, value: f"SET {name} = '{value}';",
    "prose": lambda name, value: f"tried {name} {value} for user etl.",
    "parentheses": lambda name, value: f"refused {name} ({value}).",
    "SecretStr": lambda name, value: f"Settings({name}=SecretStr({value!r}))",
    "list": lambda name, value: f"{name}s = [{value!r}, 'x']",
    "semicolon": lambda name, value: f"{name};{value}",
    "next line in parentheses": lambda name, value: f"{name} = (\n    {value!r}\n)",
    "unequal": lambda name, value: f"assert {name} != {value!r}",
    "arrow": lambda name, value: f"{name} => '{value}'",
    "words": lambda name, value: f"The {name} is {value!r} now",
    "next line": lambda name, value: f"{name}:\n{value}\n",
    "escaped YAML": lambda name, value: json.dumps({"event": f"dwh:\n  {name}: {value}\n  port: 5432"}),
    "escaped YAML, block": lambda name, value: json.dumps({"event": f"dwh:\n  {name}: |\n    {value}\n  port: 5432"}),
    "triple quotes": lambda name, value: f'{name} = """{value}"""',
    "f-string": lambda name, value: f'log.info(f"{name}={value} host={{host}}")',
    "cut": lambda name, value: json.dumps({"event": "connect", name: value})[:-2],
    "name with a suffix": lambda name, value: f"{name}_prod = {value!r}",
    "Airflow variable": lambda name, value: f"airflow variables set {name} {value}",
    "environment of a container": lambda name, value: repr({"name": name.upper(), "value": value, "value_from": None}),
    "SparkConf": lambda name, value: f"--conf spark.app.{name}={value} --conf spark.x=1",
    "Row": lambda name, value: f"Row(id=1, {name}={value!r})",
    "SQL SET": lambda name, value: f"SET SESSION {name} = '{value}'",
}
# Carriers in which even a value without a name is seen, if its shape gives it away.
PLAIN: dict[str, Carrier] = {
    "log line": lambda _, value: f"[2026-10-03T04:11:09+0000] {{load.py:31}} INFO - using {value} now",
    "quoted": lambda _, value: f"got {value!r}",
    "in brackets": lambda _, value: f"tried [{value}], ({value}), <{value}>; {value}.",
    "argument": lambda _, value: f"client = Client({value!r})",
    "JSON list": lambda _, value: json.dumps(["a", value]),
    "bearer": lambda _, value: f"> authorization: bearer {value}",
    "header dump": lambda _, value: f"send: b'GET / HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer {value}\\r\\n\\r\\n'",
    "query": lambda _, value: f"GET https://api.example.com/v1/items?page=2&access_token={value}&n=1 401",
    "escaped line end": lambda _, value: f"first\\n{value}\\nlast",
    "percent-encoded": lambda _, value: f"q=a%3D{value}%26b",
    "stack of calls": lambda _, value: f"RuntimeError: got {value}: refused",
    "assigned to any name": lambda _, value: f"thing = {value!r}",
    "any name=value": lambda _, value: f"thing={value}",
}


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


Placed = Callable[[Draw], tuple[str, tuple[str, ...]]]
"""a text and the secrets in it"""


def _placed(template: str, *made: Made) -> Placed:
    """`template` with one `{}` for each secret."""

    def place(draw: Draw) -> tuple[str, tuple[str, ...]]:
        secrets = tuple(make(draw) for make in made)
        parts = template.split("{}")
        return "".join(part for pair in zip(parts, (*secrets, ""), strict=True) for part in pair), secrets

    return place


def _basic(template: str) -> Placed:
    def place(draw: Draw) -> tuple[str, tuple[str, ...]]:
        secret = _b64(f"svc_etl:{draw(14)}")
        return template.replace("{}", secret), (secret,)

    return place


def _kube_secret(draw: Draw) -> tuple[str, tuple[str, ...]]:
    first, second = _b64(draw(18)), _b64(draw(40))
    text = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: dwh\ndata:\n  conn: {first}\n  ca.bin: {second}\ntype: Opaque"
    return text, (first, second)


def _kube_secret_json(draw: Draw) -> tuple[str, tuple[str, ...]]:
    secret = _b64(draw(24))
    return json.dumps({"apiVersion": "v1", "data": {"conn": secret}, "kind": "Secret", "metadata": {"name": "dwh"}}), (secret,)


def _key_block(begin: str, end: str, *, lines: int = 6, before: str = "") -> Placed:
    def place(draw: Draw) -> tuple[str, tuple[str, ...]]:
        body = [draw(64, BASE64) for _ in range(lines)]
        return "\n".join(
            [f"-----{begin}-----", *([before] if before else []), *body, draw(20, BASE64) + "==", f"-----{end}-----"]
        ), (*body,)

    return place


def _service_account(draw: Draw) -> tuple[str, tuple[str, ...]]:
    key_id, body = draw(40, HEX), [draw(64, BASE64) for _ in range(5)]
    key = "\n".join(["-----BEGIN " + "PRIVATE KEY-----", *body, "-----END " + "PRIVATE KEY-----", ""])
    account = {"type": "service_account", "project_id": "acme", "private_key_id": key_id, "private_key": key, "client_id": "1"}
    return json.dumps(account, indent=2), (*body,)  # the key's id is no secret


def _putty(draw: Draw) -> tuple[str, tuple[str, ...]]:
    body = [draw(64, BASE64) for _ in range(3)]
    return "\n".join(["PuTTY-User-Key-File-2: ssh-rsa", "Encryption: none", "Private-Lines: 3", *body, "Private-MAC: 0f"]), (
        *body,
    )


PASSWORD: Made = lambda draw: draw(14)  # noqa: E731 - a name for what a table holds
URL_PASSWORD: Made = lambda draw: draw(6) + "%40" + draw(4) + "%2F" + draw(3)  # noqa: E731 - as above
HARD_PASSWORD: Made = lambda draw: draw(5) + "@" + draw(4) + "/" + draw(4) + ":" + draw(3)  # noqa: E731 - as above

# Known by where they stand.
PLACED: dict[str, Placed] = {
    "Airflow connection URI": _placed("AIRFLOW_CONN_DWH='postgres://etl:{}@db.example.com:5432/dwh?sslmode=require'", PASSWORD),
    "Airflow connection JSON": _placed(
        """AIRFLOW_CONN_DWH='{"conn_type": "postgres", "password": "{}", "extra": {"private_key_content": "{}"}}'""",
        PASSWORD,
        lambda draw: draw(60, BASE64),
    ),
    "Airflow connection extra": _placed("aws://:@/?extra__aws__secret_key={}&region_name=eu-west-1", lambda draw: draw(40)),
    "Airflow connection, no password word": _placed(
        "airflow connections add dwh --conn-uri 'mysql://etl:{}@db/dwh' --conn-password {}", PASSWORD, PASSWORD
    ),
    "Airflow connection repr": _placed(
        "Connection(conn_id='dwh', conn_type='postgres', host='db', login='etl', password='{}', port=5432)", PASSWORD
    ),
    "AMQP": _placed("celery broker amqp://guest:{}@rabbit:5672//", PASSWORD),
    "ADO.NET": _placed("Server=tcp:x.database.windows.net,1433;User ID=etl;Password={};Encrypt=True;", PASSWORD),
    "AWS secret beside its id": _placed(
        "Credentials(access='{}', secret='{}')", SHAPED["AWS access key"], lambda draw: draw(40, BASE64)
    ),
    "AWS secret beside its id, bare": _placed("boto {} {} eu-west-1", SHAPED["AWS access key"], lambda draw: draw(40, BASE64)),
    "AWS credentials file": _placed(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}", SHAPED["AWS access key"], lambda draw: draw(40, BASE64)
    ),
    "AWS signed URL": _placed(
        "https://b.s3.amazonaws.com/k?X-Amz-Credential={}%2F20261003%2Feu%2Fs3%2Faws4_request&X-Amz-Signature={}",
        SHAPED["AWS access key"],
        lambda draw: draw(64, HEX),
    ),
    "AWS authorization": _placed(
        "Authorization: AWS4-HMAC-SHA256 Credential={}/20261003/eu/s3/aws4_request, SignedHeaders=host, Signature={}",
        SHAPED["AWS access key"],
        lambda draw: draw(64, HEX),
    ),
    "Azure SAS": _placed(
        "https://x.blob.core.windows.net/c/f?sv=2024-11-04&ss=b&se=2026-12-01&sig={}%3D", lambda draw: draw(43, ALNUM)
    ),
    "Azure SAS connection string": _placed(
        "BlobEndpoint=https://x.blob.core.windows.net;SharedAccessSignature=sv=2024-11-04&sig={}%3D", lambda draw: draw(43)
    ),
    "Azure Service Bus": _placed(
        "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={}=", lambda draw: draw(43, BASE64)
    ),
    "basic authorization": _basic("Authorization: Basic {}"),
    "basic authorization, dict": _basic("headers {'Accept': '*/*', 'Authorization': 'Basic {}'}"),
    "basic authorization, tuple": _placed("requests.get(url, auth=('svc_etl', '{}'))", PASSWORD),
    "basic authorization, object": _placed("auth=HTTPBasicAuth('svc_etl', '{}')", PASSWORD),
    "bearer on the next line": _placed("Authorization: Bearer \\\n  {}", lambda draw: draw(40)),
    "bearer in curl": _placed("curl -sS -H 'Authorization: Bearer {}' https://api.example.com", lambda draw: draw(40)),
    "chpasswd": _placed("echo 'svc_etl:{}' | chpasswd", PASSWORD),
    "cookie": _placed("Cookie: session={}; csrftoken={}", lambda draw: draw(80, URLSAFE), lambda draw: draw(32)),
    "cookie, set": _placed("Set-Cookie: session={}; Path=/; HttpOnly", lambda draw: draw(80, URLSAFE)),
    "cookie, dict": _placed("cookies={'sessionid': '{}'}", lambda draw: draw(32, LOWER)),
    "curl -u": _placed("curl -fsS -u svc_etl:{} https://x.example.com/api", PASSWORD),
    "curl --user": _placed('curl --user "svc_etl:{}" https://x.example.com/api', PASSWORD),
    "Databricks JDBC": _placed(
        "jdbc:databricks://adb.azuredatabricks.net:443/default;transportMode=http;AuthMech=3;UID=token;PWD={}", PASSWORD
    ),
    "dbt profile": _placed("dev:\n  type: snowflake\n  user: etl\n  password: {}\n  role: x", PASSWORD),
    "Docker config": _basic('{"auths": {"ghcr.io": {"auth": "{}"}}}'),
    "docker login": _placed("docker login -u etl -p {} ghcr.io", PASSWORD),
    "git credential": _placed("https://x-access-token:{}@github.com/acme/dags.git", PASSWORD),
    "git credential fill": _placed("protocol=https\nhost=github.com\nusername=etl\npassword={}", PASSWORD),
    "git extraheader": _basic("git -c http.extraheader='AUTHORIZATION: basic {}' fetch"),
    "Google service account": _service_account,
    "Hadoop option": _placed("spark-submit --conf spark.hadoop.fs.s3a.secret.key={} app.py", lambda draw: draw(40)),
    "JDBC query": _placed("jdbc:postgresql://db:5432/dwh?user=etl&password={}&ssl=true", PASSWORD),
    "JDBC semicolons": _placed("jdbc:sqlserver://db:1433;databaseName=dwh;user=etl;password={};encrypt=true", PASSWORD),
    "JDBC Oracle": _placed("jdbc:oracle:thin:etl/{}@//db.example.com:1521/ORCL", PASSWORD),
    "Jenkins": _placed("Using credential svc_etl:{}@jenkins, url http://svc_etl:{}@jenkins:8080/job", PASSWORD, PASSWORD),
    "Kafka JAAS": _placed(
        'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="etl" password="{}";',
        PASSWORD,
    ),
    "keytool": _placed("keytool -list -storepass {} -keypass {}", PASSWORD, PASSWORD),
    "kubeconfig": _placed(
        "users:\n- name: admin\n  user:\n    client-key-data: {}\n    token: {}",
        lambda draw: draw(200, BASE64),
        lambda draw: draw(60),
    ),
    "Kubernetes secret": _kube_secret,
    "Kubernetes secret, JSON": _kube_secret_json,
    "LDAP bind": _placed("ldapsearch -x -D cn=etl,dc=acme -w {} -b dc=acme", PASSWORD),
    "LDAP setting": _placed("bind_dn=cn=etl,dc=acme bind_password={}", PASSWORD),
    "libpq": _placed("host=db port=5432 user=etl password={} dbname=dwh", PASSWORD),
    "libpq, quoted": _placed("host=db user=etl password='{}' dbname=dwh", lambda draw: draw(6) + " " + draw(7)),
    "MongoDB": _placed("mongodb+srv://etl:{}@c0.abcde.mongodb.net/dwh?retryWrites=true", URL_PASSWORD),
    "mysql -p": _placed("mysql -h db -u etl -p{} dwh", PASSWORD),
    "mysql option file": _placed("[client]\nuser=etl\npassword={}", PASSWORD),
    "netrc": _placed("machine api.example.com login etl password {}", PASSWORD),
    "netrc, lines": _placed("machine api.example.com\n  login etl\n  password {}", PASSWORD),
    "npmrc": _placed("//npm.example.com/:_authToken={}", lambda draw: draw.uuid()),
    "OAuth form": _placed("grant_type=client_credentials&client_id=etl&client_secret={}&scope=a", lambda draw: draw(32)),
    "OAuth answer": _placed(
        '{"access_token": "{}", "expires_in": 3600, "refresh_token": "{}", "token_type": "Bearer"}',
        lambda draw: draw(60),
        lambda draw: draw(50),
    ),
    "OAuth code": _placed("GET /callback?code={}&state=x 302", lambda draw: draw(40)),
    "ODBC": _placed("DRIVER={ODBC Driver 18 for SQL Server};SERVER=db;UID=etl;PWD={};Encrypt=yes", PASSWORD),
    "ODBC, braces": _placed("DRIVER={ODBC Driver 18 for SQL Server};UID=etl;PWD={{}};Encrypt=yes", HARD_PASSWORD),
    "ODBC, percent-encoded": _placed("mssql+pyodbc:///?odbc_connect=UID%3Detl%3BPWD%3D{}%3BEncrypt%3Dyes", PASSWORD),
    "OpenSSH key": _key_block("BEGIN OPENSSH " + "PRIVATE KEY", "END OPENSSH " + "PRIVATE KEY"),
    "Oracle": _placed("sqlplus etl/{}@//db.example.com:1521/ORCL", PASSWORD),
    "PGP key": _key_block("BEGIN PGP " + "PRIVATE KEY BLOCK", "END PGP " + "PRIVATE KEY BLOCK", before="Version: GnuPG v2\n"),
    "pgpass": _placed("db.example.com:5432:dwh:etl:{}", PASSWORD),
    "pip index": _placed("pip install --index" + "-url https://etl:{}@pypi.example.com/simple x", PASSWORD),
    "Presto property": _placed("connection-password={}", PASSWORD),
    "PuTTY key": _putty,
    "pypirc": _placed("[pypi]\nusername = __token__\npassword = {}", PASSWORD),
    "RDS token": _placed(
        "db.rds.amazonaws.com:3306/?Action=connect&DBUser=etl&X-Amz-Security-Token={}", lambda draw: draw(80, ALNUM)
    ),
    "Redis": _placed("redis://:{}@redis:6379/0", PASSWORD),
    "Redis CLI": _placed("redis-cli -h redis -a {} ping", PASSWORD),
    "Redis AUTH": _placed('"AUTH" "default" "{}"', PASSWORD),
    "Redshift COPY": _placed(
        "COPY t FROM 's3://b/k' CREDENTIALS 'aws_access_key_id={};aws_secret_access_key={}'",
        SHAPED["AWS access key"],
        lambda draw: draw(40, BASE64),
    ),
    "RSA key": _key_block("BEGIN RSA " + "PRIVATE KEY", "END RSA " + "PRIVATE KEY"),
    "SMTP URL": _placed("smtp://etl%40acme.com:{}@smtp.acme.com:587", URL_PASSWORD),
    "SMTP login": _placed("smtp.login('etl@acme.com', '{}')", PASSWORD),
    "SMTP debug": lambda draw: (lambda secret: (f"send: 'AUTH PLAIN {secret}\\r\\n'", (secret,)))(_b64(f"\0etl\0{draw(14)}")),
    "Sentry DSN": _placed("https://{}@o1.ingest.sentry.io/42", lambda draw: draw(32, HEX)),
    "Sentry DSN, own host": _placed("SENTRY_DSN=https://{}@errors.example.com/42", lambda draw: draw(32, HEX)),
    "Snowflake COPY": _placed(
        "CREATE STAGE s CREDENTIALS=(AWS_KEY_ID='{}' AWS_SECRET_KEY='{}')",
        SHAPED["AWS access key"],
        lambda draw: draw(40, BASE64),
    ),
    "Snowflake header": _placed('Authorization: Snowflake Token="{}"', lambda draw: draw(100, BASE64)),
    "Snowflake URL": _placed("snowflake://etl:{}@acme-eu/dwh/public?warehouse=x", PASSWORD),
    "Splunk HEC": _placed("Authorization: Splunk {}", lambda draw: draw.uuid()),
    "SQL user": _placed("CREATE USER etl WITH PASSWORD '{}' VALID UNTIL 'infinity'", PASSWORD),
    "SQL user, MySQL": _placed("ALTER USER 'etl'@'%' IDENTIFIED BY '{}'", PASSWORD),
    "SQLAlchemy": _placed("create_engine('postgresql+psycopg2://etl:{}@db:5432/dwh')", PASSWORD),
    "sshpass": _placed("sshpass -p {} ssh etl@host", PASSWORD),
    "sudo": _placed("echo {} | sudo -S systemctl restart x", PASSWORD),
    "Teams workflow": _placed(
        "https://prod-1.westeurope.logic.azure.com:443/workflows/1f/triggers/manual/paths/invoke?sp=x&sig={}",
        lambda draw: draw(43),
    ),
    "token in a path": _placed("https://api.telegram.org/bot{}/sendMessage", SHAPED["Telegram"]),
    "Trino CLI": _placed("TRINO_PASSWORD={} trino --server https://x --user etl --password", PASSWORD),
    "URL password with signs": _placed("postgresql://etl:{}@db:5432/dwh", HARD_PASSWORD),
    "URL password in JSON": _placed('{"url": "https://etl:{}@x.example.com/a", "n": 1}', PASSWORD),
    "useradd": _placed("useradd -m -p '{}' etl", lambda draw: "$6$" + draw(8) + "$" + draw(86)),
    "Vault login": _placed("vault login {}", lambda draw: "s" + f".{draw(24)}"),
    "Vault answer": _placed("Key                Value\n---                -----\ntoken              {}", SHAPED["Vault"]),
    "WinRM": _placed("net use X: \\\\srv\\share {} /user:etl", PASSWORD),
    "wget": _placed("wget --http-user=etl --http-password={} https://x", PASSWORD),
    "XML-RPC": _placed("<member><name>password</name><value><string>{}</string></value></member>", PASSWORD),
    "Yandex IAM": _placed("Authorization: Bearer t1.{}", lambda draw: draw(90, URLSAFE)),
}

OUTER: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "log": lambda text: f"[2026-10-03T04:11:09.001+0000] {{subprocess.py:93}} INFO - {text}",
    "event": lambda text: json.dumps({"timestamp": "2026-10-03T04:11:09Z", "event": text, "level": "info"}),
    "repr": lambda text: f"ValueError: bad input {text!r}",
    "dict": lambda text: repr({"n": 1, "command": text}),
    "code": lambda text: f'    text = """{text}"""',
    "diff": lambda text: "\n".join(f"+{line}" for line in text.split("\n")),
    "every line stamped": lambda text: "\n".join(
        f"[2026-10-03T04:11:09.001+0000] {{subprocess.py:93}} INFO - {line}" for line in text.split("\n")
    ),
    "every line numbered": lambda text: "\n".join(f"L{number}\t{line}" for number, line in enumerate(text.split("\n"), 7)),
    "stdout": lambda text: "\n".join(f"2026-10-03T04:11:09.001Z INFO - {line}" for line in text.split("\n")),
    "indented": lambda text: "\n".join(f"    {line}" for line in text.split("\n")),
}


def plants(draw: Draw) -> Iterator[Plant]:
    """Every kind in every carrier that can hold it."""
    for kind, make in SHAPED.items():
        for name, carry in PLAIN.items():
            secret = make(draw)
            yield Plant(kind, name, carry("", secret), (_bare(secret),))
    for kind, (label, make) in NAMED.items():
        for name, carry in CARRIERS.items():
            secret = make(draw)
            yield Plant(kind, name, carry(label, secret), (secret,))
    for kind, place in PLACED.items():
        for name, wrap in OUTER.items():
            text, secrets = place(draw)
            yield Plant(kind, name, wrap(text), secrets)


def _bare(secret: str) -> str:
    """Without the prefix that names the vendor: `https://discord.com/api/webhooks/…` may stay, what follows may not."""
    return secret[len(secret) // 3 :]
