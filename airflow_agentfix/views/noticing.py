"""Sessions of a list as whoever opens them would find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_agentfix.core.session import Session, State, fix_run_id
from airflow_agentfix.desk import ENDED, FIX_DAG
from airflow_agentfix.service import SessionService
from airflow_agentfix.store.record import Stored


def noticed(service: SessionService, user: Any, listed: Sequence[Stored]) -> list[Session]:
    """One whose run of the fix DAG has ended without a word is ended as failed. One query for all runs."""
    runs = {fix_run_id(one.session.id, one.runs): one.session.id for one in listed if one.session.state is not State.DONE}
    states = service.desk.airflow.run_states(FIX_DAG, runs)
    ended = {session_id for run_id, session_id in runs.items() if states.get(run_id) in ENDED}
    return [service.get(one.session.id, user) if one.session.id in ended else one.session for one in listed]
