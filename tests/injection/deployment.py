"""A whole deployment around one failed task, everything real but Airflow itself and the model.

The worker's driver, loop, gates, evidence (over REST) and working copy; a git repository as code host; the session service
over HTTP and its store in SQLite. No person is there but who a test sends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_agentfix.agent.case import Code
from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.airflow_login import Login, connect_with
from airflow_agentfix.code.commit_check import RepositoryCommits
from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.code.import_check import ImportResult
from airflow_agentfix.code.policy_source import RepositoryPolicies
from airflow_agentfix.core.incident import Repository, RootCause, TaskRef
from airflow_agentfix.core.session import Event, EventKind, Outcome, Session, State, WaitFor, fix_run_id
from airflow_agentfix.driver import Driver
from airflow_agentfix.ports import CodeHost, Json, Model, Pinned, PinRequest, WaitRun
from airflow_agentfix.reviews import hear
from airflow_agentfix.reviews_rest import RestRequests
from airflow_agentfix.service import Failure
from airflow_agentfix.settings import RepositoryRule, Settings
from airflow_agentfix.store.client import HttpSessionClient, SessionsApi
from airflow_agentfix.workbench import Workbench
from tests.fakes.airflow_rest import FakeAirflow, event, traceback
from tests.fakes.api_server import ApiServer
from tests.fakes.discussion import DiscussedHost, Discussion
from tests.fakes.incidents import an_incident
from tests.fakes.server import ANNA, WORKER, Server
from tests.fakes.server_airflow import FakeServerAirflow
from tests.injection.attempt import Attempt
from tests.injection.repository import LINE, Repositories

DAG, RUN, TASK = "shop", "monday", "sum"
OTHER_DAG = "billing"
DAGS = "/opt/airflow/dags"
SECRET = "ghp_ChDC6hGCWfPr1qJWVQH1oOcRRRk0wr0aXbcd"
CAUSE = "name 'amont' is not defined. Did you mean: 'amount'?"
FRAME = (f"{DAGS}/shop.py", LINE, "total")
WAKE_UPS = 8


class WorkerLogin:
    """The login every task of the deployment can read."""

    def current(self) -> str:
        return WORKER.get_id()

    def renew(self, refused: str) -> str:
        return refused


class Inside(FakeServerAirflow):
    """Airflow from inside; a pinned run is queued for whoever asks over REST too."""

    rest: FakeAirflow

    def pin(self, request: PinRequest) -> Pinned:
        pinned = super().pin(request)
        self.rest.runs[request.dag_id, request.run_id].update(state="queued")
        return pinned

    def shape(self, dag_id: str, run_id: str) -> Json:
        return {"tasks": {}, "groups": {}}


class RealBench(Workbench):
    """The worker's bench; `make_model` stands in for Claude, and importing a DAG file (seconds) gives `shape`."""

    discussion: Discussion | None = None
    """where its repository has pull requests"""

    def __init__(self, http: AirflowHttp, settings: Settings, sessions: AirflowHttp, model: Model | None, shape: Any) -> None:
        super().__init__(http, settings, get_connection=lambda _: None, get_bundles=lambda: [], environ={})
        self.client = HttpSessionClient(sessions)
        self._sessions, self._own_model, self._shape = SessionsApi(sessions), model, shape

    def model(self) -> Model:
        assert self._own_model
        return self._own_model

    def host(self, repository: Repository) -> CodeHost:
        return DiscussedHost(repository, self.discussion) if self.discussion else super().host(repository)

    def _sessions_of(self, dag_id: str) -> list[Session]:
        return self._sessions.list(dag_id=dag_id, limit=20)

    def _code(self, *given: Any) -> Code:
        imported = ImportResult(self._shape(), None)
        return replace(super()._code(*given), import_fix=lambda: imported, import_base=lambda: imported)


