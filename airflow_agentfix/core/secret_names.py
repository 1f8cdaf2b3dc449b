"""Values known as secrets by the name beside them: `password=…`, `"api_key": "…"`, `--token …`, `<secret>…</secret>`.

A name alone proves nothing: the value may be code (`token=get_token()`), a reference (`${TOKEN}`), a type or a word of prose.
Where a name and a value merely stand side by side, only a value that looks drawn by chance is taken for a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MASK = "***"
"""Airflow masks its own secrets with the same mark; what it masked stays as it is."""

Mask = str | Callable[[re.Match[str]], str]
Rule = tuple[tuple[str, ...], re.Pattern[str], Mask]
"""(words one of which a line must have, lower case; pattern; replacement): a word is found faster than a pattern"""

KEY = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|(?<![a-z])(?:pass|pw|creds?|jwt|bearer)(?![a-z])|storepass|keypass|[jp](?:hp)?sess(?:ion)?id"
    r"|secret(?:[_\-.]?(?:key|access[_\-.]?key|id))?|(?:api|access|secret|account|private) key|ssh[_\-]?key"
    r"|(?:api|access|account|private|signing|encryption|fernet|auth|master|shared|shared[_\-]?access|service|storage|subscription"
    r"|license|webhook|app|application|client|consumer|hmac|jwt|session|routing|integration)[_\-.]?key"
    r"|token|credentials?|authkey|(?<![a-z])_auth|(?:basic|http|proxy)_auth|[_\-]pats?(?![a-z])|client-key-data"
    r")s?(?:[_\-.]?(?:content|data|value|b64|base64|plain|raw|text|str|prod|production|dev|test|staging|new|old|primary|secondary"
    r"|v?\d{1,2})(?![a-z0-9]))?"
)
"""what a secret is called, at the end of a longer name"""

_NAME = r"([\w.\-]{0,32}?" + KEY
STAMP = (
    r"(?:L?\d{1,9}\t)?(?:\[\d{4}-[^\]\n]{1,60}\]\s?(?:\{[^}\n]{1,200}\}\s)?(?:[A-Z]{4,8}\s-\s)?"
    r"|\d{4}-\d\d-\d\d[T ][\d:.,+Z]{5,30}\s(?:\[?[A-Z]{4,8}\]?:?\s)?(?:-\s)?)?"
)
"""what a log, or we, put before each line of another text"""
_ASSIGNED = r"""(?:\\*["'])?\]?\s{0,4}(?::=|=>|==?|:)\s{0,4}(?:\w{0,20}SecretStr\()?[rbuf]{0,2})"""
_QUOTED = re.compile(_NAME + _ASSIGNED + r"""(\"{3}|'{3}|["'])((?:\\.|(?!\2)[^\n\\])++)(?=\2|$)""", re.IGNORECASE)
_ESCAPED = re.compile(_NAME + _ASSIGNED + r"""(\\+["'])((?:(?!\2)[^\n])++)(?=\2|$)""", re.IGNORECASE)
_TYPED = re.compile(_NAME + r"""\s{0,2}:\s{0,2}[\w.\[\], |]{1,60}=\s{0,2}[rbuf]{0,2})(["'])([^\n"']++)(?=\2|$)""", re.IGNORECASE)
_BARE = re.compile(
    r"(?<![\d:]:)" + _NAME + r""")((?:\\*["'])?)(=|\s=\s|:\s{0,2}|%3D)([^\s"'`,;&|<>(){}\[\]\\]{3,4000})(?![\w(\[{.])""",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    r"(?<![\d:]:)"
    + _NAME
    + r"""(?:\s?[,;|]\s?|\t{1,4}|\s{2,40}|(?:[\s=:,>!<({\[\-\\"'|]|SecretStr){1,9}(?:(?:is|was|provided|value)[\s:=]{1,3})?)"""
    r"""(?:\[[\s"'\\]{0,4}(?:\*{3}[\s"'\\]{0,4},[\s"'\\]{0,4}){1,50})?\\*["']?)([^\s"'`,;|<>\\\])}]{8,400})""",
    re.IGNORECASE,
)
_WHOLE_LINE = re.compile(
    r"^(" + STAMP + r"\s*(?:export\s+|\+\s|-\s|ENV\s+)?[\w.\-]{0,60}?" + KEY + r"\s{0,3}[:=]\s{0,3})([^\s\"'{\[(][^\s]{2,})$",
    re.IGNORECASE,
)
_PASSWORD_LINE = re.compile(
    r"^(" + STAMP + r"\s*[\w.\-]{0,60}?(?:password|passwd|pwd|secret)\s{0,3}:\s{1,3})([a-z]{3,})$", re.IGNORECASE
)
_FLAG = re.compile(
    r"(?<![\w-])(--?[\w\-]{0,40}?" + KEY + r"|--pass|--pw)(\s+|=)(\\*[\"']?)([^\s\"'-][^\s\"']{2,}|(?<=[\"'])[^\"'\n]{3,})",
    re.IGNORECASE,
)
_ARGV = re.compile(r"""(?<![\w-])(--?[\w\-]{0,40}?""" + KEY + r"""\\*(["'])\s{0,2},\s{0,2}\\*\2)([^"'\n\\]{3,})""", re.IGNORECASE)
_DEFAULT = re.compile(
    r"""(\bget(?:env)?\(\s*\\*(["'])\w{0,60}?""" + KEY + r"""\\*\2\s*,\s*\\*(["']))([^"'\n\\]{3,})(?=\\*\3\s*\))""", re.IGNORECASE
)
_NAME_VALUE = re.compile(
    r"""(["']?(?:name|key)\\*["']?\s*[:=]\s*\\*["']?[\w.\-]{0,60}?"""
    + KEY
    + r"""\\*["']?\s*[,;}]?\s*\\*["']?value\\*["']?\s*[:=]\s*\\*["']?)"""
    r"""([^\s"'\\{][^"'\n\\]{2,})""",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"(<[\w:.\-]{0,60}?" + KEY + r"(?:\s[^<>]{0,200})?>)([^<>\n]{3,})(?=</)", re.IGNORECASE)
_PROPERTY = re.compile(
    r"(<name>[\w.\-]{0,120}?" + KEY + r"</name>\s{0,20}(?:<value>|<string>){1,2})([^<>\n]{3,})(?=</)", re.IGNORECASE
)
_PASSWORD_SAID = re.compile(
    r"(\b(?:password|passwd|identified\s(?:with\s\w+\s)?by)\s(?:is\s|was\s)?)(\\*[\"'])([^\"'\n\\]{3,})(?=\2)", re.IGNORECASE
)

_SET = re.compile(
    r"(\bset\s(?:--?\S{1,60}\s){0,3}\\*[\"']?[\w.\-]{0,60}?" + KEY + r"\\*[\"']?\s{1,4}\\*[\"']?)([^\s\"'=]{3,})", re.IGNORECASE
)

# --- what a value is -------------------------------------------------------------------------------------------------

_WORD = re.compile(
    r"(?:none|null|true|false|str|int|bool|bytes|object|string|optional|any|required|missing|incorrect|invalid|expired|empty|unset"
    r"|wrong|default|changed|failed|denied|masked|redacted|hidden|not|is|was|the|for|and|used|authentication|rejected|unknown"
    r"|environment|sensitive|provided|refreshed|prompt|must|should|enabled|disabled|yes|no|varchar|text|basic|bearer|oauth2?)",
    re.IGNORECASE,
)
_NAME_OF_SECRET = re.compile(
    r"(?:^|[_.])(?:pass(?:word|wd|phrase)?|pwd|secrets?|tokens?|keys?|creds?|credentials?|auth|conn(?:ection)?|env|environ|config"
    r"|settings|getenv|variable|vault|value)(?:$|[_.])",
    re.IGNORECASE,
)
_CLASS_OF_SECRET = re.compile(r"[a-zA-Z](?:Token|Password|Secret|Key|Auth|Credentials?)(?:$|[A-Z_.])")
_PROSE = re.compile(r"^[A-Z][A-Za-z]+(?: [A-Za-z.,:()]+){2,}$")
_PLACEHOLDER = re.compile(
    r"\*{3}.*|\*+|(?i:x{3,})|\.{3,}|…|%\(\w*\)[sd]?|%s|\$[A-Z_][A-Z0-9_]*|\$[a-z_]+|\$\d|\$[{(].*|\{\{.*|\{[\w.\[\]()!:]*\}?"
    r"|\[[A-Z_]*\]|<[^<>]*>|:[a-z_]+|@[a-z_]+|\?|#|#\s.*|(?i:your)[_\- ].*|[\"']\s*[+,)%.].*"
)
_DOTTED_NAME = re.compile(r"^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$")
_WORDLIKE = re.compile(
    r"(?:(?:[A-Z]{2,5}|[A-Z]?[a-z]{3,}|[a-z]{1,2}(?![a-z]))[_\-./:@ ]{0,2})+v?\d{0,4}|(?:[a-z0-9]{1,9}_){1,8}[a-z0-9]{1,9}"
)
_OF_A_THING = re.compile(
    r"[a-z]+(?:[-.][a-z0-9]{1,15}){1,12}|(?:[a-z0-9_.\-]+/)+[\w.\-]*|&?[\w.\-]{1,60}=(?!=*$).*"
    r"|[\w.\-]*\.(?:py|sql|yaml|yml|json|txt|csv|pem|com|io|net)"
)
"""a Kubernetes name, a path, an assignment of its own, a file, a host"""
_SIGN = re.compile(r"[!#$%^&*+~]")
_CODE = re.compile(r"^[A-Za-z_][\w.]*[(\[{]")


def is_secret_name(name: str) -> bool:
    """Whether what has this name is a secret."""
    return re.search(KEY, name, re.IGNORECASE) is not None


def is_strong(value: str) -> bool:
    """Whether the value looks drawn by chance: long and mixed, neither words nor a number nor a path."""
    mixed = any(c.isdigit() for c in value) or (_SIGN.search(value) and value.lower() != value != value.upper())
    if len(value) < 8 or not mixed or not any(c.isalpha() for c in value):
        return False
    if _PLACEHOLDER.fullmatch(value) or _WORDLIKE.fullmatch(value) or _CODE.match(value) or _DOTTED_NAME.match(value):
        return False
    return not re.match(r"^(?:[\d.\-:TZ+/]+$|/|\./|[a-z0-9]+://|arn:|s3:|gs:)", value)


def _is_text(value: str) -> bool:
    """What stands in quotes for anything but a secret."""
    return (
        len(value) < 3
        or _PLACEHOLDER.fullmatch(value) is not None
        or _PROSE.match(value) is not None
        or _WORD.fullmatch(value.strip()) is not None
    )


def _mask_quoted(match: re.Match[str]) -> str:
    head, quote, value = match.group(1, 2, 3)
    return match.group(0) if _is_text(value) else f"{head}{quote}{MASK}"


def _mask_bare(match: re.Match[str]) -> str:
    key, close, separator, value = match.group(1, 2, 3, 4)
    if not _bare_is_secret(key, separator, value):
        return match.group(0)
    return f"{key}{close}{separator}{MASK}"


def _bare_is_secret(key: str, separator: str, value: str) -> bool:
    """Unquoted, a value may as well be code, a type, or prose (`password: required`)."""
    if _PLACEHOLDER.fullmatch(value) is not None or _WORD.fullmatch(value.rstrip(".")):
        return False
    value = value.rstrip(".")
    if key.lower() == "pwd" and value.startswith("/"):  # print working directory
        return False
    plain = value.isidentifier() or _DOTTED_NAME.match(value) is not None
    if key.lower().endswith("key") and _WORDLIKE.fullmatch(value) and "." in value:  # a topic, a path of names
        return False
    if plain and (
        _NAME_OF_SECRET.search(value)
        or _CLASS_OF_SECRET.search(value)
        or (not any(c.isdigit() for c in value) and separator != "=")
    ):
        return False
    if separator.startswith((":", " ")) and (value.isalpha() or len(value) < 6):
        return False
    numeric = value.replace(".", "").isdigit()
    if numeric and key.lower().endswith(("pass", "s")):  # counts
        return False
    return not (numeric and (len(value) < 6 or "token" in key.lower()) and "pass" not in key.lower())


def _mask_whole_line(match: re.Match[str]) -> str:
    """A line that is name and value alone: what follows a sign that ends a value elsewhere belongs to it here."""
    head, value = match.group(1, 2)
    if not is_strong(value) or value.startswith(MASK):
        return match.group(0)
    return head + MASK


def _mask_password_line(match: re.Match[str]) -> str:
    return match.group(0) if _is_text(match.group(2)) else match.group(1) + MASK


def _mask_flag(match: re.Match[str]) -> str:
    *head, value = match.groups()
    return match.group(0) if _is_text(value) else "".join(head) + MASK


def _mask_last(match: re.Match[str]) -> str:
    value = match.group(match.re.groups)
    return match.group(0) if _is_text(value) else match.group(0)[: -len(value)] + MASK


def _mask_strong(match: re.Match[str]) -> str:
    value = match.group(2)
    return match.group(1) + MASK if is_strong(value.rstrip(".")) else match.group(0)


def _mask_beside(match: re.Match[str]) -> str:
    """Beside a name as a column, a member or a word of prose: only what no name of a thing looks like."""
    value = match.group(2).rstrip(".:!?")
    if not is_strong(value) or _OF_A_THING.fullmatch(value):
        return match.group(0)
    return match.group(1) + MASK + match.group(2)[len(value) :]


def _mask_said(match: re.Match[str]) -> str:
    return match.group(0) if _is_text(match.group(3)) else f"{match.group(1)}{match.group(2)}{MASK}"


_WORDS = ("pass", "pwd", "secret", "key", "token", "cred", "auth", "pat")

_VALUE_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_QUOTED, _mask_quoted),
    (_ESCAPED, _mask_quoted),
    (_TYPED, _mask_quoted),
    (_BARE, _mask_bare),
    (_BESIDE, _mask_beside),
)
_NAMED = re.compile(_NAME + r""")(?=(?P<assigned>(?:\\*["'])?\]?\s{0,4}(?:[:=]|%3D))|\W)""", re.IGNORECASE)
_HIT = re.compile("pass|pw|secret|key|token|cred|auth|[-_]pat|jwt|bearer|sessid|sessionid")
_HIT_IN_ANY_CASE = re.compile(_HIT.pattern, re.IGNORECASE)
_TWO_WORDS = ("api ", "access ", "secret ", "account ", "private ")
"""before `key`"""
_LONGEST_HEAD = 16
"""of a name before the word that makes it one: shared_access_ and the like"""


