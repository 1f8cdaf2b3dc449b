"""What a good engineer would look at, asked of Airflow in a few calls at once and made into an Incident.

Invariant: nothing of the incident, text or value, is unredacted. Only an Airflow that is away or says no raises; a log that
is gone does not: what remains is still evidence.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from airflow_agentfix.core import logs
from airflow_agentfix.core.fingerprint import fingerprint
from airflow_agentfix.core.incident import DagFacts, Incident, Judgement, RootCause, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.log_lines import rows
from airflow_agentfix.core.logs import Distilled
from airflow_agentfix.core.triage import judge
from airflow_agentfix.errors import AirflowForbidden, AirflowNotFound, AirflowRefused
from airflow_agentfix.evidence.history import History, usual_duration
from airflow_agentfix.evidence.lineup import Graph, first_failed, settled, victims
from airflow_agentfix.evidence.render import Extra, redacted_cause, redacted_values, render
from airflow_agentfix.evidence.resolve import resolve_ref
from airflow_agentfix.ports import AirflowApi
from airflow_agentfix.redaction import redact

__all__ = ["collect", "resolve_ref", "settled"]

log = logging.getLogger(__name__)
T = TypeVar("T")

_EARLIER_RUNS = 10
_HEADER_LINES = 50
"""a log with fewer lines may be nothing but Airflow's words on where it looked"""


@dataclass(frozen=True)
class _Asked:
    """Airflow's answers on one failed try."""

    dag: DagFacts
    run: RunFacts
    tasks: list[TaskFacts]
    task: TaskFacts
    graph: Graph
    history: History
    log: Distilled | None
    log_gone: str | None


def collect(ref: TaskRef, *, api: AirflowApi, budget_chars: int = 16_000) -> Incident:
    """The incident of a failed try. Raises AirflowNotFound for an unknown ref, other AirflowErrors when Airflow is away."""
    asked = _ask(ref, api, budget_chars)
    cause = asked.log.cause if asked.log else RootCause(line=_no_log(asked.task), message="")
    incident = Incident(
        ref=ref,
        cause=redacted_cause(cause, redact),
        judgement=_judged(cause, asked.task),
        fingerprint=fingerprint(ref.dag_id, ref.task_id, cause),
        task=replace(asked.task, rendered_fields=redacted_values(asked.task.rendered_fields, redact)),
        run=replace(asked.run, conf=redacted_values(asked.run.conf, redact)),
        dag=asked.dag,
        first_failed=first_failed(asked.tasks, asked.graph),
        victims=victims(ref.task_id, asked.tasks, asked.graph),
    )
    return replace(incident, text=_text(incident, asked, budget_chars))


def _ask(ref: TaskRef, api: AirflowApi, budget_chars: int) -> _Asked:
    try:
        return _ask_at_once(ref, api, budget_chars)
    except AirflowNotFound:
        resolve_ref(api, ref.dag_id, ref.run_id, ref.task_id, ref.map_index, ref.try_number)  # says which id is unknown
        raise


def _ask_at_once(ref: TaskRef, api: AirflowApi, budget_chars: int) -> _Asked:
    with ThreadPoolExecutor(max_workers=7, thread_name_prefix="agentfix-evidence") as pool:
        dag = pool.submit(api.dag, ref.dag_id)
        run = pool.submit(api.run, ref.dag_id, ref.run_id)
        tasks = pool.submit(api.task_instances, ref.dag_id, ref.run_id)
        task = pool.submit(_task, ref, api)
        graph = pool.submit(_or_none, lambda: api.graph(ref.dag_id))
        history = pool.submit(_or_none, lambda: _history(ref, api))
        read = pool.submit(_read_log, ref, api, budget_chars)
    distilled, gone = read.result()
    return _Asked(
        dag=dag.result(),
        run=run.result(),
        tasks=tasks.result(),
        task=task.result(),
        graph=graph.result() or {},
        history=history.result() or (),
        log=distilled,
        log_gone=gone,
    )


