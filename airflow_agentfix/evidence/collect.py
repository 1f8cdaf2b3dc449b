"""What a good engineer would look at, asked of Airflow and the code host in a few calls at once and made into an Incident.

Invariant: nothing of the incident, text or value, is unredacted. Only an Airflow that is away or says no raises; a log that
is gone does not, nor a code host that is away: what remains is still evidence, and says what is missing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from airflow_agentfix.core import logs
from airflow_agentfix.core.circumstances import Changes, Circumstances, Excerpt, Lineage, Precedent
from airflow_agentfix.core.fingerprint import fingerprint
from airflow_agentfix.core.incident import Incident, Judgement, RootCause, TaskFacts, TaskRef
from airflow_agentfix.core.log_lines import rows
from airflow_agentfix.core.logs import Distilled
from airflow_agentfix.core.session import Session
from airflow_agentfix.core.triage import judge
from airflow_agentfix.errors import (
    AgentFixError,
    AirflowForbidden,
    AirflowNotFound,
    AirflowRefused,
    CodeError,
    ConfigurationError,
)
from airflow_agentfix.evidence.asking import Asked, Asking
from airflow_agentfix.evidence.changes import CodeOf, changes, codebase, excerpts
from airflow_agentfix.evidence.lineage import lineage
from airflow_agentfix.evidence.lineup import FAILED, first_failed, settled, victims
from airflow_agentfix.evidence.precedent import precedents
from airflow_agentfix.evidence.redacted import redacted_cause, redacted_circumstances, redacted_values
from airflow_agentfix.evidence.render import Extra, render
from airflow_agentfix.evidence.resolve import resolve, resolve_ref
from airflow_agentfix.ports import AirflowReading
from airflow_agentfix.redaction import redact

__all__ = ["Around", "collect", "resolve", "resolve_ref", "settled"]

log = logging.getLogger(__name__)

_HEADER_LINES = 50
"""a log with fewer lines may be nothing but Airflow's words on where it looked"""

_LITTLE = 2_000
"""characters of a log that nobody is shown"""

SessionsOf = Callable[[str], Iterable[Session]]
"""a DAG's sessions, newest first"""


@dataclass(frozen=True)
class Around:
    """What is not in Airflow; a part that is None is a gap in the evidence, and named as one."""

    code_of: CodeOf | None = None
    sessions_of: SessionsOf | None = None


def collect(
    ref: TaskRef, *, api: AirflowReading, budget_chars: int = 16_000, around: Around | None = None, task: TaskFacts | None = None
) -> Incident:
    """The incident of a failed try. Raises AirflowNotFound for an unknown ref, other AirflowErrors when Airflow is away.

    :param task: the task instance, where the caller has it already.
    """
    asked = _ask(Asking(ref, api, lambda: _read_log(ref, api, budget_chars), task))
    cause = asked.log.cause if asked.log else RootCause(line=_no_log(asked.task), message="")
    suffering = victims(ref.task_id, asked.tasks, asked.graph, handlers=asked.handlers)
    sought = _Sought(ref, asked, cause, around or Around())
    incident = Incident(
        ref=ref,
        cause=redacted_cause(cause, redact),
        judgement=_judged(cause, asked.task),
        fingerprint=fingerprint(cause),
        task=replace(asked.task, rendered_fields=redacted_values(asked.task.rendered_fields, redact)),
        run=replace(asked.run, conf=redacted_values(asked.run.conf, redact)),
        dag=asked.dag,
        first_failed=first_failed(asked.tasks, asked.graph),
        victims=suffering,
        circumstances=redacted_circumstances(sought.circumstances(suffering), redact),
    )
    return replace(incident, text=_text(incident, asked, budget_chars))


def fingerprint_of(ref: TaskRef, *, api: AirflowReading) -> str | None:
    """Of a try, by its log alone: one request. None where the log is gone or may not be read."""
    distilled, _ = _read_log(ref, api, _LITTLE)
    return fingerprint(distilled.cause) if distilled else None


def _ask(asking: Asking) -> Asked:
    ref = asking.ref
    try:
        return asking.answers()
    except AirflowNotFound:
        resolve_ref(asking.api, ref.dag_id, ref.run_id, ref.task_id, ref.map_index, ref.try_number)  # says which is unknown
        raise


@dataclass
class _Sought:
    """What Airflow does not know: the code, and what became of the same failure before."""

    ref: TaskRef
    asked: Asked
    cause: RootCause
    around: Around
    gaps: list[str] = field(default_factory=list)

    def circumstances(self, suffering: tuple[str, ...]) -> Circumstances:
        asked = self.asked
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="agentfix-evidence") as pool:
            code, before = pool.submit(self._code), pool.submit(self._precedents)
        source, changed = code.result()
        return Circumstances(
            earlier=asked.earlier,
            changes=changed,
            lineage=self._lineage(suffering),
            params=asked.params,
            xcoms=asked.xcoms,
            source=source,
            precedents=before.result(),
            gaps=(*sorted(self.gaps), *asked.gaps),
        )

    def _lineage(self, suffering: tuple[str, ...]) -> Lineage:
        asked, ref = self.asked, self.ref
        started = asked.run.start_date
        return lineage(ref.dag_id, ref.task_id, assets=asked.assets, victims=suffering, fed_by=asked.fed_by, started=started)

    def _code(self) -> tuple[tuple[Excerpt, ...], Changes | None]:
        """Source and changes. A code host that is away must not keep a failure from being told."""
        asked, frames = self.asked, self.cause.frames
        source: tuple[Excerpt, ...] = ()
        if self.around.code_of is None:
            self.gaps.append("what changed, and the source: no repository was looked at")
            return (), None
        try:
            code = codebase(self.around.code_of, asked.dag, asked.run)
            source = excerpts(code, frames)
            if asked.green is None:
                self.gaps.append("what changed: the task has no green run before this one to compare with")
                return source, None
            return source, changes(code, green=asked.green, frames=frames)
        except (CodeError, ConfigurationError) as error:
            log.info("Evidence on %s goes on without code: %s", self.ref, redact(str(error)))
            self.gaps.append(f"{'what changed' if source else 'what changed, and the source'}: {error}")
            return source, None

    def _precedents(self) -> tuple[Precedent, ...]:
        if self.around.sessions_of is None:
            return ()
        mark = fingerprint(self.cause)
        try:
            return precedents(self.around.sessions_of(self.ref.dag_id), self.ref, self.cause, mark)
        except AgentFixError as error:  # no plugin there, or no right to it
            self.gaps.append(f"earlier sessions: {error}")
            return ()


def _read_log(ref: TaskRef, api: AirflowReading, budget_chars: int) -> tuple[Distilled | None, str | None]:
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
    return f"The log of {task.task_id} is gone or may not be read; the task instance is {task.state}"


def _judged(cause: RootCause, task: TaskFacts) -> Judgement:
    judgement = judge(cause, operator=task.operator, try_number=task.try_number, max_tries=task.max_tries)
    action = judgement.owner_action
    return replace(judgement, reason=redact(judgement.reason), owner_action=redact(action) if action else action)


def _failed(tasks: Iterable[TaskFacts]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task.task_id for task in tasks if task.state == FAILED))


def _text(incident: Incident, asked: Asked, budget_chars: int) -> str:
    distilled = asked.log
    return render(
        incident,
        Extra(edges=asked.graph or None, log_gone=asked.log_gone, failed=_failed(asked.tasks)),
        log=lambda chars: logs.render(distilled, redact=redact, max_chars=chars) if distilled else "",
        redact=redact,
        budget_chars=budget_chars,
    )