class Deployment:
    """`rest` is Airflow as the worker sees it, `inside` as the API server does."""

    def __init__(self, attempt: Attempt, *, repositories: Repositories, rest: FakeAirflow, url: str) -> None:
        self.attempt, self.repositories, self.rest = attempt, repositories, rest
        self.run_id, self.task_id = RUN, TASK
        self.settings = Settings(
            repositories=(RepositoryRule(DAGS, str(repositories.origin), "main"),),
            offline=True,
            allow_unreviewed_reruns=attempt.waived,
            denied_paths=("infra/**",),
        )
        self.inside = Inside()
        self.inside.rest = rest
        here: dict[str, Any] = {"repository_of": lambda dag: Repository(str(repositories.origin), "main"), "open_host": GitHost}
        policies, commits = RepositoryPolicies(**here), RepositoryCommits(**here)
        self.server = Server(url, self.settings, self.inside, policies=policies, commits=commits)
        self.service = self.server.service
        self.log: list[Any] = [event("starting"), event(f"deploy_token={SECRET}")]
        self.cause = CAUSE
        self.first = repositories.refs()["main"]
        self.inside.versions[DAG, self.run_id] = self.first
        self.other_log = "built"
        self.earlier_summary: str | None = None
        self.dag_facts: dict[str, Any] = {}
        self.conf: dict[str, Any] = {}
        self.rendered: dict[str, Any] = {}
        self.rerun_says: str | None = None
        self.answer_says: str | None = None
        self.answered = 0
        self.review_says: str | None = None
        self.reviewer_may_write = True
        self.discussion = Discussion()

    def fail(self) -> str:
        """The task fails and is handed over; gives the session's id. Another DAG's session is at work beside it."""
        for dag in (DAG, OTHER_DAG):
            self.inside.rights |= {(who.name, dag): "edit" for who in (ANNA, WORKER)}
        self.inside.fail(OTHER_DAG, RUN, TASK)
        self.other = self.service.intake(Failure(OTHER_DAG, RUN, TASK), WORKER).id
        if self.earlier_summary:
            self._end_earlier_session(self.earlier_summary)
        self._fail_in_rest()
        self.inside.fail(DAG, self.run_id, self.task_id)
        self.session_id = self.service.intake(Failure(DAG, self.run_id, self.task_id), WORKER).id
        self.refs, self.other_refs = self.repositories.refs(), self.repositories.refs(self.repositories.other)
        self.other_events = self.server.store.events(self.other)
        self.started = set(self.inside.confs)
        return self.session_id

    def _end_earlier_session(self, summary: str) -> None:
        self.inside.fail(DAG, "saturday", self.task_id)
        earlier = self.service.intake(Failure(DAG, "saturday", self.task_id), WORKER).id
        worker = self.service.worker
        claim = worker.claim(earlier, WORKER, worker="w0")
        cause = RootCause("NameError: another", "another", "NameError")
        incident = an_incident(ref=TaskRef(DAG, "saturday", self.task_id, 1), cause=cause)
        last = claim.session.last_event
        worker.append(earlier, WORKER, lease=claim.lease, after=last, events=[(EventKind.INCIDENT, incident.to_json())])
        end = {"outcome": Outcome.GAVE_UP, "summary": summary, "verdict": None, "report": None, "error": None}
        worker.finish(earlier, WORKER, lease=claim.lease, **end)

    def _fail_in_rest(self) -> None:
        rest, head = self.rest, self.repositories.refs()["main"]
        tasks = {"build": [self.task_id], self.task_id: ["publish"], "publish": []}
        rest.add_dag(DAG, tasks, relative_fileloc="shop.py", **self.dag_facts)
        rest.add_run(DAG, "sunday", state="success", start_date="2026-11-21T06:00:00Z", bundle_version=self.first)
        rest.add_task_instance(DAG, "sunday", self.task_id, state="success")
        rest.add_run(DAG, self.run_id, bundle_version=head, conf=self.conf)
        rest.add_task_instance(DAG, self.run_id, "build", state="success", log=[event(self.other_log)])
        rest.add_task_instance(DAG, self.run_id, self.task_id, rendered_fields=self.rendered)
        rest.set_log(self._instance(), [*self.log, traceback("NameError", self.cause, FRAME)])

    def _instance(self) -> Any:
        return [one for one in self.rest.instances if (one["dag_run_id"], one["task_id"]) == (self.run_id, self.task_id)][-1]

    # --- work

    def work(self, model: Model) -> Session:
        """Drive the session until it ends or waits for a person who does not come."""
        with ApiServer(self.service) as api:
            sessions = AirflowHttp(api.url, WorkerLogin())
            for _ in range(WAKE_UPS):
                given = self._driven(model, sessions)
                if not (self._reviewed(sessions) if isinstance(given, Session) else self._woken(given)):
                    return self.session
        raise AssertionError("The session never comes to an end.")

    def _driven(self, model: Model, sessions: AirflowHttp) -> WaitRun | Session:
        bench = self._bench(model, sessions)
        return Driver(bench, clock=self.server.clock).drive(self.session_id, worker="w", last_try=True)

    def _bench(self, model: Model | None, sessions: AirflowHttp) -> RealBench:
        rest = connect_with(Login(url=self.rest.url), retries=0, timeout=5)
        bench = RealBench(rest, self.settings, sessions, model, lambda: self.inside.shape(DAG, self.run_id))
        bench.discussion = self.discussion if self.review_says is not None else None
        return bench

    def _reviewed(self, sessions: AirflowHttp) -> bool:
        """Whether the session's end is not the last word: a reviewer comments on its pull request, and triage brings it."""
        if self.review_says is None or self.discussion.comments:
            return False
        now = self.server.clock()
        self.discussion.write(f"@agentfix {self.review_says}", at=now, may_write=self.reviewer_may_write)
        requests = RestRequests(SessionsApi(sessions), self._bench(None, sessions))
        self.heard = hear(requests, mention=self.settings.mention, now=self.server.clock(), since=now)
        self.started.add(fix_run_id(self.session_id, 2))  # one worker for the comment, no more
        return self.session.state is not State.DONE

    def _woken(self, wait: WaitRun) -> bool:
        """Whether what the session waits for comes."""
        if wait.waiting_for is WaitFor.RERUN:
            self._end_rerun()
            return True
        question = self.inside.questions[wait.run_id]
        if self.answer_says is not None and not self.answered:
            self.answered += 1
            self.inside.required_action(wait.run_id, question.options[0], user="mallory", message=self.answer_says)
            return True
        if self.attempt.approved and not self.service_approved:
            self.service.reply(self.session_id, ANNA, decision="approve", message="this one", question_id=None)
            return True
        return False

    def _end_rerun(self) -> None:
        """It fails again, and says what it says."""
        instance = self._instance()
        self.rest.add_earlier_try(instance, instance["try_number"])
        instance["try_number"] += 1
        said = [event(self.rerun_says)] if self.rerun_says else []
        self.rest.set_log(instance, [*said, traceback("ValueError", self.rerun_says or "again", FRAME)])
        self.rest.runs[DAG, self.run_id].update(state="failed")
        self.inside.fail(DAG, self.run_id, self.task_id, try_number=instance["try_number"])

    # --- what is there afterwards

    @property
    def session(self) -> Session:
        stored = self.server.store.get(self.session_id)
        assert stored is not None
        return stored.session

    @property
    def events(self) -> list[Event]:
        return self.server.store.events(self.session_id)

    @property
    def service_approved(self) -> bool:
        return any(one.person == ANNA.get_id() for one in self.server.store.approvals(self.session_id))
