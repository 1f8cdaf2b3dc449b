"""Structural redaction: secrets known by where they stand (a URL, an assignment, a header, a key block) or by their prefix.

What vendors' tokens look like in general is a library's business (`airflow_agentfix.redaction`, which everyone calls); here
is what needs no library. Invariants: redacting twice changes nothing more, and the number of lines stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

MASK = "***"
"""Airflow masks its own secrets with the same mark; what it masked stays as it is."""

_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

# --- private key blocks ----------------------------------------------------------------------------------------------

_KEY_BLOCK = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
    r"((?:(?!-----BEGIN )[\s\S]){1,20000}?)(-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
)
_CUT_KEY_BLOCK = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)((?:(?:\s|\\n)+[-+]?[A-Za-z0-9+/=]{16,}(?![\w-]))+)(?!\s*\*{3})"
)
_KEY_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_KEY_TAIL = re.compile(
    r"((?:[^\S\n]*[-+]?[A-Za-z0-9+/=]{16,}[^\S\n]*\n){1,200}(?:[^\S\n]*[-+]?[A-Za-z0-9+/=]+[^\S\n]*\n)?)"
    r"(?=[^\S\n]*[-+]?-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
)
_KEY_BODY = re.compile(
    r"(?:.*\s)?[A-Za-z0-9+/=]{16,}\s*|\s*[A-Za-z0-9+/=]{1,15}\s*|\s*(?:Proc-Type|DEK-Info|Version|Comment):.*|\s*"
)


def _mask_block(match: re.Match[str]) -> str:
    ending = match.group(3) if match.re.groups > 2 else ""
    return match.group(1) + "\n".join(_mask_line(line) for line in match.group(2).split("\n")) + ending


def _mask_tail(match: re.Match[str]) -> str:
    return "\n".join(_mask_line(line) for line in match.group(1).split("\n"))


def _mask_line(line: str) -> str:
    # a log stamps each line of a block: the stamp goes with it, which loses nothing that matters
    return MASK if line.strip() else line


# --- assignments: key=value, "key": "value", --key value -------------------------------------------------------------

_KEY = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret(?:[_\-]?(?:key|access[_\-]?key|id))?|(?:api|access|account"
    r"|private|signing|encryption|fernet|"
    r"auth|master|shared|service|storage|subscription|license|webhook|app|application|client|consumer|hmac"
    r"|jwt|session)[_\-]?key|"
    r"token|credentials?|authkey|_auth)"
)
_QUOTED_VALUE = re.compile(
    r"(" + _KEY + r"""(?:\\*["'])?\]?\s{0,4}(?::=|=>|==?|:)\s{0,4}[rbuf]{0,2})(\\*)(["'])"""
    r"((?:(?!\3)[^\n\\]|\\(?!\3)[^\n]){1,4000}?)(?=\2\3)",
    re.IGNORECASE,
)
_BARE_VALUE = re.compile(
    r"(" + _KEY + r""")((?:\\*["'])?)(=|\s=\s|:\s{0,2}|%3D)([^\s"'`,;&|<>(){}\[\]\\]{3,4000})(?![\w(\[{])""",
    re.IGNORECASE,
)
_FLAG = re.compile(r"(?<![\w-])(--?[\w\-]{0,40}?" + _KEY + r"|--pass|--pw)(\s+|=)([^\s\"'-][^\s\"']{2,})", re.IGNORECASE)
_WORD = re.compile(
    r"(?:none|null|true|false|str|int|bool|bytes|object|string|optional|any|required|missing|incorrect"
    r"|invalid|expired|empty|unset|"
    r"wrong|default|changed|failed|denied|masked|redacted|hidden|not|is|was|the|for|and|used|authentication|rejected|unknown|"
    r"environment|sensitive|provided|refreshed)",
    re.IGNORECASE,
)
_NAME_OF_SECRET = re.compile(
    r"(?:^|[_.])(?:pass(?:word|wd|phrase)?|pwd|secrets?|tokens?|keys?|creds?|credentials?|auth"
    r"|conn(?:ection)?|env|environ|config|"
    r"settings|getenv|variable|vault|value)(?:$|[_.])",
    re.IGNORECASE,
)
_PROSE = re.compile(r"^[A-Z][a-z]+(?: [A-Za-z.,:]+){2,}$")
_PLACEHOLDER = re.compile(r"^(?:\*{3}.*|\*+|x{3,}|\.{3}|…|%\(?\w*\)?s?|\$\w*|\$\{.*|\{.*|<.*|:\w+|@\w+|\?|#.*)$", re.IGNORECASE)
_DOTTED_NAME = re.compile(r"^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$")


def _mask_quoted(match: re.Match[str]) -> str:
    head, escapes, quote, value = match.group(1, 2, 3, 4)
    if _PLACEHOLDER.match(value) or _PROSE.match(value) or _WORD.fullmatch(value.strip()) or len(value) < 3:
        return match.group(0)
    return f"{head}{escapes}{quote}{MASK}"


def _mask_bare(match: re.Match[str]) -> str:
    key, close, separator, value = match.group(1, 2, 3, 4)
    if not _bare_is_secret(key, separator, value.rstrip(".")):
        return match.group(0)
    return f"{key}{close}{separator}{MASK}"


def _bare_is_secret(key: str, separator: str, value: str) -> bool:
    """Unquoted, a value may as well be code (`token=get_token()`), a type, or prose (`password: required`)."""
    if _PLACEHOLDER.match(value) or _WORD.fullmatch(value):
        return False
    if key.lower() == "pwd" and value.startswith("/"):  # print working directory
        return False
    plain = value.isidentifier() or _DOTTED_NAME.match(value) is not None
    if plain and (_NAME_OF_SECRET.search(value) or (not any(c.isdigit() for c in value) and separator != "=")):
        return False
    if separator.startswith((":", " ")) and (value.isalpha() or len(value) < 6):
        return False
    numeric = value.replace(".", "").isdigit()
    return not (numeric and (len(value) < 6 or "token" in key.lower()) and "pass" not in key.lower())


def _mask_flag(match: re.Match[str]) -> str:
    return match.group(0) if _PLACEHOLDER.match(match.group(3)) else f"{match.group(1)}{match.group(2)}{MASK}"


# --- what stands at a fixed place ------------------------------------------------------------------------------------

_URL_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.\-]{1,30}://[^\s:/@\"'<>]{0,200}:)(?!\d{1,5}[/?#])([^\s\"'<>]{1,500}?)"
    r"(?=@[\w.\-\[\]%{}$*]{1,255}(?::[\w{}$]{1,40})?(?:[/?#\s\"'<>),;\\]|$))",
    re.IGNORECASE | re.MULTILINE,
)
_URL_TOKEN = re.compile(r"(\bhttps?://)([A-Za-z0-9_\-]{20,255})(?=@[\w.\-]+)", re.IGNORECASE)
_URL_QUERY = re.compile(
    r"([?&;](?:sig|signature|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)"
    r"|awsaccesskeyid|code|key|"
    r"access_token|id_token|refresh_token|[a-z_\-]{0,30}(?:token|secret|password|apikey|api_key"
    r"|api-key))=)([^\s&\"'<>#;\\]{4,})",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    r"(\b(?:proxy-)?authorization\\*[\"']?\s{0,2}[:=]\s{0,2}\\*[\"']?)((?:bearer|basic|token|digest"
    r"|negotiate|aws4-hmac-sha256|apikey|"
    r"splunk|key|genie\w*)\s+)?(?!(?:bearer|basic|token|digest)\b"
    r"|[{$%<*])([^\s\"'\\,]{4,}(?:[^\n\"'\\]{0,500}(?=\bSignature=)Signature=\w+)?)",
    re.IGNORECASE,
)
_SCHEME_TOKEN = re.compile(r"(\b(?:bearer|basic)\s+)(?=[^\s\"']*[0-9A-Z=])([A-Za-z0-9_\-.~+/]{16,}=*)(?![\w.])", re.IGNORECASE)
_HEADER = re.compile(
    r"((?<![\w/\-])(?:x-[a-z\-]{0,40}(?:key|token|secret|auth)|set-cookie|cookie|private-token"
    r"|dd-api-key)\\*[\"']?\s{0,2}:\s{0,2}\\*[\"']?)(?![{$%<*])([^\s\"'\\][^\n\"'\\]{3,})",
    re.IGNORECASE,
)
_USER_OPTION = re.compile(r"(\bcurl\b[^\n]{0,300}?\s(?:-u|--user)[\s=]+[\"']?[^\s:\"']{1,100}:)([^\s\"']{2,})")
_CLIENT_PASSWORD = re.compile(r"(\b(?:mysql(?:dump)?|mysqladmin|sshpass)\b[^\n]{0,200}?\s-p\s?)(?![\s-])([^\s\"']{3,})")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){0,3}")
_WEBHOOK = re.compile(
    r"(\bhttps://(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/"
    r"|(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/|"
    r"[\w.\-]*(?:webhook\.office|logic\.azure|outlook\.office)\.com(?::\d+)?/[\w/]*?(?:webhookb?2?|workflows)/|"
    r"events\.pagerduty\.com/integration/|hooks\.zapier\.com/hooks/catch/|maker\.ifttt\.com/trigger/\w+/with/key/|"
    r"api\.telegram\.org/bot|hooks\.[\w.\-]+/services/))([^\s\"'<>\\),]{8,})",
    re.IGNORECASE,
)
_DSN = re.compile(r"(\bhttps://)([0-9a-f]{32}(?::[0-9a-f]{32})?)(?=@[\w.\-]*(?:sentry|ingest)[\w.\-]*/)", re.IGNORECASE)

