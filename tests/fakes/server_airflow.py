"""Airflow from inside, in memory: a failed run that can be pinned, questions that can be answered, rights per person."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_agentfix.core.incident import DagFacts, TaskFacts, TaskRef
from airflow_agentfix.core.recovery import DagNow, RunNow, Scene, TaskNow
from airflow_agentfix.errors import AirflowConflict, AirflowForbidden, AirflowNotFound, ConfigurationError, RerunImpossible
from airflow_agentfix.ports import (
    HumanAnswer,
    Json,
    Pinned,
    PinRequest,
    Preview,
    Question,
    RecoverRequest,
    RunLike,
    RunSeen,
    TaskStates,
    UnpinRequest,
)

ASK_DAG = "agentfix_ask"
ORIGINAL = "0" * 40


@dataclass(frozen=True)
class Person:
    """An Airflow user as the auth manager makes one."""

    name: str

    def get_name(self) -> str:
        return self.name

    def get_id(self) -> str:
        return self.name


@dataclass
class FakeServerAirflow:
    """`ports.ServerAirflow`. What it holds is public: a test arranges it and reads what happened."""

    tasks: dict[tuple[str, str, str, int], TaskFacts] = field(default_factory=dict)
    runs: dict[tuple[str, str], str] = field(default_factory=dict)
    """(dag_id, run_id) to state"""
    confs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    rights: dict[tuple[str, str], str] = field(default_factory=dict)
    """(person, dag_id) to read | edit"""
    questions: dict[str, Question] = field(default_factory=dict)
    answers: dict[str, HumanAnswer] = field(default_factory=dict)
    pins: list[PinRequest] = field(default_factory=list)
    versions: dict[tuple[str, str], str | None] = field(default_factory=dict)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    """dag_id to the version new runs are created on"""
    unversioned: set[tuple[str, str]] = field(default_factory=set)
    """(dag_id, run_id) that no commit can be set for"""
    preview_bundles: dict[str, str] = field(default_factory=dict)
    """repository URL to the bundle that serves its previews"""
    previews: list[Preview] = field(default_factory=list)
    """those that are served"""
    broken: dict[str, str] = field(default_factory=dict)
    """loader file to its import error"""
    new_runs: list[RunLike] = field(default_factory=list)
    dag_params: dict[str, Json] = field(default_factory=dict)
    by_hand: dict[tuple[str, str], str] = field(default_factory=dict)
    """(dag_id, run_id) to who ended it"""
    one_by_one: bool = False
    """a run of any DAG needs the one before it"""
    cannot_go_on: set[str] = field(default_factory=set)
    """ids of runs whose task the served DAG has not"""
    recoveries: list[RecoverRequest] = field(default_factory=list)
    nothing_failed: bool = False
    asked_rights: int = 0
    """DAGs that lists asked the auth manager for"""
    all_admins: bool = False
    """everybody is the same user"""

    def fail(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, try_number: int = 1) -> None:
        """A task that failed for good, in a run that has ended."""
        self.tasks[dag_id, run_id, task_id, map_index] = TaskFacts(task_id, map_index, try_number, "failed")
        self.runs[dag_id, run_id] = "failed"
        self.versions.setdefault((dag_id, run_id), ORIGINAL)

    def required_action(self, run_id: str, option: str, *, user: str, message: str = "") -> None:
        """A person answers under Required Actions, which lets assigned users alone do it."""
        question = self.questions[run_id]
        if question.assigned_users and user not in question.assigned_users:
            raise AirflowForbidden(f"{user} is not assigned")
        if run_id in self.answers:
            raise AirflowConflict("answered already")
        assert option in question.options
        self.answers[run_id] = HumanAnswer(option, message, user)
        self.runs[ASK_DAG, run_id] = "success"

    def time_out(self, run_id: str) -> None:
        """The question's time is up: its run fails without an answer."""
        assert self.questions[run_id].hours
        self.runs[ASK_DAG, run_id] = "failed"

    # --- the port

    def dag(self, dag_id: str) -> DagFacts:
        if all(dag_id != known for known, *_ in self.tasks):
            raise AirflowNotFound(f"No DAG {dag_id!r} in Airflow.")
        return DagFacts(dag_id, f"dags/{dag_id}.py", tags=self.tags.get(dag_id, ()))

    def resolve(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> TaskFacts:
        try:
            return self.tasks[dag_id, run_id, task_id, map_index]
        except KeyError:
            raise AirflowNotFound(f"No task {task_id!r} in run {run_id!r} of {dag_id!r}.") from None

    def start_run(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        if (dag_id, run_id) in self.runs:
            return
        if dag_id in self.paused:
            raise ConfigurationError(f"DAG {dag_id!r} is paused. Unpause it, in Airflow or with: airflow dags unpause {dag_id}")
        self.runs[dag_id, run_id] = "running"
        self.confs[run_id] = conf

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        return self.runs.get((dag_id, run_id))

    def task_states(self, dag_id: str, run_id: str, task_ids: Sequence[str]) -> tuple[TaskStates, ...]:
        found: dict[str, dict[str, int]] = {}
        mapped = set()
        for (dag, run, task_id, index), facts in self.tasks.items():
            if (dag, run) == (dag_id, run_id) and task_id in task_ids:
                counts = found.setdefault(task_id, {})
                counts[facts.state or "no status"] = counts.get(facts.state or "no status", 0) + 1
                mapped |= {task_id} if index >= 0 else set()
        return tuple(TaskStates(one, found[one], one in mapped) for one in task_ids if one in found)

    def run_states(self, dag_id: str, run_ids: Collection[str]) -> Mapping[str, str]:
        return {run_id: self.runs[dag_id, run_id] for run_id in run_ids if (dag_id, run_id) in self.runs}

    def run_seen(self, dag_id: str, run_id: str, *, task_ids: Collection[str]) -> RunSeen | None:
        if (dag_id, run_id) not in self.runs:
            return None
        here = [facts for (dag, run, *_), facts in self.tasks.items() if (dag, run) == (dag_id, run_id)]
        shown = tuple(facts for facts in here if facts.state == "failed" or facts.task_id in task_ids)
        failed, victims = (sum(facts.state == state for facts in here) for state in ("failed", "upstream_failed"))
        return RunSeen(self.runs[dag_id, run_id], self.versions.get((dag_id, run_id)), shown, failed, victims)

    def ask(self, question: Question) -> None:
        self.start_run(ASK_DAG, run_id=question.run_id, conf={})
        if self.questions.setdefault(question.run_id, question) != question:
            raise AirflowConflict(f"Run {question.run_id!r} exists and shows another question.")

    def answer(self, run_id: str) -> HumanAnswer | None:
        return self.answers.get(run_id)

    def give_answer(self, run_id: str, *, option: str, message: str, user: Any) -> None:
        self.required_action(run_id, option, user=user.get_id(), message=message)

    def withdraw(self, run_id: str, *, reason: str) -> None:
        self.runs[ASK_DAG, run_id] = "success"

    def require_pinnable(self, dag_id: str, run_id: str) -> None:
        if (dag_id, run_id) in self.unversioned:
            raise RerunImpossible(f"DAG {dag_id!r} comes from a bundle which has no versions.")

    def pin(self, request: PinRequest) -> Pinned:
        run = (request.dag_id, request.run_id)
        if self.pins and self.pins[-1] == request:
            return Pinned(request.run_id, (request.task_id,), ORIGINAL)
        if self.runs[run] not in ("success", "failed"):
            raise AirflowConflict(f"Run {request.run_id!r} is {self.runs[run]}.")
        if self.nothing_failed:
            raise AirflowConflict("Nothing is left to rerun.")
        self.pins.append(request)
        self.versions[run], self.runs[run] = request.commit, "running"
        key = (*run, request.task_id, request.map_index)
        if key in self.tasks:
            self.tasks[key] = replace(self.tasks[key], state="scheduled")
        return Pinned(request.run_id, (request.task_id,), ORIGINAL)

    def end_pin(self, request: UnpinRequest) -> str | None:
        run = (request.dag_id, request.run_id)
        if self.versions[run] == request.commit and self.pins[-1].session_id == request.session_id:
            if self.runs[run] not in ("success", "failed"):
                raise AirflowConflict(f"Run {request.run_id!r} is {self.runs[run]}; expected success or failed.")
            self.versions[run] = request.version
        return self.versions[run]

    def preview_bundle(self, url: str) -> str | None:
        return self.preview_bundles.get(url)

    def is_served(self, preview: Preview) -> bool:
        return preview in self.previews

    def preview_error(self, preview: Preview) -> str | None:
        return self.broken.get(preview.loader)

    def start_like(self, wanted: RunLike) -> tuple[str, ...]:
        if (wanted.dag_id, wanted.run_id) not in self.runs:
            self.new_runs.append(wanted)
            self.runs[wanted.dag_id, wanted.run_id] = "queued"
            for task_id in wanted.task_ids:
                self.tasks[wanted.dag_id, wanted.run_id, task_id, -1] = TaskFacts(task_id, -1, 1, None)
        return wanted.task_ids

    def params(self, dag_id: str) -> Json:
        return self.dag_params.get(dag_id, {})

    def run_conf(self, dag_id: str, run_id: str) -> Json:
        return dict(self.confs.get(run_id, {}))

    def ended_by_hand(self, dag_id: str, run_id: str, *, task_ids: Sequence[str], since: str) -> str | None:
        return self.by_hand.get((dag_id, run_id))

    def scene(self, dag_id: str, failures: Sequence[TaskRef], *, session_id: str) -> Scene:
        self.dag(dag_id)
        dag = DagNow(is_paused=dag_id in self.paused, one_by_one=self.one_by_one, version=self.served.get(dag_id))
        wanted = {ref.run_id for ref in failures}
        return Scene(dag, {run: self._now(dag_id, run, session_id) for of, run in self.runs if of == dag_id and run in wanted})

    def _now(self, dag_id: str, run_id: str, session_id: str) -> RunNow:
        tasks = {
            (task_id, index): TaskNow(facts.state, facts.try_number)
            for (dag, run, task_id, index), facts in self.tasks.items()
            if (dag, run) == (dag_id, run_id)
        }
        done = [one for one in self.recoveries if (one.dag_id, one.run_id, one.session_id) == (dag_id, run_id, session_id)]
        cleared = tuple(task_id for task_id, _, _ in done[-1].tasks) if done else ()
        return RunNow(run_id, self.runs[dag_id, run_id], run_id, self.versions.get((dag_id, run_id)), tasks, cleared)

    def recover(self, request: RecoverRequest) -> tuple[str, ...]:
        run = (request.dag_id, request.run_id)
        if self.runs[run] not in ("success", "failed"):
            raise AirflowConflict(f"Run {request.run_id!r} is {self.runs[run]}.")
        if request.run_id in self.cannot_go_on:
            raise RerunImpossible("The DAG as Airflow serves it has no such task any more.")
        for task_id, map_index, try_number in request.tasks:
            facts = self.tasks[(*run, task_id, map_index)]
            assert (facts.state, facts.try_number) == ("failed", try_number)
            self.tasks[(*run, task_id, map_index)] = replace(facts, state=None)
        self.recoveries.append(request)
        self.versions[run], self.runs[run] = request.version, "queued"
        return tuple(task_id for task_id, _, _ in request.tasks)

    def end_run(self, dag_id: str, run_id: str, state: str) -> None:
        """A run that was cleared has ended: its tasks that were to run are in this state, at their next try."""
        self.runs[dag_id, run_id] = state
        for key, facts in self.tasks.items():
            if key[:2] == (dag_id, run_id) and facts.state is None:
                self.tasks[key] = replace(facts, state=state, try_number=facts.try_number + 1)

    def run_version(self, dag_id: str, run_id: str) -> str | None:
        return self.versions.get((dag_id, run_id))

    def served_version(self, dag_id: str) -> str | None:
        return self.served.get(dag_id)

    def shape(self, dag_id: str, run_id: str) -> Json:
        return {"tasks": {task_id: {} for dag, run, task_id, _ in self.tasks if (dag, run) == (dag_id, run_id)}}

    def may(self, user: Any, dag_id: str, *, edit: bool) -> bool:
        right = self.rights.get((user.get_name(), dag_id))
        return right == "edit" if edit else right is not None

    def readable(self, user: Any, dag_ids: Collection[str]) -> frozenset[str]:
        self.asked_rights += len(dag_ids)
        return frozenset(one for one in dag_ids if self.may(user, one, edit=False))

    def one_user_for_all(self) -> bool:
        return self.all_admins
