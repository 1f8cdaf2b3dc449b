"""What a session may do: of all that have a say the stricter, decided by the server, enforced in code.

Invariant: a further layer takes away, it never gives: whatever it says, nothing is allowed that was not without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any


class Autonomy(StrEnum):
    """How far a session may go by itself; each includes the ones before it."""

    REPORT = "report"
    PROPOSE = "propose"
    RERUN = "rerun"
    RECOVER = "recover"

    @property
    def rank(self) -> int:
        return list(Autonomy).index(self)

    def allows(self, wanted: Autonomy) -> bool:
        return wanted.rank <= self.rank


def stricter(one: Autonomy, other: Autonomy) -> Autonomy:
    """The one of the two that allows less."""
    return min(one, other, key=lambda autonomy: autonomy.rank)


def is_own(dag_id: str) -> bool:
    """One of AgentFix's own DAGs, which it never works on."""
    return dag_id.startswith("agentfix_")


Globs = tuple[str, ...]


@dataclass(frozen=True)
class RepoCheck:
    """A command of the repository that has to pass on a fix as it does on its base; `run` is its argument vector."""

    name: str
    run: tuple[str, ...]
    timeout: int = 300
    """seconds"""


@dataclass(frozen=True)
class Policy:
    """The effective policy of one session.

    `allowed_paths` and `denied_paths` are groups of glob patterns on repository paths, a group for each that named some: a path
    has to match one glob of every allowed group, and none of a denied one. No group allows all that is not denied.
    `allow_unreviewed_reruns` waives the approval of a rerun; a change that needs a person is never waived. `daily_dollars` is
    for all sessions of a DAG together, from midnight UTC on; the other limits are a session's.
    """

    autonomy: Autonomy = Autonomy.RERUN
    approve_before: tuple[str, ...] = ("rerun",)
    approvers: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    """whom a pull request is put to: logins, and teams as ORG/TEAM; none leaves it to the repository's CODEOWNERS"""
    allow_unreviewed_reruns: bool = False
    rerun_ways: tuple[str, ...] = ("pin", "preview", "conf")
    allowed_paths: tuple[Globs, ...] = ()
    denied_paths: tuple[Globs, ...] = ()
    max_files: int = 10
    max_lines: int = 400
    max_fixes: int = 2
    max_turns: int = 40
    max_tokens: int = 1_000_000
    max_dollars: float = 5.0
    max_minutes: int = 120
    daily_dollars: float = 50.0
    run_checks: bool = True
    checks: tuple[RepoCheck, ...] = ()

    def as_layer(self, source: str) -> Layer:
        return Layer(source, **vars(self))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Policy:
        """The policy as any version wrote it: what that did not know has its default here, what is not known here is left out,
        and an autonomy that is not known here allows a report. What else was in force is found again with the next claim."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: _FROM_JSON.get(name, _as_it_is)(value) for name, value in data.items() if name in known})


def _as_it_is(value: Any) -> Any:
    return value


def _autonomy(value: str) -> Autonomy:
    return Autonomy(value) if value in list(Autonomy) else Autonomy.REPORT


def _checks(value: Iterable[Mapping[str, Any]]) -> tuple[RepoCheck, ...]:
    known = {one.name for one in fields(RepoCheck)}
    said = ({name: part for name, part in check.items() if name in known} for check in value)
    return tuple(RepoCheck(**{**check, "run": tuple(check["run"])}) for check in said)


def _groups(value: Iterable[Iterable[str]]) -> tuple[Globs, ...]:
    return tuple(map(tuple, value))


_FROM_JSON: Mapping[str, Callable[[Any], Any]] = {
    "autonomy": _autonomy,
    "approve_before": tuple,
    "approvers": tuple,
    "reviewers": tuple,
    "rerun_ways": tuple,
    "allowed_paths": _groups,
    "denied_paths": _groups,
    "checks": _checks,
}


@dataclass(frozen=True)
class Layer:
    """What one source says; None where it says nothing. `source` is told to people: which option, which file and entry."""

    source: str
    autonomy: Autonomy | None = None
    approve_before: tuple[str, ...] | None = None
    approvers: tuple[str, ...] | None = None
    reviewers: tuple[str, ...] | None = None
    allow_unreviewed_reruns: bool | None = None
    rerun_ways: tuple[str, ...] | None = None
    allowed_paths: tuple[Globs, ...] | None = None
    denied_paths: tuple[Globs, ...] | None = None
    max_files: int | None = None
    max_lines: int | None = None
    max_fixes: int | None = None
    max_turns: int | None = None
    max_tokens: int | None = None
    max_dollars: float | None = None
    max_minutes: int | None = None
    daily_dollars: float | None = None
    run_checks: bool | None = None
    checks: tuple[RepoCheck, ...] | None = None
    problem: str | None = None
    """why this source could not be heard; it then allows as little as its autonomy says"""
    is_away: bool = False
    """it could not be reached: what it said before is the best there is to know"""


NAMES = tuple(one.name for one in fields(Policy))


@dataclass(frozen=True)
class Effective:
    """A policy, and for each of its values the sources it comes from; none for a built-in default."""

    policy: Policy
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        sources = {name: list(found) for name, found in self.sources.items()}
        return {"policy": self.policy.to_json(), "sources": sources, "problems": list(self.problems)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Effective:
        """As `Policy.from_json` reads what another version wrote."""
        sources = {name: tuple(found) for name, found in data.get("sources", {}).items()}
        return cls(Policy.from_json(data["policy"]), sources, tuple(data.get("problems", ())))


def combine(layers: Iterable[Layer]) -> Effective:
    """The stricter of all layers, value by value."""
    layers = tuple(layers)
    values: dict[str, Any] = {}
    sources: dict[str, tuple[str, ...]] = {}
    for name in NAMES:
        said = [(layer.source, value) for layer in layers if (value := getattr(layer, name)) is not None]
        if said:
            values[name], sources[name] = _STRICTER.get(name, _least)(said)
    problems = tuple(layer.problem for layer in layers if layer.problem)
    return _with_somebody_to_ask(Effective(Policy(**values), sources, problems), layers)


def _with_somebody_to_ask(found: Effective, layers: Sequence[Layer]) -> Effective:
    """Where the named approvers have nobody in common nobody may approve, which must not read as: anybody may."""
    named = [layer for layer in layers if layer.approvers]
    if not named or found.policy.approvers:
        return found
    said = "; ".join(f"{layer.source}: {', '.join(layer.approvers or ())}" for layer in named)
    problem = f"Nobody may approve a rerun: the approvers named have nobody in common ({said}). Name one person in all of them."
    capped = stricter(found.policy.autonomy, Autonomy.PROPOSE)
    sources = found.sources if capped is found.policy.autonomy else {**found.sources, "autonomy": found.sources["approvers"]}
    return Effective(replace(found.policy, autonomy=capped), sources, (*found.problems, problem))


Said = Sequence[tuple[str, Any]]
"""(source, value) of each layer that says something"""
Decided = tuple[Any, tuple[str, ...]]


def _least(said: Said) -> Decided:
    source, value = min(said, key=lambda one: one[1])
    return value, (source,)


def _least_autonomy(said: Said) -> Decided:
    source, value = min(said, key=lambda one: one[1].rank)
    return value, (source,)


def _all_of(said: Said) -> Decided:
    """Everything that somebody names."""
    named = [(source, value) for source, value in said if value] or list(said[:1])
    return tuple(dict.fromkeys(word for _, value in named for word in value)), tuple(source for source, _ in named)


def _common(said: Said) -> Decided:
    """Those that everybody names who names any."""
    named = [(source, value) for source, value in said if value]
    if not named:
        return (), (said[0][0],)
    common = [word for word in dict.fromkeys(named[0][1]) if all(word in value for _, value in named)]
    return tuple(common), tuple(source for source, _ in named)


def _in_all(said: Said) -> Decided:
    """Those that everybody names; who names none allows none."""
    common = [word for word in said[0][1] if all(word in value for _, value in said)]
    return tuple(common), tuple(source for source, _ in said)


_STRICTER: Mapping[str, Callable[[Said], Decided]] = {
    "autonomy": _least_autonomy,
    "approve_before": _all_of,
    "approvers": _common,
    "reviewers": _all_of,
    "rerun_ways": _in_all,
    "allowed_paths": _all_of,  # each one's globs stay a group: a negated glob takes nothing back of what another said
    "denied_paths": _all_of,
    "checks": _all_of,
}