# Prefixes that vendors chose so that their tokens can be told from other text. Only those the library does not know.
_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"github_pat_[A-Za-z0-9_]{22,}|gh[pousr]_[A-Za-z0-9]{36,}|sk-(?:ant|proj|svcacct"
    r"|or)-[A-Za-z0-9_\-]{16,}|sk-[A-Za-z0-9]{40,}|"
    r"AIza[A-Za-z0-9_\-]{35}|ya29\.[A-Za-z0-9_\-.]{20,}|GOCSPX-[A-Za-z0-9_\-]{20,}|1//0[A-Za-z0-9_\-]{30,}|"
    r"dapi[0-9a-f]{32}(?:-\d)?|dkea[0-9a-f]{32}|dose[0-9a-f]{32}|hf_[A-Za-z0-9]{30,}|hv[sbr]\.[A-Za-z0-9_\-]{24,}|"
    r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-]{60,}|do[opr]_v1_[0-9a-f]{64}|shp(?:at|ca|pa"
    r"|ss)_[0-9a-fA-F]{32}|dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{40,}|"
    r"NR(?:AK|II|IQ|RA)-?[A-Za-z0-9\-_]{27,}|glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/=]{32,}"
    r"|glpat-[A-Za-z0-9_\-.]{20,}|"
    r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}"
    r"|PMAK-[0-9a-f]{24}-[0-9a-f]{34}|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_\-.=]{32,}|"
    r"ATATT3[A-Za-z0-9_\-=]{100,}|ATCTT3[A-Za-z0-9_\-=]{60,}|dckr_(?:pat|oat)_[A-Za-z0-9_\-]{24,}"
    r"|npm_[A-Za-z0-9]{36}|rubygems_[0-9a-f]{48}|pypi-[A-Za-z0-9_\-]{50,}|"
    r"[sp]k_(?:live|test)_[A-Za-z0-9]{16,}|rk_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,}"
    r"|xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9\-]{10,}|xapp-\d-[A-Za-z0-9\-]{20,}|"
    r"AGE-SECRET-KEY-1[A-Z0-9]{58}|[sp]k\.eyJ[A-Za-z0-9_\-]{20,}\.[A-Za-z0-9_\-]{20,}"
    r"|dbt[cu]_[A-Za-z0-9_\-]{30,}|pat[A-Za-z0-9]{14}\.[0-9a-f]{64}|"
    r"EAA[A-Za-z]?[A-Za-z0-9]{80,}|sntry[su]_[A-Za-z0-9_+/=\-]{40,}|figd_[A-Za-z0-9_\-]{40,}"
    r"|key-[0-9a-f]{32}|SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}|"
    r"tskey-[a-z]+-[A-Za-z0-9\-]{16,}|sl\.[A-Za-z0-9_\-]{120,}|ops_eyJ[A-Za-z0-9_\-=]{60,}"
    r"|LTAI[A-Za-z0-9]{20}|(?:AKIA|ASIA)[0-9A-Z]{16}|"
    r"[A-Za-z0-9_~.\-]{3}[78]Q~[A-Za-z0-9_~.\-]{31,34}"
    r")(?![A-Za-z0-9])"
)

