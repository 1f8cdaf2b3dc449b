"""The story of a real world in which nobody dies, and what has to be true of every other one in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from airflow_agentfix.core.session import Outcome, Session
from airflow_agentfix.core.stages import StageState
from airflow_agentfix.core.verification import record
from tests.agent.real_world import RealWorld
from tests.fakes.server_airflow import ASK_DAG


@dataclass(frozen=True)
class Undisturbed:
    """The same story without a death."""

    moments: Sequence[str]
    kinds: Counter[str]
    calls: int
    summary: str | None

    def deaths(self, *names: str) -> list[int]:
        """Where to die: before the first moment of all, and after each innermost call whose name begins so."""
        ends = [
            number
            for number, (before, after) in enumerate(pairwise(self.moments), 2)
            if before.startswith("before ") and after == before.replace("before ", "after ", 1)
        ]
        return [number for number in ends if self.moments[number - 1].removeprefix("after ").startswith(names)]


Live = Callable[..., Undisturbed]


def assert_whole(world: RealWorld, done: Session) -> None:
    """One of each effect, and a record without a gap."""
    events, fix = world.events(), f"{done.fix_branch}"
    assert done.outcome is Outcome.FIXED
    assert sorted(world.branches()) == sorted([fix, "main"])
    assert world.commits(fix) == 1
    assert world.github.text("rev-parse", fix) == done.fix_commit
    if not world.plain_git:
        (pull,) = world.github.pulls
        assert (pull["head"]["ref"], pull["draft"]) == (fix, False)
        assert "- **rerun**: passed: " in pull["body"]
    assert [pin.commit for pin in world.server.airflow.pins] == [done.fix_commit]
    asked = [run_id for dag_id, run_id in world.server.airflow.runs if dag_id == ASK_DAG]
    assert len(asked) == len(world.server.airflow.answers) == 2
    assert [one.person for one in world.server.store.approvals(world.session_id)] == ["anna"]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert world.server.store.broken_link(world.session_id) is None
    assert [stage.name for stage in record(events) if stage.state is StageState.PASSED] == [
        "gates", "compiled", "DAG imports", "shape kept", "rerun",
    ]  # fmt: skip
