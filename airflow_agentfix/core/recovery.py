"""Which runs of a cause are made green once its fix is merged, in which order, and which are left alone.

Invariant: by itself nothing is cleared twice for a session. A run that failed again after its recovery, or that is not as it was
when it failed of this cause, is somebody's: it is left alone, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.session import Event, EventKind

ENDED = frozenset({"success", "failed"})
OVER = "over"
"""the state of the `recovery` event that says that nothing is left to do"""
REOPENING = (EventKind.FIX, EventKind.OCCURRENCE, EventKind.RECOVERY)
"""whichever of them is a session's newest says whether there may be something to recover: all but one that is `over`"""

Place = tuple[str, int]
"""task id and map index"""


class RunState(StrEnum):
    """Where the recovery of one run stands. `due` and `waiting` are never written down: the next look decides anew."""

    DUE = "due"
    WAITING = "waiting"
    STARTED = "started"
    GREEN = "green"
    FAILED = "failed"
    LEFT = "left"


FINAL = frozenset({RunState.GREEN, RunState.FAILED, RunState.LEFT})


@dataclass(frozen=True)
class TaskNow:
    """A task instance as it stands."""

    state: str | None
    try_number: int


@dataclass(frozen=True)
class RunNow:
    """A run as it stands, and the task instances of it that failed of the cause."""

    run_id: str
    state: str
    at: str
    """sorts runs as their DAG orders them: ISO 8601 of the logical date, else of when it was to start"""
    version: str | None
    tasks: Mapping[Place, TaskNow]
    cleared: tuple[str, ...] = ()
    """what was cleared to recover it for this session, by Airflow's own audit log"""


@dataclass(frozen=True)
class DagNow:
    """The DAG as Airflow serves it."""

    is_served: bool = True
    """Airflow has it, parsed and not stale"""
    is_paused: bool = False
    one_by_one: bool = False
    """a run needs the one before it: depends_on_past, or one active run at most"""
    version: str | None = None
    """the bundle version that new runs are created on"""


@dataclass(frozen=True)
class Scene:
    """The DAG, and those of the asked runs that there are, by id."""

    dag: DagNow
    runs: Mapping[str, RunNow]


@dataclass(frozen=True)
class Step:
    """What is to be done with one run, or was found of it."""

    run_id: str
    state: RunState
    reason: str = ""
    task_ids: tuple[str, ...] = ()
    tasks: tuple[TaskRef, ...] = ()
    """of a due one: what failed of the cause, with its newest try"""
    is_news: bool = False
    """it is not written down yet"""


@dataclass(frozen=True)
class Past:
    """What the session's events say of one run's recovery."""

    state: RunState
    reason: str = ""
    task_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """What a plan rests on. `failures` are those of the cause; `reran`: runs that a rerun put on the fix itself."""

    failures: Sequence[TaskRef]
    scene: Scene
    past: Mapping[str, Past] = field(default_factory=dict)
    reran: Collection[str] = ()
    again: bool = False
    """a person wants runs tried once more that failed again or were left alone"""
    hold: str = ""
    """why none may be started now"""


def content_on(files: Iterable[tuple[bytes | None, bytes | None, bytes | None]]) -> Literal["fix", "before", "other"]:
    """Whether a branch has a fix that none of its commits is known to be: a squash or a cherry-pick leaves the content alone.

    :param files: of each changed file what the fix began with, what it made of that, and what the branch has.
    """
    found = list(files)
    if found and all(now == after for _, after, now in found):
        return "fix"
    return "before" if found and all(now == before for before, _, now in found) else "other"


def past_of(events: Iterable[Event]) -> dict[str, Past]:
    """The newest word on each run."""
    told = (event.data for event in events if event.kind is EventKind.RECOVERY and event.data.get("run_id"))
    return {str(one["run_id"]): _past(one) for one in told}


def _past(data: Mapping[str, Any]) -> Past:
    return Past(RunState(data["state"]), str(data.get("reason") or ""), tuple(data.get("task_ids") or ()))


def is_over(steps: Iterable[Step]) -> bool:
    """Whether nothing is left to do or to wait for."""
    return all(step.state in FINAL for step in steps)


def plan(case: Case, *, at_most: int) -> tuple[Step, ...]:
    """A step for each run, in the order they go; no more than `at_most` are due."""
    by_run: dict[str, list[TaskRef]] = {}
    for ref in case.failures:
        by_run.setdefault(ref.run_id, []).append(ref)
    runs = case.scene.runs
    ordered = sorted(by_run, key=lambda run_id: (runs[run_id].at if run_id in runs else "", run_id))
    found = [_step(run_id, _newest(by_run[run_id]), case) for run_id in ordered]
    return tuple(_in_turn(found, case, at_most))


def _newest(refs: Iterable[TaskRef]) -> list[TaskRef]:
    """The newest try of each task instance."""
    tries: dict[Place, TaskRef] = {}
    for ref in sorted(refs, key=lambda ref: ref.try_number):
        tries[ref.task_id, ref.map_index] = ref
    return list(tries.values())


