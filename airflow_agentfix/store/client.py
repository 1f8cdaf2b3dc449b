"""The session API from outside: `HttpSessionClient` is a worker's narrow part, `SessionsApi` what the doors need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_agentfix.airflow_http import path_of
from airflow_agentfix.core.mentions import Remark
from airflow_agentfix.core.policy import Effective
from airflow_agentfix.core.session import Event, EventKind, Outcome, PinEnd, Session
from airflow_agentfix.errors import AgentFixError, ConfigurationError
from airflow_agentfix.ports import Answer, Approved, Claim, Json, Rerun, WaitRun
from airflow_agentfix.store.wire import BASE, Audit, Page, Recovery, Taken, claim_from_json, error_from_json, result_from_json

if TYPE_CHECKING:
    from airflow_agentfix.airflow_http import AirflowHttp


class HttpSessionClient:
    """`ports.SessionClient` over HTTP. Raises the error the API names."""

    def __init__(self, http: AirflowHttp) -> None:
        self._http = http

    def claim(self, session_id: str, *, worker: str) -> Claim:
        return claim_from_json(self._post(session_id, "claim", worker=worker))

    def append(
        self, session_id: str, *, lease: str, after: int, events: Sequence[tuple[EventKind, Mapping[str, Any]]]
    ) -> list[Event]:
        drafts = [{"kind": kind.value, "data": dict(data)} for kind, data in events]
        answer = self._post(session_id, "events", lease=lease, after=after, events=drafts)
        return [Event.from_json(event) for event in answer["events"]]

    def ask(
        self, session_id: str, *, lease: str, call_id: str, subject: str, body: str, options: Sequence[str]
    ) -> Answer | WaitRun:
        question = {"call_id": call_id, "subject": subject, "body": body, "options": list(options)}
        return result_from_json(self._post(session_id, "ask", lease=lease, **question))  # type: ignore[return-value]  # as the route

    def approval(self, session_id: str, *, lease: str, call_id: str, commit: str) -> Approved | Answer | WaitRun:
        answer = self._post(session_id, "approval", lease=lease, call_id=call_id, commit=commit)
        return result_from_json(answer)  # type: ignore[return-value]  # as the route

    def sign(self, session_id: str, *, lease: str, tree: str, file: str) -> str:
        params = {"lease": lease, "tree": tree, "file": file}
        return _asked(self._http, "GET", f"/{session_id}/signature", params=params)["signature"]  # type: ignore[no-any-return]

    def shape(self, session_id: str, *, lease: str) -> Json:
        return _asked(self._http, "GET", f"/{session_id}/shape", params={"lease": lease})["shape"]  # type: ignore[no-any-return]

    def rerun(self, session_id: str, *, lease: str, call_id: str, shape_changes: Sequence[str] = ()) -> Rerun | WaitRun:
        changes = list(shape_changes)
        answer = self._post(session_id, "rerun", lease=lease, call_id=call_id, shape_changes=changes)
        return result_from_json(answer)  # type: ignore[return-value]  # as the route

    def park(self, session_id: str, *, lease: str, wait: WaitRun) -> None:
        where = {"dag_id": wait.dag_id, "run_id": wait.run_id, "waiting_for": wait.waiting_for.value, "call_id": wait.call_id}
        self._post(session_id, "park", lease=lease, **where)

    def finish(
        self,
        session_id: str,
        *,
        lease: str,
        outcome: Outcome,
        summary: str,
        verdict: str | None,
        report: Json | None,
        error: str | None,
    ) -> Session:
        end = {"outcome": outcome.value, "summary": summary, "verdict": verdict, "report": report, "error": error}
        return Session.from_json(self._post(session_id, "finish", lease=lease, **end)["session"])

    def _post(self, session_id: str, verb: str, **body: Any) -> Any:
        return _asked(self._http, "POST", f"/{session_id}/{verb}", body=body)


class SessionsApi:
    """Sessions for the doors: callback, command line, triage. Raises the error the API names."""

    def __init__(self, http: AirflowHttp) -> None:
        self._http = http

    def intake(
        self,
        *,
        dag_id: str,
        run_id: str,
        task_id: str,
        try_number: int | None = None,
        map_index: int = -1,
        source: str = "callback",
        autonomy: str | None = None,
        hint: Mapping[str, str] | None = None,
    ) -> Taken:
        """Hand a failure over; the same failure again gives the same session."""
        failure = {
            "dag_id": dag_id,
            "run_id": run_id,
            "task_id": task_id,
            "try_number": try_number,
            "map_index": map_index,
            "source": source,
            "autonomy": autonomy,
            "hint": dict(hint or {}),
        }
        return Taken.from_json(self._http.json("POST", f"{BASE}/failures", body=failure, error_from=_error))

    def create(
        self,
        *,
        dag_id: str,
        run_id: str,
        task_id: str,
        try_number: int | None = None,
        map_index: int = -1,
        source: str = "cli",
        autonomy: str | None = None,
        message: str | None = None,
    ) -> Taken:
        """A person asks for a fix. A session that works on the task is joined; one that ended gets a successor."""
        wanted = {
            "dag_id": dag_id,
            "run_id": run_id,
            "task_id": task_id,
            "try_number": try_number,
            "map_index": map_index,
            "source": source,
            "autonomy": autonomy,
            "message": message,
        }
        return Taken.from_json(_asked(self._http, "POST", "", body=wanted))

    def list(
        self, *, dag_id: str | None = None, state: str | None = None, limit: int = 50, offset: int = 0, pinned: bool = False
    ) -> list[Session]:
        """The sessions of such a `page`."""
        return [*self.page(dag_id=dag_id, state=state, limit=limit, offset=offset, pinned=pinned).sessions]

    def page(
        self,
        *,
        dag_id: str | None = None,
        run_id: str | None = None,
        task_id: str | None = None,
        state: str | None = None,
        outcome: str | None = None,
        waiting_for: str | None = None,
        verdict: str | None = None,
        pinned: bool = False,
        unsettled: bool = False,
        pull_request: bool = False,
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """Sessions the login may read and that all that is given fits, newest first. `pinned`: only those whose run is on their
        fix commit; `unsettled`: only done ones with a fix that is open, or merged with runs left to recover; `pull_request`:
        only those that opened one."""
        named = {
            "dag_id": dag_id,
            "run_id": run_id,
            "task_id": task_id,
            "state": state,
            "outcome": outcome,
            "waiting_for": waiting_for,
            "verdict": verdict,
            "pinned": pinned or None,
            "unsettled": unsettled or None,
            "pull_request": pull_request or None,
            "limit": limit,
            "offset": offset,
        }
        params = {name: value for name, value in named.items() if value is not None}
        return Page.from_json(_asked(self._http, "GET", "", params=params))

    def get(self, session_id: str) -> Session:
        return Session.from_json(_asked(self._http, "GET", f"/{session_id}")["session"])

    def budget(self, session_id: str) -> Json:
        """What it used of what it may, and where its day stands: `core.budget.overview`."""
        return _asked(self._http, "GET", f"/{session_id}")["budget"]  # type: ignore[no-any-return]  # as the route

    def address(self, session_id: str) -> str | None:
        """Where a person sees it; None where AgentFix's pages are switched off, a path where `[api] base_url` is not set."""
        return _asked(self._http, "GET", f"/{session_id}")["links"]["session"]  # type: ignore[no-any-return]  # as the route

    def events(self, session_id: str, *, after: int = 0) -> Sequence[Event]:
        answer = _asked(self._http, "GET", f"/{session_id}/events", params={"after": after})
        return [Event.from_json(event) for event in answer["events"]]

    def audit(self, session_id: str, *, anchor: str | None = None) -> Audit:
        """Whether the session's events are what was written. `anchor`: a hash of the chain that was kept elsewhere."""
        params = {"anchor": anchor} if anchor else None
        return Audit.from_json(_asked(self._http, "GET", f"/{session_id}/audit", params=params)["audit"])

    def policy(self, dag_id: str) -> Effective:
        """What a session on this DAG may do if it starts now."""
        return Effective.from_json(self._http.json("GET", path_of(f"{BASE}/dags", dag_id, "policy"), error_from=_error))

    def message(self, session_id: str, message: str, *, comment: Remark | None = None) -> Taken:
        """Tell the session something; one that is done starts again with it. `comment`: where it was written on the fix's pull
        request; the same comment again changes nothing."""
        body = {"message": message, **({"comment": vars(comment)} if comment else {})}
        return Taken.from_json(_asked(self._http, "POST", f"/{session_id}/message", body=body))

    def reply(
        self, session_id: str, *, decision: str | None = None, message: str = "", question_id: str | None = None
    ) -> Session:
        """Answer the waiting question. `decision`: answer | approve | reject."""
        body = {"decision": decision, "message": message, "question_id": question_id}
        return Session.from_json(_asked(self._http, "POST", f"/{session_id}/continue", body=body)["session"])

    def stop(self, session_id: str, *, reason: str = "") -> Session:
        return Session.from_json(_asked(self._http, "POST", f"/{session_id}/stop", body={"reason": reason})["session"])

    def end_pin(self, session_id: str, *, version: str | None = None, reason: PinEnd = PinEnd.ASKED) -> Session:
        """Set its run back to its own version; with the reason merged to `version`, what Airflow serves the DAG on."""
        body = {"version": version, "reason": reason.value}
        return Session.from_json(_asked(self._http, "POST", f"/{session_id}/end-pin", body=body)["session"])

    def recover(
        self,
        session_id: str,
        *,
        dry_run: bool = False,
        again: bool = False,
        found: str | None = None,
        version: str | None = None,
        at_most: int | None = None,
    ) -> Recovery:
        """Let the failed runs of its cause go on with the merged fix. `found` and `version` are triage's word on the fix."""
        body = {"dry_run": dry_run, "again": again, "found": found, "version": version, "at_most": at_most}
        return Recovery.from_json(_asked(self._http, "POST", f"/{session_id}/recover", body=body)["recovery"])

    def delete(self, session_id: str) -> None:
        """Stop it and erase its content; hashes stay."""
        _asked(self._http, "DELETE", f"/{session_id}")


def _asked(http: AirflowHttp, method: str, path: str, **request: Any) -> Any:
    return http.json(method, f"{BASE}/sessions{path}", error_from=_error, **request)


def _error(response: Any) -> AgentFixError | None:
    try:
        told = error_from_json(response.json())
    except ValueError:
        told = None
    if told is None and response.status_code == 404:
        return ConfigurationError(
            f"No session API at {response.url.partition('?')[0]} (404): AgentFix's plugin is not loaded there. Install "
            "airflow-provider-agentfix beside the API server and restart it; agentfix doctor looks again."
        )
    return told
