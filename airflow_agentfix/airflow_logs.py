"""A task's log inside the API server: of one of any size, its first and last 2 MB, and no more than 3 seconds.

Airflow's own reader decides where a log is and in what order its parts come; it is given the ends of each part instead of all of
it. What is private to Airflow here: three methods by which `FileTaskHandler` opens the places a log may be in (3.1 to 3.3 alike).
Handlers that read otherwise (Elasticsearch, OpenSearch) are bounded by time, and by what of them is kept.
"""

from __future__ import annotations

import copy
import json
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, cast

from airflow.models import TaskInstance
from airflow.models.dagbag import DBDagBag
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.utils.log.file_task_handler import FileTaskHandler
from airflow.utils.log.log_reader import TaskLogReader
from airflow.utils.session import create_session
from sqlalchemy import select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway
from sqlalchemy.orm import joinedload  # noqa: TID253 - as above

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.log_look import LogLook
from airflow_agentfix.errors import AirflowNotFound, AirflowRefused

END_BYTES = 2 << 20
SECONDS = 3.0
_GAP = "… the middle of this log was not read here …"
_BATCH_BYTES = 64 << 10
_AHEAD = 16
"""batches that a reading thread may be ahead"""


@dataclass
class LogEnds:
    """One reading of one log. `end_bytes`: of each end."""

    end_bytes: int = END_BYTES
    seconds: float = SECONDS
    look: LogLook = field(default_factory=LogLook)

    def __post_init__(self) -> None:
        self._mark = uuid.uuid4().hex  # a log cannot tell of a gap that is none
        self._until = 0.0

    def lines(self, ref: TaskRef) -> Iterator[bytes]:
        """As Airflow's REST API serves them as NDJSON. AirflowNotFound for an unknown try, AirflowRefused where Airflow cannot
        read its log."""
        self._until = time.monotonic() + self.seconds
        mark = self._mark.encode()
        for line in within(lambda: self._read(ref), self):
            self.look.lines += 1
            if self.look.before_gap is None and mark in line:
                self.look.before_gap = self.look.lines
            yield line

    @property
    def left(self) -> float:
        """Seconds."""
        return self._until - time.monotonic()

    def _read(self, ref: TaskRef) -> Iterator[bytes]:
        reader = TaskLogReader()
        if not reader.supports_read:
            raise AirflowRefused("Airflow's task log handler cannot read logs ([logging] task_log_reader).")
        reader.log_handler, is_bounded = self._bounded(reader.log_handler)
        read = reader.read_log_stream(_instance(ref), ref.try_number, cast("Any", {}))
        for line in read if is_bounded else self._ends_of_stream(read):
            yield line.rstrip("\n").encode()

    def _bounded(self, handler: Any) -> tuple[Any, bool]:
        """Airflow's handler, opening the ends of what it would open; and whether it does. A copy: it is the process's."""
        if getattr(type(handler), "_read", None) is not FileTaskHandler._read:
            return handler, False
        bounded = copy.copy(handler)
        bounded._read_from_local = lambda path: self._local(handler, Path(path))
        bounded._read_from_logs_server = lambda *asked: self._ends_of_all(handler._read_from_logs_server(*asked))
        bounded._read_remote_logs = lambda *asked: self._ends_of_all(handler._read_remote_logs(*asked))
        return bounded, True

    def _local(self, handler: Any, path: Path) -> tuple[list[str], list[Iterator[str]]]:
        """The files of the try, as Airflow finds them: its own, and those of triggers it waited for. None outside the folder."""
        base = Path(os.path.realpath(handler.local_base))
        found = {place: Path(os.path.realpath(place)) for place in sorted(path.parent.glob(f"{path.name}*"))}
        files = {place: real for place, real in found.items() if real.is_relative_to(base) and os.access(real, os.R_OK)}
        if files:
            self.look.size = (self.look.size or 0) + sum(real.stat().st_size for real in files.values())
        share = self.end_bytes // max(1, len(files))
        return [os.fspath(place) for place in files], [self._ends_of_file(real, share) for real in files.values()]

    def _ends_of_file(self, path: Path, end: int) -> Iterator[str]:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= 2 * end:
                yield from _split(file.read())
                return
            yield from _split(_up_to_newline(file.read(end)))
            yield self._gap()
            file.seek(size - end)
            yield from _split(file.read(end).partition(b"\n")[2] or b"")

    def _ends_of_all(self, opened: tuple[list[str], list[Any]]) -> tuple[list[str], list[Any]]:
        sources, streams = opened
        if any(isinstance(stream, str) for stream in streams):  # whole files, as older providers give them
            streams = [iter("\n".join(streams).split("\n"))]
        return sources, [self._ends_of_stream(stream) for stream in streams]

    def _ends_of_stream(self, lines: Iterable[str]) -> Iterator[str]:
        """Its first lines, then the last ones of what comes in time; of a line that is too long, its beginning."""
        first = 0
        last: deque[str] = deque()
        held = dropped = 0
        for line in lines:
            if self.left <= 0:
                self.look.out_of_time = True
                return
            line = line[: self.end_bytes]
            if first + len(line) <= self.end_bytes:
                first += len(line) + 1
                yield line
                continue
            first = self.end_bytes
            last.append(line)
            held += len(line) + 1
            while held > self.end_bytes and len(last) > 1:
                held -= len(last.popleft()) + 1
                dropped += 1
        if dropped:
            yield self._gap()
        yield from last

    def _gap(self) -> str:
        return json.dumps({"event": _GAP, "logger": "agentfix", "gap": self._mark}, ensure_ascii=False)


