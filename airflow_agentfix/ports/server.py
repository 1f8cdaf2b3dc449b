"""Airflow from inside the API server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_agentfix.core.incident import DagFacts, TaskFacts, TaskRef
from airflow_agentfix.core.plain import Json
from airflow_agentfix.core.recovery import Scene


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
    pull_request: str | None = None
    """for the run's note"""


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


@dataclass(frozen=True)
class Preview:
    """A fix's preview: the bundle that serves it, its DAG, its loader file there, and the commit it has to be of."""

    bundle: str
    dag_id: str
    loader: str
    commit: str


@dataclass(frozen=True)
class RunLike:
    """A new run like a failed one: with its logical date, data interval, partition and conf; `conf` is laid over that.

    `scope`: `dag` runs all of it, `downstream` the tasks `task_ids` with all they need and all below them, `task` those with all
    they need; the rest is skipped. A DAG that has none of these tasks any more runs whole.
    """

    dag_id: str
    run_id: str
    like_dag_id: str
    like_run_id: str
    conf: Mapping[str, Any]
    task_ids: tuple[str, ...]
    scope: str
    note: str


@dataclass(frozen=True)
class RecoverRequest:
    """Let a failed run go on with the merged fix: clear these tasks and what they kept from running, on the newest version."""

    session_id: str
    dag_id: str
    run_id: str
    tasks: tuple[tuple[str, int, int], ...]
    """(task id, map index, the try that failed): cleared only as they are told here"""
    version: str | None
    """what Airflow serves the DAG on, as it was looked at; None where its bundle has no versions"""


@dataclass(frozen=True)
class TaskStates:
    """How a task of a run stands: of its instances, how many are in which state (`no status` before it is scheduled)."""

    task_id: str
    counts: Mapping[str, int]
    mapped: bool = False


@dataclass(frozen=True)
class RunSeen:
    """A run as its page shows it: what failed in it, in the order it did, and how the tasks stand that were asked for."""

    state: str
    version: str | None
    """the bundle version it is on"""
    tasks: tuple[TaskFacts, ...]
    """those that are failed, and those that were asked for; no more than `MOST_TASKS`"""
    failed: int
    """task instances, all of them"""
    victims: int
    """that did not run because others failed"""


MOST_TASKS = 1_000


class ServerAirflow(Protocol):
    """Airflow's own database and auth manager, from inside the API server only. Raises `errors.AirflowError` and its kinds."""

    def dag(self, dag_id: str) -> DagFacts:
        """The DAG as it was parsed last, with its tags. AirflowNotFound."""

    def resolve(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> TaskFacts:
        """The task instance as it stands; AirflowNotFound says which of DAG, run, task, map index is unknown."""

    def start_run(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run of one of our DAGs; one that exists is left alone. ConfigurationError if the DAG is missing or paused."""

    def run_state(self, dag_id: str, run_id: str) -> str | None: ...

    def task_states(self, dag_id: str, run_id: str, task_ids: Sequence[str]) -> tuple[TaskStates, ...]:
        """How these tasks of a run stand, in this order, of many the first; without those that the run does not have."""

    def run_states(self, dag_id: str, run_ids: Collection[str]) -> Mapping[str, str]:
        """Of those of these runs that there are."""

    def run_seen(self, dag_id: str, run_id: str, *, task_ids: Collection[str]) -> RunSeen | None:
        """The run with what failed in it, and these tasks; None where there is no such run."""

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

    def preview_bundle(self, url: str) -> str | None:
        """The name of the configured AgentFixPreviews bundle of this repository, None if there is none."""

    def is_served(self, preview: Preview) -> bool:
        """Whether the preview's DAG was parsed from this very commit and is not stale."""

    def preview_error(self, preview: Preview) -> str | None:
        """The import error of the preview's loader file, None where it has none."""

    def start_like(self, wanted: RunLike) -> tuple[str, ...]:
        """Start such a run; one that exists is left alone. Gives the ids of the tasks that judge it: those of `task_ids` and what
        is below them. RerunImpossible where Airflow refuses it."""

    def params(self, dag_id: str) -> Json:
        """The DAG's params with their defaults, as it was parsed last. AirflowNotFound."""

    def run_conf(self, dag_id: str, run_id: str) -> Json:
        """The conf of a run. AirflowNotFound."""

    def ended_by_hand(self, dag_id: str, run_id: str, *, task_ids: Sequence[str], since: str) -> str | None:
        """Who set the run, or one of these tasks of it, to an end, or deleted the run, since then (ISO 8601); None where nobody
        did."""

    def scene(self, dag_id: str, failures: Sequence[TaskRef], *, session_id: str) -> Scene:
        """What a recovery is decided on: the DAG, and the runs of these failures, as they stand. AirflowNotFound: no such DAG."""

    def recover(self, request: RecoverRequest) -> tuple[str, ...]:
        """Returns the task ids that were cleared. AirflowConflict where run, task or DAG is not as it was looked at (any more);
        RerunImpossible where the run cannot go on with what is served."""

    def run_version(self, dag_id: str, run_id: str) -> str | None:
        """The bundle version the run is on; None where its bundle has none, or there is no such run."""

    def served_version(self, dag_id: str) -> str | None:
        """The bundle version that new runs of the DAG are created on; None where its bundle has none."""

    def shape(self, dag_id: str, run_id: str) -> Json:
        """`core.shape.shape_of` of the serialized DAG the run was created with."""

    def may(self, user: Any, dag_id: str, *, edit: bool) -> bool:
        """The auth manager's word on this DAG: read a session needs read on it; edit needs what editing its runs needs."""

    def readable(self, user: Any, dag_ids: Collection[str]) -> frozenset[str]:
        """Those of these DAGs whose sessions this person may read, as `may` says of each."""

    def one_user_for_all(self) -> bool:
        """Whether everybody who logs in is the same user, so that a worker cannot be told from a person."""