def redact_values(line: str) -> str:
    """`line` without the values beside secrets' names.

    Names are found first, in lower case and by the few words each has one of; a pattern that tried every position would take
    ten times as long.
    """
    low, word = line.lower(), _HIT
    if len(low) != len(line):  # a sign whose lower case is longer: positions would not fit
        low, word = line, _HIT_IN_ANY_CASE
    shown: list[str] = []
    done = at = 0
    while (hit := word.search(low, at)) is not None:
        begin = _begin(low, max(at, hit.start() - _LONGEST_HEAD), hit.start())
        at = hit.end()
        found = _masked_at(line, begin)
        if found is not None:
            masked, end = found
            shown += [line[done:begin], masked]
            done = at = end
    return "".join([*shown, line[done:]]) if shown else line


def _begin(line: str, first: int, at: int) -> int:
    """Where the name that holds the word at `at` begins, not before `first`."""
    while at > first and (line[at - 1].isalnum() or line[at - 1] in "_-."):
        at -= 1
    return next((at - len(word) for word in _TWO_WORDS if line.endswith(word, first, at)), at)


def _masked_at(line: str, begin: int) -> tuple[str, int] | None:
    """What the text from `begin` becomes and where it ended, for the first rule that masks there."""
    named = _NAMED.match(line, begin)
    if named is None:
        return None
    for pattern, mask in _VALUE_RULES if named["assigned"] else _VALUE_RULES[-1:]:
        match = pattern.match(line, begin)
        if match is not None and (masked := mask(match)) != match.group():
            return masked, match.end()
    return None


NAME_RULES: tuple[Rule, ...] = (
    (("password", "passwd", "identified"), _PASSWORD_SAID, _mask_said),
    (_WORDS, _WHOLE_LINE, _mask_whole_line),
    (("password", "passwd", "pwd", "secret"), _PASSWORD_LINE, _mask_password_line),
    (("--", "-s", "-k", "-p"), _FLAG, _mask_flag),
    (("--",), _ARGV, _mask_last),
    (("get",), _DEFAULT, _mask_last),
    (("value",), _NAME_VALUE, _mask_last),
    (("</",), _ELEMENT, _mask_last),
    (("</name>",), _PROPERTY, _mask_last),
    (("set ",), _SET, _mask_last),
)