def within(open_lines: Callable[[], Iterator[bytes]], reading: LogEnds) -> Iterator[bytes]:
    """The lines that come within the reading's time. A place that hangs is left alone: its thread ends with its own timeout."""
    batches: Queue[list[bytes] | Exception | None] = Queue(_AHEAD)
    given_up = threading.Event()

    def put(batch: list[bytes] | Exception | None) -> bool:
        while not given_up.is_set():
            try:
                batches.put(batch, timeout=0.2)
            except Full:
                continue
            return True
        return False

    def fill() -> None:
        try:
            if all(put(batch) for batch in _batched(open_lines())):
                put(None)
        except Exception as error:  # raised again where the lines are taken
            put(error)

    threading.Thread(target=fill, name="agentfix-log", daemon=True).start()
    try:
        while (batch := _next(batches, reading)) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield from batch
    finally:
        given_up.set()


def _next(batches: Queue[list[bytes] | Exception | None], reading: LogEnds) -> list[bytes] | Exception | None:
    try:
        return batches.get(timeout=max(0.05, reading.left))
    except Empty:
        reading.look.out_of_time = True
        return None


def _batched(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _split(data: bytes) -> list[str]:
    lines = data.decode(errors="replace").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _up_to_newline(data: bytes) -> bytes:
    """Whole lines; of a single one that is longer, its beginning."""
    return data[: data.rfind(b"\n") + 1] or data


def _instance(ref: TaskRef) -> Any:
    """The try as Airflow's own route gives it to the reader, with its run and its task."""
    with create_session(scoped=False) as session:
        for kind in (TaskInstance, TaskInstanceHistory):
            found = session.scalar(_wanted(kind, ref))
            if found is not None:
                dag = DBDagBag(load_op_links=False).get_dag_for_run(found.dag_run, session=session)
                if dag is not None and dag.has_task(ref.task_id):
                    found.task = dag.get_task(ref.task_id)
                session.expunge_all()
                return found
    raise AirflowNotFound(f"There is no {ref}.")


def _wanted(kind: Any, ref: TaskRef) -> Any:
    of_task = (kind.dag_id == ref.dag_id, kind.run_id == ref.run_id, kind.task_id == ref.task_id)
    wanted = select(kind).where(*of_task, kind.map_index == ref.map_index, kind.try_number == ref.try_number)
    wanted = wanted.options(joinedload(kind.dag_run))
    if kind is TaskInstance:
        from airflow.models.trigger import Trigger

        wanted = wanted.options(joinedload(kind.trigger).joinedload(Trigger.triggerer_job), joinedload(kind.dag_model))
    return wanted
