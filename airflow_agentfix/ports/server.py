"""Airflow from inside the API server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_agentfix.core.incident import DagFacts, TaskFacts
from airflow_agentfix.core.plain import Json


@dataclass(frozen=True)
class Question:
    """What a run of agentfix_ask shows under Required Actions."""

    run_id: str
    """deterministic: agentfix__<session id>__<question id>"""
    subject: str
    body: str
    options: tuple[str, ...]
    assigned_users: tuple[str, ...] = ()
    hours: float = 0.0
    """after which it ends without an answer; 0 waits for ever"""


@dataclass(frozen=True)
class HumanAnswer:
    """An answer under Required Actions, with the identity Airflow recorded."""

    option: str
    message: str
    user: str


@dataclass(frozen=True)
class PinRequest:
    """Put a failed run on a fix commit and clear its failed tasks of one cause, with downstream."""

    session_id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    """-1: not mapped, or all instances of the task that failed"""
    commit: str
    also: tuple[tuple[str, int], ...] = ()
    """further tasks of the run that failed of the same cause, as (task id, map index)"""


@dataclass(frozen=True)
class Pinned:
    """`task_ids` were cleared; `original_version` is what the run goes back to when the pin ends."""

    run_id: str
    task_ids: tuple[str, ...]
    original_version: str | None


@dataclass(frozen=True)
class UnpinRequest:
    """Take a run off the fix commit that this session put it on."""

    session_id: str
    dag_id: str
    run_id: str
    commit: str
    version: str | None
    """what the run is to be on instead"""


class ServerAirflow(Protocol):
    """Airflow's own database and auth manager, from inside the API server only. Raises `errors.AirflowError` and its kinds."""

    def dag(self, dag_id: str) -> DagFacts:
        """The DAG as it was parsed last, with its tags. AirflowNotFound."""

    def resolve(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> TaskFacts:
        """The task instance as it stands; AirflowNotFound says which of DAG, run, task, map index is unknown."""

    def start_run(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run of one of our DAGs; one that exists is left alone. ConfigurationError if the DAG is missing or paused."""

    def run_state(self, dag_id: str, run_id: str) -> str | None: ...

    def ask(self, question: Question) -> None:
        """Start (idempotently) the run of agentfix_ask that shows the question."""

    def answer(self, run_id: str) -> HumanAnswer | None:
        """What was answered under Required Actions, None while nobody has."""

    def give_answer(self, run_id: str, *, option: str, message: str, user: Any) -> None:
        """Answer the question's run in the person's name (an Airflow user object), so that it ends."""

    def withdraw(self, run_id: str, *, reason: str) -> None:
        """End the run of a question nobody needs an answer to any more, shown or not, whoever it was put to."""

    def require_pinnable(self, dag_id: str, run_id: str) -> None:
        """Raises RerunImpossible where no pin of this run can work, whatever the commit: asked before a person is."""

    def pin(self, request: PinRequest) -> Pinned:
        """DESIGN §10 "Pin in detail". SessionConflict-free: a run already pinned to this commit gives the same answer.
        RerunImpossible says what is missing; AirflowConflict while the run is not terminal."""

    def end_pin(self, request: UnpinRequest) -> str | None:
        """Returns the version the run is on now: a run that left the commit meanwhile, or that another session has pinned, is
        left alone. AirflowConflict while the run is not terminal."""

    def run_version(self, dag_id: str, run_id: str) -> str | None:
        """The bundle version the run is on; None where its bundle has none, or there is no such run."""

    def served_version(self, dag_id: str) -> str | None:
        """The bundle version that new runs of the DAG are created on; None where its bundle has none."""

    def shape(self, dag_id: str, run_id: str) -> Json:
        """`core.shape.shape_of` of the serialized DAG the run was created with."""

    def may(self, user: Any, dag_id: str, *, edit: bool) -> bool:
        """The auth manager's word on this DAG: read a session needs read on it; edit needs what editing its runs needs."""

    def one_user_for_all(self) -> bool:
        """Whether everybody who logs in is the same user, so that a worker cannot be told from a person."""