_KEY_WORDS = ("pass", "pwd", "secret", "key", "token", "cred", "auth")

_BLOCK_RULES: tuple[_Rule, ...] = ((_KEY_BLOCK, _mask_block), (_CUT_KEY_BLOCK, _mask_block))
_LINE_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (("://",), _DSN, rf"\1{MASK}"),
    (("://",), _URL_PASSWORD, rf"\1{MASK}"),
    (("://",), _URL_TOKEN, rf"\1{MASK}"),
    (("://",), _WEBHOOK, rf"\1{MASK}"),
    (("=",), _URL_QUERY, rf"\1{MASK}"),
    (("authorization",), _AUTHORIZATION, lambda m: f"{m.group(1)}{m.group(2) or ''}{MASK}"),
    (("bearer", "basic"), _SCHEME_TOKEN, rf"\1{MASK}"),
    (("x-", "cookie", "private-token", "dd-api-key"), _HEADER, rf"\1{MASK}"),
    (("curl",), _USER_OPTION, rf"\1{MASK}"),
    (("mysql", "sshpass"), _CLIENT_PASSWORD, rf"\1{MASK}"),
    (("eyj",), _JWT, MASK),
    (("",), _PREFIXED, MASK),
    (_KEY_WORDS, _QUOTED_VALUE, _mask_quoted),
    (_KEY_WORDS, _BARE_VALUE, _mask_bare),
    (("-",), _FLAG, _mask_flag),
)
"""(words one of which a line must have, lower case; pattern; replacement): a word is found faster than a pattern"""


