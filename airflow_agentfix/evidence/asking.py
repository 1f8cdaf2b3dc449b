"""Airflow's answers on one failed try: two waves of requests at once, the second for what the first one names.

Few calls: the run and the last green one come from one list, of the instances only those that failed or did not run are
read. Only an Airflow that is away, or says no to DAG, run or task, raises; else what is missing is a gap, named with its reason,
and never looks like "nothing there".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from airflow_agentfix.core.circumstances import AssetEvent, AssetFacts, EarlierRuns, XCom
from airflow_agentfix.core.incident import DagFacts, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.logs import Distilled
from airflow_agentfix.errors import AirflowError, AirflowNotFound
from airflow_agentfix.evidence.history import History, earlier_runs, last_green
from airflow_agentfix.evidence.lineup import FAILED, VICTIM_STATES, Graph, handlers
from airflow_agentfix.ports import AirflowReading, TaskSpec
from airflow_agentfix.redaction import redact

log = logging.getLogger(__name__)
T = TypeVar("T")

EARLIER = 25
"""runs looked at, for durations and for the last green one"""
XCOMS = 2
XCOM_CHARS = 4_000
"""more than is kept of it: a secret at the edge must be whole when it is redacted"""
_AT_ONCE = 8
_NAMED = 10

ReadLog = Callable[[], "tuple[Distilled | None, str | None]"]


@dataclass(frozen=True)
class Asked:
    """What Airflow said. `tasks` are the instances that failed or did not run."""

    dag: DagFacts
    run: RunFacts
    task: TaskFacts
    tasks: Sequence[TaskFacts]
    specs: Mapping[str, TaskSpec]
    assets: Sequence[AssetFacts]
    earlier: EarlierRuns
    green: RunFacts | None
    fed_by: Sequence[AssetEvent]
    xcoms: tuple[XCom, ...]
    log: Distilled | None
    log_gone: str | None
    gaps: tuple[str, ...]

    @property
    def graph(self) -> Graph:
        return {task_id: spec.downstream for task_id, spec in self.specs.items()}

    @property
    def handlers(self) -> frozenset[str]:
        return handlers({task_id: spec.trigger_rule for task_id, spec in self.specs.items()})

    @property
    def params(self) -> Mapping[str, Any]:
        spec = self.specs.get(self.task.task_id)
        return spec.params if spec else {}


@dataclass
class Asking:
    """The requests for one try. `task` saves asking for what the caller has."""

    ref: TaskRef
    api: AirflowReading
    read_log: ReadLog
    task: TaskFacts | None = None
    gaps: list[str] = field(default_factory=list)

    def answers(self) -> Asked:
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="agentfix-evidence") as pool:
            return self._answers(pool)

    def _answers(self, pool: ThreadPoolExecutor) -> Asked:
        ref, api = self.ref, self.api
        dag = pool.submit(api.dag, ref.dag_id)
        runs = pool.submit(self._runs)
        task = pool.submit(self._task)
        tasks = pool.submit(api.task_instances, ref.dag_id, ref.run_id, states=(FAILED, *sorted(VICTIM_STATES)))
        read = pool.submit(self.read_log)
        specs = pool.submit(self._or_gap, "tasks", lambda: {spec.task_id: spec for spec in api.tasks(ref.dag_id)})
        history = pool.submit(self._or_gap, "earlier runs of the task", self._history)
        assets = pool.submit(self._or_gap, "assets", lambda: api.assets(ref.dag_id))
        run, recent = runs.result()
        green = last_green(run, recent, history.result() or ())
        further = pool.submit(self._green_before, run) if green is None and len(recent) >= EARLIER else None
        fed_by = pool.submit(self._fed_by, run)
        mapped = pool.submit(self._mapped)
        spent = sum((ref.map_index >= 0, _is_fed(run), further is not None, run not in recent, task.result()[1]))
        xcoms = self._xcoms(pool, specs.result() or {}, room=XCOMS - spent)
        distilled, log_gone = read.result()
        failed = tasks.result()
        green = further.result() if further else green
        return Asked(
            dag=dag.result(),
            run=run,
            task=task.result()[0],
            tasks=failed,
            specs=specs.result() or {},
            assets=assets.result() or (),
            earlier=self._earlier(history.result(), green, mapped.result(), failed),
            green=green,
            fed_by=fed_by.result(),
            xcoms=tuple(found for one in xcoms if (found := one.result())),
            log=distilled,
            log_gone=log_gone,
            gaps=tuple(sorted(self.gaps)),
        )

    def _or_gap(self, what: str, ask: Callable[[], T]) -> T | None:
        """What an incident can do without: the login lacks the right, the DAG's file is gone, one endpoint is out of order."""
        try:
            return ask()
        except AirflowError as error:
            log.info("Evidence on %s goes on without %s: %s", self.ref, what, redact(str(error)))
            self.gaps.append(f"{what}: {error}")
            return None

    def _runs(self) -> tuple[RunFacts, list[RunFacts]]:
        """The failed run and the newest ones, which it is among unless it is old."""
        recent = self.api.runs(self.ref.dag_id, limit=EARLIER)
        found = next((run for run in recent if run.run_id == self.ref.run_id), None)
        return found or self.api.run(self.ref.dag_id, self.ref.run_id), recent

    def _task(self) -> tuple[TaskFacts, bool]:
        """The facts of the very try, and whether it is an earlier one, whose facts are with the tries.

        Lists of instances lack rendered fields on 3.1.
        """
        ref = self.ref
        task = self.task or self.api.task_instance(ref.dag_id, ref.run_id, ref.task_id, ref.map_index)
        if task.try_number == ref.try_number:
            return task, False
        tries = self.api.tries(ref.dag_id, ref.run_id, ref.task_id, ref.map_index)
        found = next((one for one in tries if one.try_number == ref.try_number), None)
        if found is None:
            raise AirflowNotFound(f"There is no {ref}: it has tries {', '.join(str(one.try_number) for one in tries)}.")
        return replace(found, rendered_fields=task.rendered_fields), True

    def _history(self) -> History:
        return self.api.history(self.ref.dag_id, self.ref.task_id, map_index=self.ref.map_index, limit=EARLIER)

    def _green_before(self, run: RunFacts) -> RunFacts | None:
        """Asked for by itself only where none of the newest runs is green: a DAG that fails for long, or an old run."""
        started = run.start_date
        return self._or_gap("the last green run", lambda: self.api.green_before(run.dag_id, started)) if started else None

    def _earlier(
        self, history: History | None, green: RunFacts | None, mapped: int | None, failed: Sequence[TaskFacts]
    ) -> EarlierRuns:
        of_ours = [task for task in failed if task.task_id == self.ref.task_id and task.state == FAILED]
        return replace(
            earlier_runs(history, but=self.ref.run_id) if history is not None else EarlierRuns(told=False),
            last_green=green.run_id if green else None,
            mapped=mapped,
            mapped_failed=len(of_ours) if mapped is not None else None,
        )

    def _mapped(self) -> int | None:
        ref = self.ref
        if ref.map_index < 0:
            return None
        return self._or_gap("the mapped instances", lambda: self.api.mapped_count(ref.dag_id, ref.run_id, ref.task_id))

    def _fed_by(self, run: RunFacts) -> Sequence[AssetEvent]:
        if not _is_fed(run):
            return ()
        return self._or_gap("the events that started the run", lambda: self.api.upstream_events(run.dag_id, run.run_id)) or ()

    def _xcoms(self, pool: ThreadPoolExecutor, specs: Mapping[str, TaskSpec], *, room: int) -> list[Future[XCom | None]]:
        """What the tasks directly upstream returned: of two at most, one request each; fewer where other parts cost requests."""
        above = sorted((spec for spec in specs.values() if self.ref.task_id in spec.downstream), key=lambda spec: spec.task_id)
        one_value = [spec for spec in above if not spec.is_mapped or self.ref.map_index >= 0]  # all indexes' are too many
        chosen = one_value[: max(0, room)]
        if rest := [spec.task_id for spec in above if spec not in chosen]:
            named = ", ".join(rest[:_NAMED]) + (f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else "")
            self.gaps.append(f"what upstream {named} returned: not asked for; Airflow shows it under XCom")
        return [pool.submit(self._xcom, spec) for spec in chosen]

    def _xcom(self, spec: TaskSpec) -> XCom | None:
        """Of an upstream that is mapped, or in the same mapped task group, the instance of our own index."""
        group = self.ref.task_id.rpartition(".")[0]
        index = self.ref.map_index if spec.is_mapped or (group and spec.task_id.startswith(f"{group}.")) else -1
        dag_id, run_id = self.ref.dag_id, self.ref.run_id
        return self._or_gap(
            f"what {spec.task_id} returned",
            lambda: self.api.xcom(dag_id, run_id, spec.task_id, map_index=index, max_chars=XCOM_CHARS),
        )


def _is_fed(run: RunFacts) -> bool:
    """Whether events of assets started the run, so that asking for them is worth a request."""
    return run.run_type == "asset_triggered"
