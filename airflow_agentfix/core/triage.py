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
_LOCAL = re.compile(r"localhost|127\.0\.0\.1|\[::1\]")


def judge(
    cause: RootCause, *, operator: str | None = None, try_number: int | None = None, max_tries: int | None = None
) -> Judgement:
    """The verdict on a root cause. `evidence` are the log lines it rests on; `owner_action` says who should do what."""
    rule = _first_match(cause)
    if rule is None:
        return _without_rule(cause)
    confidence = rule.confidence
    if rule.verdict is Verdict.INFRA and _LOCAL.search(cause.line) and rule.name in ("not reached", "not resolved"):
        confidence = min(confidence, 0.85)  # nothing listens on the worker itself: as often a wrong host as a dead service
    decided = rule.verdict is Verdict.INFRA and confidence >= DECIDED_FROM
    tried = f" after {try_number} tries" if rule.verdict is Verdict.INFRA and try_number and max_tries and try_number > 1 else ""
    action = f"{rule.action} Seen: {cause.line[:200]}" if rule.action else None
    where = f" ({operator})" if operator else ""
    return Judgement(rule.verdict, confidence, f"{rule.name}: {rule.reason}{tried}{where}", _evidence(cause), decided, action)


def _first_match(cause: RootCause) -> Rule | None:
    name = (cause.exception or "").rsplit(".", 1)[-1]
    text = f"{cause.line}\n{cause.message[:3000]}"
    for rule, types, words in _COMPILED:
        if (types is None or (name and types.search(name))) and (words is None or words.search(text)):
            return rule
    return None


def _without_rule(cause: RootCause) -> Judgement:
    if cause.user_frames:
        return Judgement(Verdict.CODE, 0.6, "raised in the DAG's own code, and no other rule speaks", _evidence(cause))
    if cause.exception:
        return Judgement(Verdict.CODE, 0.4, "an exception that no rule knows", _evidence(cause))
    if _STATES_ERROR.match(cause.line):
        return Judgement(Verdict.CODE, 0.35, "an error of the task's own command that no rule knows", _evidence(cause))
    return Judgement(Verdict.UNKNOWN, 0.2, "no rule knows this line", _evidence(cause))


def _evidence(cause: RootCause) -> tuple[str, ...]:
    stated = cause.line[:120]
    lines = [number for number, text in cause.context if stated and stated in text] or [
        number for number, _ in cause.context[-1:]
    ]
    return tuple(f"L{number}" for number in dict.fromkeys(lines))