def redact(text: str) -> str:
    """`text` with every secret that its place or prefix gives away replaced by `***`."""
    if "-----BEGIN" in text:
        for pattern, mask in _BLOCK_RULES:
            text = pattern.sub(mask, text)
    if "PRIVATE KEY" in text:
        text = _KEY_TAIL.sub(_mask_tail, text)
    return "\n".join([_redact_line(line) for line in text.split("\n")])


def _redact_line(line: str) -> str:
    low = line.lower()
    for words, pattern, replacement in _LINE_RULES:
        for word in words:
            if word in low:
                line = pattern.sub(replacement, line)
                break
    return line


def without_key_blocks(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Numbered lines as they stream by, the inside of private key blocks masked: a part that is chosen later no longer shows
    that it was inside of one."""
    inside = False
    for number, line in lines:
        inside = inside and _KEY_BODY.fullmatch(line) is not None
        yield number, _mask_line(line) if inside else line
        inside = inside or ((begun := _KEY_BEGIN.search(line)) is not None and "-----END" not in line[begun.end() :])


# --- what a reader cannot see ----------------------------------------------------------------------------------------

INVISIBLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b."
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """`text` without terminal codes, control, invisible and bidirectional characters: what is read is what is there."""
    return INVISIBLE.sub("", text)
