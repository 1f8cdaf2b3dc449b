"""Secrets known by where they stand: in URLs, headers, connection strings, commands and calls."""

from __future__ import annotations

import re

from airflow_agentfix.core.secret_names import MASK, Rule, is_strong

# --- URLs ------------------------------------------------------------------------------------------------------------

_LOGIN_URL = re.compile(r"(://(?<=\w://)[^\s:/@\"'<>]{0,200}:)((?:(?!://)[^\s\"'<>])++)")
_PORT = re.compile(r"\d{1,5}(?![\w@%])")
_HOST = re.compile(r"@[\w.\-\[\]%{}$*]")
_DATABASE_PASSWORD = re.compile(
    r"(\b(?:postgres|postgresql|mysql|mariadb|mssql|mongodb|redis|rediss|amqp|amqps|oracle|snowflake|redshift|clickhouse|trino)"
    r"(?:\+[\w]{1,30})?://[^\s:/@\"'<>]{0,200}:)(?!\d{1,5}[/?#\"'])([^\s,]{1,200}?)(?=@[\w.\-]{1,255}[:/])",
    re.IGNORECASE,
)
_ENCODED_URL = re.compile(r"(%3A%2F%2F(?:(?!%3A)[\w.%~\-]){0,200}?%3A)((?:(?!%40)[^\s\"'&]){1,300})(?=%40)", re.IGNORECASE)
_URL_TOKEN = re.compile(r"((?<=http)s?://)([A-Za-z0-9_\-]{20,255})(?=@[\w.\-]+)", re.IGNORECASE)
_URL_QUERY = re.compile(
    r"((?:[?&;]|(?<=SharedAccessSignature=))"
    r"(?:sig|signature|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|awsaccesskeyid|code|key"
    r"|access_token|id_token|refresh_token|[a-z_\-]{0,30}(?:token|secret|password|passwd|pwd|apikey|api_key|api-key))=)"
    r"([^\s&\"'<>#;\\]{4,})",
    re.IGNORECASE,
)
_WEBHOOK = re.compile(
    r"(https://(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/"
    r"|(?:\w{1,30}\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/"
    r"|[\w.\-]{0,200}(?:webhook\.office|logic\.azure|outlook\.office)\.com(?::\d+)?/[\w/]{0,200}?(?:webhookb?2?|workflows)/"
    r"|events\.pagerduty\.com/integration/|hooks\.zapier\.com/hooks/catch/|maker\.ifttt\.com/trigger/\w{1,100}/with/key/"
    r"|chat\.googleapis\.com/v1/spaces/|open\.(?:feishu|larksuite)\.\w{2,3}/open-apis/bot/v2/hook/|[\w\-]{1,60}\.m\.pipedream\.net/"
    r"|api\.telegram\.org/bot|hooks\.[\w.\-]{1,200}/services/))([^\s\"'<>\\),]{8,})",
    re.IGNORECASE,
)
_DSN = re.compile(r"(https://)([0-9a-f]{32}(?::[0-9a-f]{32})?)(?=@[\w.\-]{1,255}/\d)", re.IGNORECASE)

# --- headers ---------------------------------------------------------------------------------------------------------

_AUTHORIZATION = re.compile(
    r"(authorization\\*[\"']?\s{0,2}[:=,]\s{0,2}\\*[\"']?)"
    r"((?:bearer|basic|token|digest|negotiate|aws4-hmac-sha256|apikey|splunk|snowflake\stoken=\\*\"?|key|ssws|genie\w{0,10})(?:\s|%20|\+){0,3})?"
    r"(?!(?:bearer|basic|token|digest)\b|[{$%<*]|[A-Za-z_][\w.]{0,100}\()([^\s\"'\\,]{4,}(?:[^\n\"'\\]{0,500}(?=\bSignature=)Signature=\w+)?)",
    re.IGNORECASE,
)
_DIGEST = re.compile(r"(authorization\W{1,6}digest\s)([^\n]{4,})", re.IGNORECASE)
_HOOK = re.compile(
    r"(https?://[\w.\-:]{1,255}/(?:[\w\-]{1,60}/){0,4}(?:web)?(?:hooks?|services)/(?:[\w\-]{1,60}/){0,3})([\w\-]{12,400})"
)
_SCHEME_TOKEN = re.compile(
    r"(\b(?:bearer|basic|ssws|splunk)\s+)(?=[^\s\"']{0,400}[0-9A-Z=])([A-Za-z0-9_\-.~+/]{16,}=*)(?![\w.])", re.IGNORECASE
)
_HEADER = re.compile(
    r"((?:(?<![\w/\-])|(?<=\\[nrt]))(?:x-[a-z\-]{0,40}(?:key|token|secret|auth)|set-cookie|cookie|private-token|dd-api-key)"
    r"(?:\\*[\"']\s{0,2}[:,]\s{0,2}\\*[\"']|\s{0,2}:\s{0,2}))(?![{$%<*])([^\s\"'\\][^\n\"'\\]{3,})",
    re.IGNORECASE,
)
_COOKIES = re.compile(r"(\bcookies?\s{0,2}[=:]\s{0,2}\{)([^{}\n]{1,2000})(?=\})", re.IGNORECASE)
_MEMBER = re.compile(r"(:\s{0,3}(\\*[\"']))((?:(?!\2)[^\n])+)(?=\2)")
_AUTH_MEMBER = re.compile(r"(\"auth\\*\"\s{0,3}:\s{0,3}\\*\")([A-Za-z0-9+/=]{12,})(?=\\*\")")
_SMTP_AUTH = re.compile(r"(\bAUTH\s+(?:PLAIN|LOGIN|XOAUTH2)\s+)([A-Za-z0-9+/=]{8,})")