def _or_none(ask: Callable[[], T]) -> T | None:
    """What an incident can do without, where the login lacks the right or the DAG's file is gone meanwhile."""
    try:
        return ask()
    except (AirflowNotFound, AirflowForbidden, AirflowRefused) as error:
        log.info("Evidence goes on without: %s", error)
        return None


def _history(ref: TaskRef, api: AirflowApi) -> History:
    return api.history(ref.dag_id, ref.task_id, map_index=ref.map_index, limit=_EARLIER_RUNS)


def _task(ref: TaskRef, api: AirflowApi) -> TaskFacts:
    """The facts of the very try; an earlier one's are with the tries. Lists of instances lack rendered fields on 3.1."""
    task = api.task_instance(ref.dag_id, ref.run_id, ref.task_id, ref.map_index)
    if task.try_number == ref.try_number:
        return task
    tries = api.tries(ref.dag_id, ref.run_id, ref.task_id, ref.map_index)
    found = next((one for one in tries if one.try_number == ref.try_number), None)
    if found is None:
        raise AirflowNotFound(f"There is no {ref}: it has tries {', '.join(str(one.try_number) for one in tries)}.")
    return replace(found, rendered_fields=task.rendered_fields)


def _read_log(ref: TaskRef, api: AirflowApi, budget_chars: int) -> tuple[Distilled | None, str | None]:
    """The log's distillate; or None and why there is none."""
    watched = _Watched(api.log_lines(ref))
    try:
        distilled = logs.distill(watched, max_chars=budget_chars)
    except (AirflowNotFound, AirflowForbidden, AirflowRefused) as error:
        return None, redact(str(error))
    return (None, watched.said()) if watched.is_empty() else (distilled, None)


class _Watched:
    """A log's lines as they pass, remembering the first few: Airflow answers for a lost log too, with where it looked."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._first: list[bytes] = []
        self._more = False

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            if len(self._first) < _HEADER_LINES:
                self._first.append(line)
            else:
                self._more = True
            yield line

    def is_empty(self) -> bool:
        """Nothing but the group of source details, which ends with the first group's end."""
        ends = (place for place, line in enumerate(self._first) if b'"::endgroup::"' in line)
        grouped = bool(self._first) and b"::group::Log message source details" in self._first[0]
        return not self._more and (not self._first or (grouped and next(ends, None) == len(self._first) - 1))

    def said(self) -> str:
        """What Airflow says about where it looked: 3.1 in the group's own event, later in events of the group."""
        words = [text for line in self._first[:1] for text in _sources(line)]
        words += [row.text for number, line in enumerate(self._first[1:-1], 2) for row in rows(number, line)]
        return redact("Airflow has no log of this try: " + (" ".join(words) or "it names no place where it looked"))


def _sources(line: bytes) -> list[str]:
    try:
        return [str(source) for source in json.loads(line).get("sources", ())]
    except (ValueError, AttributeError, TypeError):
        return []


def _no_log(task: TaskFacts) -> str:
    """The same for every try of the task, so that a lost log makes one session and not one per run."""
    return f"The log is gone or may not be read; the task instance is {task.state}"


def _judged(cause: RootCause, task: TaskFacts) -> Judgement:
    judgement = judge(cause, operator=task.operator, try_number=task.try_number, max_tries=task.max_tries)
    action = judgement.owner_action
    return replace(judgement, reason=redact(judgement.reason), owner_action=redact(action) if action else action)


def _text(incident: Incident, asked: _Asked, budget_chars: int) -> str:
    extra = Extra(
        usual_duration=usual_duration(asked.history, but=incident.ref.run_id),
        edges=asked.graph or None,
        log_gone=asked.log_gone,
    )
    distilled = asked.log
    return render(
        incident,
        extra,
        log=lambda chars: logs.render(distilled, redact=redact, max_chars=chars) if distilled else "",
        redact=redact,
        budget_chars=budget_chars,
    )
