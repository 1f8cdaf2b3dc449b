"""What a session may do: the stricter of deployment and request, decided by the server, enforced in code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Policy:
    """The effective policy of one session.

    `denied_paths` and `allowed_paths` are glob patterns on repository paths (an empty `allowed_paths` allows all that is not
    denied). `allow_unreviewed_reruns` waives the approval of a rerun; a change that needs a person is never waived.
    """

    autonomy: Autonomy = Autonomy.RERUN
    approve_before: tuple[str, ...] = ("rerun",)
    approvers: tuple[str, ...] = ()
    allow_unreviewed_reruns: bool = False
    allowed_paths: tuple[str, ...] = ()
    denied_paths: tuple[str, ...] = ()
    max_files: int = 10
    max_lines: int = 400
    max_turns: int = 40
    max_tokens: int = 1_000_000
    max_dollars: float = 5.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Policy:
        lists = ("approve_before", "approvers", "allowed_paths", "denied_paths")
        return cls(**{**data, "autonomy": Autonomy(data["autonomy"]), **{name: tuple(data[name]) for name in lists}})
