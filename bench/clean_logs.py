"""Task logs without a secret, made to look as much like one as real logs do: ids, hashes, keys, code and words about tokens."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable, Iterator

_HEX = "0123456789abcdef"
_ALNUM = string.ascii_letters + string.digits
_TABLES = (
    "orders",
    "customers",
    "payments",
    "refunds",
    "sessions",
    "api_keys",
    "auth_tokens",
    "password_resets",
    "secrets_audit",
)
_COLUMNS = ("id", "token_count", "password_hash", "api_key_id", "secret_version", "updated_at", "key", "auth_method")
_MODULES = ("load", "extract", "transform", "auth", "tokens", "secrets_backend", "session_keys")


class _Words:
    """What a template fills its gaps with."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def of(self, alphabet: str, length: int) -> str:
        return "".join(self._chance.choices(alphabet, k=length))

    def hex(self, length: int) -> str:
        return self.of(_HEX, length)

    def uuid(self) -> str:
        return "-".join(self.hex(length) for length in (8, 4, 4, 4, 12))

    def number(self, high: int = 1_000_000) -> int:
        return self._chance.randrange(high)

    def one(self, words: tuple[str, ...]) -> str:
        return self._chance.choice(words)

    def ulid(self) -> str:
        return "01J" + self.of("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 23)

    def base64(self, length: int) -> str:
        return base64.b64encode(self._chance.randbytes(length)).decode()

    def fingerprint(self) -> str:
        return ":".join(self.hex(2).upper() for _ in range(20))


_LINES: tuple[str | Callable[[_Words], str], ...] = (
    lambda w: f"Fetched commit {w.hex(40)} of origin/main",
    lambda w: f"HEAD is now at {w.hex(7)} Rotate the API key of the {w.one(_TABLES)} loader",
    lambda w: f"job {w.uuid()} wrote s3://acme-lake/stg/dt=2026-10-03/part-{w.number():05d}-{w.uuid()}.c000.snappy.parquet",
    lambda w: f"upload s3://acme-lake/raw/{w.hex(2)}/{w.hex(32)}/{w.of(_ALNUM, 22)}.json.gz etag={w.hex(32)} size={w.number()}",
    lambda w: f"sha256:{w.hex(64)} image registry.example.com/etl@sha256:{w.hex(64)}",
    lambda w: f"pip: Downloading x-1.2-py3-none-any.whl --hash=sha256:{w.hex(64)}",
    lambda w: f"md5 {w.hex(32)}  /data/{w.one(_TABLES)}.csv; crc32c={w.base64(4)}; content-md5: {w.base64(16)}",
    lambda w: f'"integrity": "sha512-{w.base64(64)}"',
    lambda w: f"TLS certificate SHA1 Fingerprint={w.fingerprint()}",
    lambda w: f"ssh host key SHA256:{w.base64(32).rstrip('=')} (ED25519) accepted",
    lambda w: f"ssh-ed25519 {w.base64(51)} etl@worker-{w.number(9)}",
    lambda w: f"-----BEGIN CERTIFICATE-----\n{w.base64(48)}\n{w.base64(48)}\n-----END CERTIFICATE-----",
    lambda w: f"-----BEGIN PUBLIC KEY-----\n{w.base64(48)}\n-----END PUBLIC KEY-----",
    lambda w: f"x-amz-request-id: {w.of(string.ascii_uppercase + string.digits, 16)} x-amz-id-2: {w.base64(57)}",
    lambda w: f"X-Request-Id: {w.uuid()} traceparent: 00-{w.hex(32)}-{w.hex(16)}-01",
    lambda w: f"trace_id={w.hex(32)} span_id={w.hex(16)} parent_id=0 sampled=true",
    lambda w: f"query_id: 01b{w.hex(5)}-{w.hex(4)}-{w.hex(4)}-0000-{w.hex(12)} session_id: {w.number(10**15)}",
    lambda w: (
        f"SELECT {w.one(_COLUMNS)}, count(*) FROM {w.one(_TABLES)} WHERE key = '{w.number()}' GROUP BY 1 LIMIT {w.number(999)}"
    ),
    lambda w: (
        f"INSERT INTO stg.{w.one(_TABLES)} (id, {w.one(_COLUMNS)}, api_key_id) VALUES ({w.number()}, {w.number()}, {w.number()})"
    ),
    lambda w: f"MERGE INTO {w.one(_TABLES)} t USING s ON t.key = s.key AND t.token_type = s.token_type WHEN MATCHED THEN UPDATE",
    lambda w: f"CREATE TABLE {w.one(_TABLES)} (password varchar(256) NOT NULL, token text, secret_key bytea, primary_key bigint)",
    lambda w: f"{w.number(99):>4}  {w.number():>9}  {w.one(_TABLES):<16} {w.number() / 7:.6f}  2026-10-03 04:11:09",
    lambda w: f"       {'  '.join(_COLUMNS)}\n0      {'  '.join(str(w.number(99)) for _ in _COLUMNS)}",
    lambda w: f"df = df.merge(keys, on='key', how='left')[['{w.one(_COLUMNS)}', 'token']]  # {w.number()} rows",
    lambda w: (
        f"INFO TaskSetManager: Finished task {w.number(99)}.0 in stage {w.number(99)}.0 (TID {w.number()}) in {w.number(9999)} ms"
    ),
    lambda w: (
        f"INFO SecurityManager: authentication disabled; ui acls disabled; users with view permissions: Set(etl, {w.hex(4)})"
    ),
    lambda w: (
        f"INFO BlockManagerInfo: Added broadcast_{w.number(99)}_piece0 in memory on 10.0.{w.number(255)}.{w.number(255)}:41235"
    ),
    lambda w: (
        f"INFO YarnClient: appattempt_1696{w.number(10**9)}_0001_000001 token: Token {{ kind: YARN_CLIENT_TOKEN, service:  }}"
    ),
    lambda w: f"spark.ui.filters=None spark.authenticate=false spark.ssl.keyPassword=*** app-2026{w.number(10**10)}-0001",
    "    token = get_token()",
    lambda w: f"    password = os.environ['{w.one(_TABLES).upper()}_PASSWORD']",
    "    client = Client(api_key=settings.api_key, token=self._token, password=password)",
    "    secret = Variable.get('etl_secret', default_var=None)  # token, password and key are only names here",
    lambda w: (
        f"def rotate(key: str, token: str | None = None, *, password: SecretStr, secret_name: str = '{w.one(_TABLES)}') -> None:"
    ),
    "    if not token: raise ValueError('token: expected a string, got None; password: required')",
    "    headers = {'Authorization': f'Bearer {token}', 'X-Api-Key': api_key, 'Accept': 'application/json'}",
    '    """Return the token; `password=...` is read from the connection, `secret_key` from the vault."""',
    "    parser.add_argument('--password', required=True, help='password: required unless --token is given')",
    "    key=lambda row: row['token'], reverse=True)",
    "password: required",
    "password: {{ env_var('DBT_PASSWORD') }}  token: ${TOKEN}  secret: <your-secret-here>  key: %(key)s",
    lambda w: f'psycopg2.OperationalError: FATAL: password authentication failed for user "etl_{w.number(99)}"',
    lambda w: f"KeyError: 'token_{w.number(99)}' at /opt/airflow/dags/{w.one(_MODULES)}.py:{w.number(400)}",
    lambda w: f"jinja2.exceptions.UndefinedError: 'dict object' has no attribute 'api_key_{w.number(9)}'",
    lambda w: (
        f"SyntaxError: unexpected token: identifier at column {w.number(80)}; Invalid token: expired {w.number(99)} minutes ago"
    ),
    "ExpiredToken: The provided token has expired. (Service: Amazon S3; Status Code: 400; Error Code: ExpiredToken)",
    lambda w: (
        f"max_tokens=4096 tokens_used={w.number()} token_type=bearer prompt_tokens: {w.number()} total_tokens: {w.number()}"
    ),
    lambda w: (
        f"primary_key=id foreign_key=customer_id partition_key=dt sort_key=updated_at cache_key={w.one(_TABLES)}:{w.number()}"
    ),
    lambda w: f"dedup key=(stg.id) kept={w.number()} object_key=raw/2026/10/03/{w.uuid()}.json idempotency_key={w.uuid()}",
    lambda w: f"consumer group etl offset={w.number()} key={w.uuid()} partition={w.number(32)} routing_key=orders.created.eu",
    lambda w: f"Authentication: method=oauth2 token_url=https://login.example.com/{w.uuid()}/oauth2/v2.0/token scope=default",
    lambda w: (
        f"GET https://api.example.com/v1/items?page={w.number(99)}&page_token=&sort=key&client_id={w.uuid()} 200 {w.number()}"
    ),
    lambda w: (
        f"http://10.0.{w.number(255)}.{w.number(255)}:8080/dags/etl/grid?dag_run_id=manual__2026-10-03T04%3A11%3A09%2B00%3A00"
    ),
    lambda w: (
        f"postgresql://db.example.com:5432/dwh connected as etl@db (pid {w.number()}); jdbc:postgresql://db:5432/dwh?ssl=true"
    ),
    lambda w: f"Running command: ['bash', '-c', 'dbt run --target prod --vars {{run: {w.number()}}}']",
    lambda w: f"tool -p {w.number(9999)} --key-file /etc/keys/id.pem --token-file /var/run/token --secret-name dwh/prod",
    lambda w: f"docker run -p 8080:{w.number(65535)} -e LANG=C.UTF-8 -e PASSWORD_FILE=/run/secrets/db etl:{w.hex(12)}",
    lambda w: (
        f"dbt: 1 of {w.number(99)} START test not_null_{w.one(_TABLES)}_{w.one(_COLUMNS)} [RUN]; unique_key='id' node {w.hex(32)}"
    ),
    "Marking task as FAILED. dag_id=etl, task_id=rotate_secrets, run_id=scheduled__2026-10-03T00:00:00+00:00",
    lambda w: f"Task instance is in running state; ti_id={w.uuid()} hostname=worker-{w.hex(10)}-{w.hex(5)}",
    lambda w: f"pod etl-load-{w.of('bcdfghjklmnpqrstvwxz2456789', 8)} uid={w.uuid()} containerID: containerd://{w.hex(64)}",
    lambda w: f"Reading secret from path: secret/data/etl/prod (version {w.number(20)}); lease_id: '' renewable: false",
    lambda w: f"arn:aws:secretsmanager:eu-west-1:{w.number(10**12):012d}:secret:prod/dwh-{w.of(_ALNUM, 6)} resolved",
    lambda w: f"arn:aws:kms:eu-west-1:{w.number(10**12):012d}:key/{w.uuid()} used to decrypt",
    lambda w: f"projects/acme/secrets/dwh-password/versions/{w.number(30)} accessed by etl@acme.iam.gserviceaccount.com",
    lambda w: (
        f"BigQuery job bquxjob_{w.hex(8)}_{w.hex(11)} billed {w.number()} bytes; destination acme:_{w.hex(32)}.anon{w.hex(40)}"
    ),
    lambda w: (
        f"mlflow run {w.hex(32)} artifact_uri=mlflow-artifacts:/{w.number(99)}/{w.hex(32)}/artifacts model_id=m-{w.hex(32)}"
    ),
    lambda w: (
        f"tokenizer.json: vocab_size={w.number()} bos_token=<s> eos_token=</s> pad_token='[PAD]' unk_token: [UNK] sep_token=[SEP]"
    ),
    lambda w: f"ulid {w.ulid()} ksuid {w.of(_ALNUM, 27)} snowflake {w.number(10**18)} objectid {w.hex(24)}",
    lambda w: f"jti={w.uuid()} sub=etl iss=https://login.example.com aud=api exp={w.number(10**10)} kid: {w.hex(40)}",
    lambda w: f"{w.one(_MODULES)}.py:{w.number(400)}: DeprecationWarning: `password` is deprecated, use `credentials` instead",
    lambda w: f"| {w.one(_TABLES)} | password | {w.number()} | token | {w.number() / 3:.2f} |",
    lambda w: f"{w.one(_COLUMNS)},{w.number()},2026-10-03,secret_version,{w.number(99)},key,{w.number(99)}",
    lambda w: f'{{"event": "rows", "key": "{w.one(_TABLES)}", "token_count": {w.number()}, "trace_id": "{w.hex(32)}"}}',
    lambda w: f"apiVersion: v1\nkind: ConfigMap\ndata:\n  checksum: {w.hex(64)}\n  password.properties: enabled",
    lambda w: f"env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: dwh-{w.hex(4)}\n      key: password",
    "[core] fernet_key = *** sql_alchemy_conn = postgresql+psycopg2://airflow:***@postgres/airflow secret_key: ***",
    lambda w: f"Password changed for user_{w.number()}; secret rotation is due in {w.number(90)} days; no key in row 7",
    lambda w: f"login etl password prompt shown; machine worker-{w.number(9)} login ok; Enter password for etl:",
    lambda w: f"basic authentication is used; bearer token is missing; Basic usage: see README section {w.number(9)}",
    lambda w: (
        f"Great Expectations: expect_column_values_to_match_regex(column='api_key', regex='^[A-Za-z0-9]{{32}}$') {w.number()}"
    ),
    lambda w: f"airflow.exceptions.AirflowNotFoundException: The conn_id `secret_conn_{w.number(99)}` isn't defined",
)


def clean_lines(chance: random.Random) -> Iterator[str]:
    """Lines of task logs, for ever."""
    words = _Words(chance)
    second = 0
    while True:
        line = chance.choice(_LINES)
        text = line if isinstance(line, str) else line(words)
        second += chance.randrange(3)
        stamp = f"[2026-10-03T{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{words.number(1000):03d}+0000]"
        source = f"{{{words.one(_MODULES)}.py:{words.number(400)}}}"
        yield from text.split("\n") if "\n" in text else [f"{stamp} {source} INFO - {text}"]


def clean_text(size: int, *, chance: random.Random) -> str:
    """About `size` characters of such lines."""
    lines, length = [], 0
    for line in clean_lines(chance):
        lines.append(line)
        length += len(line) + 1
        if length >= size:
            return "\n".join(lines) + "\n"
    raise AssertionError("clean_lines never ends")