# --- connection strings ----------------------------------------------------------------------------------------------

_BRACED = re.compile(r"(\b(?:pwd|password)\s{0,2}=\s{0,2}\{)((?:[^}\n]|\}\}){2,400})(?=\})", re.IGNORECASE)
_ORACLE = re.compile(
    r"(\b(?:jdbc:oracle:\w{1,10}:|(?:sqlplus|sqlldr|impdp|expdp|exp|imp)\s(?:-\S{1,20}\s){0,4})[\w.$#]{1,60}/)([^\s@\"'/][^\s@\"']{1,200})(?=@)",
    re.IGNORECASE,
)
_PGPASS = re.compile(
    r"((?:^|(?<=[\s\"'+]))(?:\*|[\w.\-]{1,255}):(?:\d{2,5}|\*):(?:\*|[A-Za-z_][\w\-]{0,62}):(?:\*|[A-Za-z_][\w\-]{0,62}):)"
    r"(?=[^\s:]*[^\s\d:])([^\s:\"'\\]{4,})(?=[\s\"'\\]|$)"
)
_LOGIN_AT = re.compile(r"((?<![\w/.@:])[A-Za-z][\w.\-]{1,40}:)([^\s@:/\"'\\]{8,100})(?=@(?!sha\d)[A-Za-z][\w.\-]{1,255})")
_SQL_BY = re.compile(r"(\bIDENTIFIED\s(?:WITH\s\S{1,60}\s)?BY\s)(\w[^\s\"';,]{2,})", re.IGNORECASE)

# --- calls and commands ----------------------------------------------------------------------------------------------

_PAIR = re.compile(
    r"(\b(?:auth\s{0,2}=\s{0,2}\(|HTTP\w{0,8}Auth\(|BasicAuth\(|\.login\(|\w{0,30}Credentials?\()\s{0,2}"
    r"\\*[\"'][^\"'\n\\]{0,200}\\*[\"']\s{0,2},\s{0,2}\\*[\"'])([^\"'\n\\]{3,400})(?=\\*[\"'])"
)
_NAMED_CALL = re.compile(
    r"(\b(?:Variable\.set|set_password|set_secret|setenv|set_key|put_secret\w{0,8})\(\s{0,2}"
    r"\\*[\"'][^\"'\n\\]{0,60}\\*[\"']\s{0,2},"
    r"\s{0,2}\\*[\"'])([^\"'\n\\]{6,400})(?=\\*[\"'])"
)
"""the name may be anything: what stands beside it in such a call is masked where it looks drawn by chance, or the call says so"""
_AZURE_SETTING = re.compile(r"(\baccount\.key(?:\.[\w.\-]{1,200})?\s{0,2}[=\s]\s{0,2})([A-Za-z0-9+/]{16,}={0,2})")
_REDIS_AUTH = re.compile(r"(\"AUTH\\*\"\s(?:\\*\"[^\"\s]{1,100}\"\s)?\\*\")([^\"\s\\]{3,})(?=\\*\")", re.IGNORECASE)
_USER_OPTION = re.compile(
    r"(\bcurl\b[^\n]{0,300}?\s(?:-u|--user|-U|--proxy-user)[\s=]{1,4}\\*[\"']?[^\s:\"']{1,100}:)([^\s\"'\\]{2,})"
)
_SHORT_OPTION = re.compile(
    r"(\b(?:(?:mysql(?:dump|admin|import|show)?|sshpass|mariadb)\b[^\n]{0,200}?\s-p\s?"
    r"|(?:docker|podman|helm|skopeo|buildah|nerdctl|oras|az|oc|argocd)\s(?:\w{1,20}\s)?login\b[^\n]{0,200}?\s-p\s{1,3}"
    r"|(?:useradd|usermod|mongo(?:sh|dump|restore|export|import)?)\b[^\n]{0,200}?\s-p\s{1,3}"
    r"|(?:redis-cli|valkey-cli)\b[^\n]{0,200}?\s-a\s{1,3}|ldap\w{3,10}\b[^\n]{0,200}?\s-w\s{1,3}"
    r"|(?:sqlcmd|bcp|unzip|zip|isql)\b[^\n]{0,200}?\s-P\s?|7z\w?\b[^\n]{0,100}?\s-p"
    r"|(?:openssl)\b[^\n]{0,300}?\s-(?:pass|passin|passout)\spass:|cmdkey\b[^\n]{0,200}?/pass:"
    r"|net\suse\b[^\n]{0,100}?\\\\\S{1,200}\s|vault\slogin\s(?:-\S{1,60}\s){0,4}|smbclient\b[^\n]{0,200}?\s-U\s\S{1,60}%"
    r"|aws\sconfigure\sset\s\S{0,60}(?:secret|token)\S{0,20}\s|htpasswd\s-\w{0,5}b\w{0,5}\s\S{1,200}\s\S{1,60}\s)\\*[\"']?)"
    r"(?![\s\-/<{*])([^\s\"'\\]{3,})"
)
_PIPED = re.compile(
    r"(\b(?:echo|printf)\s(?:-\w{1,3}\s)?\\*[\"']?(?:[\w.\-]{1,60}:)?)(?![$*])([^\s\"'\\|]{3,200})"
    r"(?=\\*[\"']?\s?\|\s?(?:sudo\s-\w{0,3}S|chpasswd|passwd|su\b|kinit|[^\n|]{1,200}--password-stdin|gpg\b))"
)


