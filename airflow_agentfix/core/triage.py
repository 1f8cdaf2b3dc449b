"""The verdict by rules: what kind of failure a root cause is, how sure that is, and who should do what.

`decided` (the session may end without a model) is only for infrastructure from `DECIDED_FROM` on.
"""

from __future__ import annotations

import re

from airflow_agentfix.core.incident import Judgement, RootCause, Verdict
from airflow_agentfix.core.triage_rules import RULES, Rule

DECIDED_FROM = 0.9
"""Confidence from which an `infra` verdict ends a session without a model call."""

_COMPILED = tuple(
    (rule, re.compile(rule.types) if rule.types else None, re.compile(rule.text) if rule.text else None) for rule in RULES
)
_STATES_ERROR = re.compile(r"^(?:\S{1,80} )?\[?(?:fatal|error|panic)\b", re.IGNORECASE)
NOT_SURE = 0.85
_QUOTED_NAME = re.compile(r"'(?![A-Z][a-z]*[A-Z])[^'\s]{1,200}'|\"(?![A-Z][a-z]*[A-Z])[^\"\s]{1,200}\"")
"""a value or a name: what it is called says nothing of what failed. `'OOMKilled'` and its like are a machine's own words"""
_OF_VALUES = re.compile(
    r"^(?:KeyError|ValueError|LookupError|AssertionError|IndexError|TypeError|AttributeError|NameError|ZeroDivisionError"
    r"|JSONDecodeError|UnicodeDecodeError|FileNotFoundError|Undefined\w+|Duplicate\w+|Ambiguous\w+|\w+Violation)$"
)
"""exceptions about values and names: no word in them makes the platform the cause"""
_IN_OWN_WORDS = re.compile(r"^(?:RuntimeError|Exception|Airflow(?:Fail)?Exception)$")
_ANY_REQUEST = re.compile(r"\b(?:HTTPError|HTTPStatusError|ClientResponseError)$")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""an exception's name is of its author's words too"""
SENTENCE = 4
"""words from which a message says something"""
_SETTING = re.compile(
    r"\b(?:config\w*|settings?|unknown|unsupported|unexpected keyword|environments?|parameters?|arguments?|options?"
    r"|ya?ml|toml|env|sql|py|wired|schema drift|not (?:set|configured|implemented|supported|defined)"
    r"|must be (?:set|one of|an? instance)"
    r"|import|module|version|deprecated|contract)\b",
    re.IGNORECASE,
)
_SERVICE = re.compile(
    r"\b(?:credentials?|token|secret|vault|permission|unauthori[sz]ed|forbidden|unavailable|unreachable|timed? ?out|timeout|quota"
    r"|throttl\w+|connection|no answer|upstream"
    r"|(?:cluster|service|server|host|API) (?:is|was|stayed) (?:down|red|silent|away|busy|full)"
    r"|licen[cs]es?|gateway|HTTP ?(?:status )?(?:5\d\d|429)|status(?: code)? 5\d\d"
    r"|(?:API|service|server|endpoint) (?:returned|answered|responded|is down|failed))\b",
    re.IGNORECASE,
)
_RULE = re.compile(rf"^(?:{'|'.join(re.escape(rule.name) for rule in RULES)}): ")
_OPERATOR = re.compile(r" \(\w+\)$")
_LOCAL = re.compile(r"localhost|127\.0\.0\.1|\[::1\]")


def judge(
    cause: RootCause, *, operator: str | None = None, try_number: int | None = None, max_tries: int | None = None
) -> Judgement:
    """The verdict on a root cause. `evidence` are the log lines it rests on; `owner_action` says who should do what."""
    rule = _first_match(cause)
    if rule is None:
        return _without_rule(cause)
    confidence = rule.confidence
    if rule.verdict is Verdict.INFRA and _is_local(cause) and rule.name in ("not reached", "not resolved"):
        confidence = min(confidence, NOT_SURE)  # nothing listens on the worker itself: as often a wrong host as a dead service
    if rule.name in ("login refused", "no right") and _ANY_REQUEST.search(cause.exception or ""):
        confidence = min(confidence, NOT_SURE)  # as often a request without its key as a login that was taken away
    if _is_own_raise(cause):
        confidence = min(confidence, NOT_SURE)
    decided = rule.verdict is Verdict.INFRA and confidence >= DECIDED_FROM
    tried = f" after {try_number} tries" if rule.verdict is Verdict.INFRA and try_number and max_tries and try_number > 1 else ""
    where = f" ({operator})" if operator else ""
    reason = f"{rule.name}: {rule.reason}{tried}{where}"
    return Judgement(rule.verdict, confidence, reason, _evidence(cause), decided, rule.action)


def in_words(reason: str) -> str:
    """A verdict's reason without the rule's name and the operator's class, which are for those who keep the rules."""
    text = _OPERATOR.sub("", _RULE.sub("", reason))
    return f"{text[:1].upper()}{text[1:]}"


