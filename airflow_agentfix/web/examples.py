"""The values that the OpenAPI document shows: one failure, its session and what happens to it. Made of the real classes."""

from __future__ import annotations

from airflow_agentfix.core.budget import Day, DayLimits, overview
from airflow_agentfix.core.links import Links
from airflow_agentfix.core.policy import Effective, Policy
from airflow_agentfix.core.recovery import RunState
from airflow_agentfix.core.session import Event, EventKind, Outcome, Session, State, Usage, WaitFor, worker_name
from airflow_agentfix.core.stages import not_run, passed
from airflow_agentfix.core.urls import session_url, ui_url
from airflow_agentfix.ports import Answer, Approved, Claim, Json, Rerun, WaitRun
from airflow_agentfix.store.wire import Audit, Page, RecoveredRun, Recovery, Taken, claim_to_json, result_to_json

DAG, RUN, TASK = "shop_daily_revenue", "scheduled__2026-11-22T06:00:00+00:00", "sum_revenue"
ID = "5d2f0c8e9b7a4e31a6c4f1d20b9e7a55"
CALL, LEASE = "toolu_01A09q90qw90lq917835lq9", "0f8fad5bd9cb469fa16570867728950e"
COMMIT, HASH = "3c9a1f0e" * 5, "9f86d081" * 8
AT = "2026-11-22T07:00:00.000+00:00"
WORKER = worker_name("agentfix_fix", f"agentfix__{ID}__1", "drive", 1)
ASK_RUN = f"agentfix__{ID}__q7"

FAILURE: Json = {"dag_id": DAG, "run_id": RUN, "task_id": TASK, "map_index": -1, "try_number": 1}
INTENT: Json = {"call_id": CALL, "tool": "open_fix", "input": {"title": "Call to_euros", "summary": "It was renamed."}}
COMMENT: Json = {"id": "1203", "url": "https://github.com/shop/dags/pull/7#issuecomment-1203", "author": "octocat", "at": AT}
REPORT: Json = {"verdict": "code", "confidence": 0.9, "root_cause": "to_euro was renamed to to_euros."}

_AIRFLOW = "https://airflow.example.com"
_session = Session(
    ID, DAG, RUN, TASK, -1, 1, State.DONE, "rerun", "callback", AT, AT, version=12, outcome=Outcome.FIXED,
    fingerprint="b1946ac92492d234", repository="https://github.com/shop/dags", verdict="code", model="rules",
    cause="AttributeError: module 'shop.money' has no attribute 'to_euro'", fix_branch="fix/shop_daily_revenue-sum_revenue-3c9a",
    fix_commit=COMMIT, pull_request="https://github.com/shop/dags/pull/7", worker_run_id=f"agentfix__{ID}__1", last_event=12,
    summary="to_euro was renamed to to_euros. Fix on its branch; the rerun is green.", usage=Usage(turns=5, dollars=0.12),
)  # fmt: skip
_event = Event(3, EventKind.NOTE, "anna", AT, {"message": "The column was renamed last week."}, HASH)

_budget = overview(
    _session.usage, Policy(), minutes=3.4, day=Day(1.25, 5.0, 3.5, 10.0), limits=DayLimits(AT[:10], dag=50.0, total=200.0)
)

SESSION: Json = {"session": _session.to_json()}
_passed = {"compiled": "with Python 3.12.4: dags/shop/revenue.py", "DAG imports": f"in a process of its own, and has {DAG}"}
_why_not = {"output checks": "no task of the DAG checks outputs, by its operator, command or name"}
_stages = [*(passed(*one) for one in _passed.items()), *(not_run(*one) for one in _why_not.items())]
_links = Links(
    ui_url(_AIRFLOW, DAG, RUN, TASK, try_number=1), ui_url(_AIRFLOW, "agentfix_fix", f"agentfix__{ID}__1"),
    _session.pull_request, ui_url(_AIRFLOW, DAG, RUN), session_url(_AIRFLOW, ID),
)  # fmt: skip

SHOWN: Json = {
    **SESSION,
    "budget": _budget.to_json(),
    "verification": [stage.to_json() for stage in _stages],
    "links": _links.to_json(),
}
PAGE: Json = Page((_session,), 1).to_json()
EVENTS: Json = {"events": [_event.to_json()]}
TAKEN: Json = Taken(ID, State.OPEN, created=True).to_json()
AUDIT: Json = {"audit": Audit(ID, 12, HASH, None).to_json()}
RECOVERY: Json = {
    "recovery": Recovery(
        ID, COMMIT, (RecoveredRun("scheduled__2026-11-21T06:00:00+00:00", RunState.STARTED, (TASK, "publish")),), over=False
    ).to_json()
}
POLICY: Json = {"dag_id": DAG, **Effective(Policy(), {"autonomy": ("[agentfix] autonomy",)}).to_json()}
CLAIM: Json = claim_to_json(Claim(LEASE, _session, (_event,), Policy().to_json()))
ANSWER: Json = result_to_json(Answer("q7", "answer", "Use the gross amount.", "anna"))
APPROVED: Json = result_to_json(Approved(COMMIT, "anna"))
RERUN: Json = result_to_json(Rerun("pin", DAG, RUN, COMMIT, (TASK,), -1))
WAIT: Json = result_to_json(WaitRun("agentfix_ask", ASK_RUN, WaitFor.PERSON, CALL))
SIGNATURE: Json = {"signature": HASH}
SHAPE: Json = {"shape": {"tasks": {}, "groups": {}}}