def _mask_url(match: re.Match[str]) -> str:
    """A password may hold @ and /; the last @ before a query is the host's."""
    login, rest = match.groups()
    if _PORT.match(rest):
        return match.group()
    path = re.split(r"[?#]", rest, maxsplit=1)[0]
    ends = [host.start() for host in _HOST.finditer(path)] or [host.start() for host in _HOST.finditer(rest)][:1]
    return f"{login}{MASK}{rest[ends[-1] :]}" if ends and ends[-1] > 0 else match.group()


def _mask_strong(match: re.Match[str]) -> str:
    return match.group(1) + MASK if is_strong(match.group(2)) else match.group(0)


def _mask_named(match: re.Match[str]) -> str:
    says_so = re.search(r"pass|secret|token|key|credential", match.group(1), re.IGNORECASE)
    return match.group(1) + MASK if says_so or is_strong(match.group(2)) else match.group(0)


def _mask_braced(match: re.Match[str]) -> str:
    """ODBC's braces; an f-string's hold a name."""
    return match.group(0) if re.fullmatch(r"[a-z_.]+", match.group(2)) else match.group(1) + MASK


def _mask_members(match: re.Match[str]) -> str:
    return match.group(1) + _MEMBER.sub(rf"\1{MASK}", match.group(2))


_PROGRAMS = (
    *(
        "mysql",
        "mariadb",
        "sshpass",
        "login",
        "useradd",
        "usermod",
        "mongo",
        "-cli",
        "ldap",
        "sqlcmd",
        "bcp",
        "zip",
        "isql",
        "7z",
    ),
    *("openssl", "cmdkey", "net use", "smbclient", "aws configure", "htpasswd"),
)
_KEPT = rf"\1{MASK}"

PLACE_RULES: tuple[Rule, ...] = (
    (("://",), _DSN, _KEPT),
    (("://",), _LOGIN_URL, _mask_url),
    (("://",), _DATABASE_PASSWORD, _KEPT),
    (("%3a%2f%2f",), _ENCODED_URL, _KEPT),
    (("://",), _URL_TOKEN, _KEPT),
    (("://",), _WEBHOOK, _KEPT),
    (("=",), _URL_QUERY, _KEPT),
    (("authorization",), _AUTHORIZATION, lambda m: f"{m.group(1)}{m.group(2) or ''}{MASK}"),
    (("digest",), _DIGEST, _KEPT),
    (("hook", "/services/"), _HOOK, _mask_strong),
    (("bearer", "basic", "ssws", "splunk"), _SCHEME_TOKEN, _KEPT),
    (("x-", "cookie", "private-token", "dd-api-key"), _HEADER, _KEPT),
    (("cookie",), _COOKIES, _mask_members),
    (('auth\\"', 'auth"'), _AUTH_MEMBER, _KEPT),
    (("auth ",), _SMTP_AUTH, _KEPT),
    (("pwd", "password"), _BRACED, _mask_braced),
    (("@",), _ORACLE, _KEPT),
    (("@",), _LOGIN_AT, _mask_strong),
    ((":",), _PGPASS, _KEPT),
    (("identified",), _SQL_BY, _KEPT),
    (("auth", "login(", "credential"), _PAIR, _KEPT),
    (("set_password(", "set_secret(", "put_secret", "variable.set(", "setenv(", "set_key("), _NAMED_CALL, _mask_named),
    (("account.key",), _AZURE_SETTING, _KEPT),
    (('auth\\"', 'auth"'), _REDIS_AUTH, _KEPT),
    (("curl",), _USER_OPTION, _KEPT),
    (_PROGRAMS, _SHORT_OPTION, _KEPT),
    (("|",), _PIPED, _KEPT),
)