def _step(run_id: str, refs: Sequence[TaskRef], case: Case) -> Step:
    run, past = case.scene.runs.get(run_id), case.past.get(run_id)
    if past and past.state in FINAL and not (case.again and past.state is not RunState.GREEN):
        return Step(run_id, past.state, past.reason, past.task_ids)
    if run is None:
        return _left(run_id, "the run is gone")
    if past and past.state is RunState.STARTED:
        return _watched(run, refs, past.task_ids, is_news=False)
    if run.cleared and not past:  # its clearing was not written down: whoever did it died in between
        return _watched(run, refs, run.cleared, is_news=True)
    step = _fresh(run, refs, case)
    return replace(step, is_news=False) if past and (past.state, past.reason) == (step.state, step.reason) else step


def _left(run_id: str, reason: str) -> Step:
    return Step(run_id, RunState.LEFT, reason, is_news=True)


def _watched(run: RunNow, refs: Sequence[TaskRef], task_ids: tuple[str, ...], *, is_news: bool) -> Step:
    """What became of a run that was recovered."""
    if run.state not in ENDED:
        return Step(run.run_id, RunState.STARTED, f"it is {run.state}", task_ids, is_news=is_news)
    if run.state == "success":
        return Step(run.run_id, RunState.GREEN, "", task_ids, is_news=True)
    if red := _red(run, refs):
        return Step(run.run_id, RunState.FAILED, f"failed again: {_names(red)}", task_ids, is_news=True)
    reason = "what failed of this cause is mended; the run failed of something else"
    return Step(run.run_id, RunState.LEFT, reason, task_ids, is_news=True)


def _red(run: RunNow, refs: Iterable[TaskRef]) -> list[TaskRef]:
    return [ref for ref in refs if _now(run, ref).state in ("failed", "upstream_failed")]


def _now(run: RunNow, ref: TaskRef) -> TaskNow:
    return run.tasks.get((ref.task_id, ref.map_index), TaskNow(None, 0))


def _names(refs: Iterable[TaskRef]) -> str:
    return ", ".join(ref.task_id if ref.map_index < 0 else f"{ref.task_id}[{ref.map_index}]" for ref in refs)


def _fresh(run: RunNow, refs: Sequence[TaskRef], case: Case) -> Step:
    """A run that was not touched for this session."""
    if run.run_id in case.reran and run.state == "success":
        return Step(run.run_id, RunState.GREEN, "by the session's own rerun")
    if run.state not in ENDED:
        return Step(run.run_id, RunState.WAITING, f"the run is {run.state}")
    if run.state == "success":  # its tasks may be failed still: Airflow leaves them so where a run is marked by hand
        return _left(run.run_id, "green already: somebody mended it, or it did not need what failed")
    red = [ref for ref in refs if _now(run, ref).state == "failed"]
    if not red:
        states = sorted({str(_now(run, ref).state) for ref in refs})
        return _left(run.run_id, f"mended already: {_names(refs)} {'is' if len(refs) == 1 else 'are'} {' and '.join(states)}")
    if not case.again and (reason := _touched(run, red, case)):
        return _left(run.run_id, reason)
    newest = tuple(replace(ref, try_number=_now(run, ref).try_number) for ref in red)
    return Step(run.run_id, RunState.DUE, "", tuple(sorted({ref.task_id for ref in red})), newest)


def _touched(run: RunNow, red: Sequence[TaskRef], case: Case) -> str | None:
    """Why the failure that is there is not, or may not be, the one of this cause."""
    if run.run_id in case.reran:
        return "it ran on the fix already and is red all the same"
    for ref in red:
        if (now := _now(run, ref).try_number) != ref.try_number:
            return f"somebody cleared it since: {_names([ref])} is at try {now}, try {ref.try_number} failed of this cause"
    if case.scene.dag.version and run.version == case.scene.dag.version:
        return f"it ran on {run.version[:12]}, which is what Airflow serves now, and failed there"
    return None


def _in_turn(steps: Iterable[Step], case: Case, at_most: int) -> Iterable[Step]:
    """Due ones in their turn: as many as may start now, and one after the other where a run needs the one before it."""
    before: Step | None = None
    started = 0
    for found in steps:
        step = found
        if step.state is RunState.DUE:
            step = _its_turn(found, before, case, full=started >= at_most)
            started += step.state is RunState.DUE
        yield step
        if not _is_green(step, case.scene):
            before = before or step


def _its_turn(step: Step, before: Step | None, case: Case, *, full: bool) -> Step:
    dag, waiting = case.scene.dag, replace(step, state=RunState.WAITING)
    if case.hold:
        return replace(waiting, reason=case.hold)
    if not dag.is_served:
        return replace(waiting, reason="Airflow does not serve the DAG")
    if dag.is_paused:
        return replace(waiting, reason="the DAG is paused, so no task of it would run")
    if dag.one_by_one and before is not None:
        reason = f"run {before.run_id} before it is not green, and runs of this DAG go one after the other"
        return _left(step.run_id, reason) if before.state in FINAL else replace(waiting, reason=reason)
    return replace(waiting, reason="enough were started at once; the next call goes on") if full else step


def _is_green(step: Step, scene: Scene) -> bool:
    """Whether nothing waits for this run: it is green, or there is none."""
    run = scene.runs.get(step.run_id)
    return run is None or (step.state in FINAL and run.state == "success")