def _is_own_raise(cause: RootCause) -> bool:
    """Whether the DAG's own code raised it, of a type that says nothing: then only the author's words do."""
    name = (cause.exception or "").rsplit(".", 1)[-1]
    return bool(cause.frames) and cause.frames[-1].user and _IN_OWN_WORDS.match(name) is not None


def _is_local(cause: RootCause) -> bool:
    """Whether the host that did not answer is the worker itself; the innermost exception often leaves out which it was."""
    return any(_LOCAL.search(text) for text in (cause.line, cause.message, *(text for _, text in cause.context)))


def _first_match(cause: RootCause) -> Rule | None:
    name = (cause.exception or "").rsplit(".", 1)[-1]
    text = f"{cause.line}\n{cause.message[:3000]}"
    outside = _QUOTED_NAME.sub("''", text)
    speaks_of_values = _OF_VALUES.search(name) is not None
    for rule, types, words in _COMPILED:
        if rule.verdict is Verdict.INFRA and words is not None and (speaks_of_values or not words.search(outside)):
            continue
        if (types is None or (name and types.search(name))) and (words is None or words.search(text)):
            return rule
    return None


def _without_rule(cause: RootCause) -> Judgement:
    if cause.exception and cause.frames and cause.frames[-1].user and len(cause.message.split()) >= SENTENCE:
        return _own_words(cause)
    if cause.user_frames:
        return Judgement(Verdict.CODE, 0.6, "raised in the DAG's own code, and no other rule speaks", _evidence(cause))
    if cause.exception:
        return Judgement(Verdict.CODE, 0.4, "an exception that no rule knows", _evidence(cause))
    if _STATES_ERROR.match(cause.line):
        return Judgement(Verdict.CODE, 0.35, "an error of the task's own command that no rule knows", _evidence(cause))
    return Judgement(Verdict.UNKNOWN, 0.2, "no rule knows this line", _evidence(cause))


def _own_words(cause: RootCause) -> Judgement:
    """The DAG's own code raised it and says why. What is no setting and no service is most often what it was given."""
    words = f"{_CAMEL.sub(' ', (cause.exception or '').rsplit('.', 1)[-1])} {cause.message}"
    if _SETTING.search(words):
        return Judgement(Verdict.CODE, 0.6, "the DAG's own code refused a setting or an argument", _evidence(cause))
    if _SERVICE.search(words):
        return Judgement(Verdict.INFRA, 0.5, "the DAG's own code was refused by a service", _evidence(cause))
    return Judgement(Verdict.DATA, 0.55, "the DAG's own code refused what it was given, in its own words", _evidence(cause))


def _evidence(cause: RootCause) -> tuple[str, ...]:
    stated = cause.line[:120]
    lines = [number for number, text in cause.context if stated and stated in text] or [
        number for number, _ in cause.context[-1:]
    ]
    return tuple(f"L{number}" for number in dict.fromkeys(lines))
