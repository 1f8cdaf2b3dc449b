"""Which DAGs' sessions a person may read, remembered for a short while: a list that refreshes itself every two seconds must not
ask the auth manager for a thousand DAGs each time.

What is remembered is for lists alone, which show a line of each session. Whoever opens one is asked for anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_agentfix.ports import ServerAirflow

SECONDS = 30
"""that a right which was taken away shows in lists at most"""
_MOST = 500
"""people that are remembered"""


@dataclass(frozen=True)
class _Known:
    until: datetime
    asked: frozenset[str]
    readable: frozenset[str]


class Readers:
    """One per process; each remembers for itself."""

    def __init__(self, airflow: ServerAirflow, clock: Callable[[], datetime]) -> None:
        self._airflow, self._clock = airflow, clock
        self._known: dict[tuple[str, str], _Known] = {}
        self._lock = threading.Lock()

    def remembered(self, user: Any) -> frozenset[str] | None:
        """The DAGs that this person was found to be allowed to read; None where nothing is remembered."""
        known = self._of(user)
        return known.readable if known else None

    def readable(self, user: Any, dag_ids: Collection[str]) -> frozenset[str]:
        """Those of these DAGs that the person may read; only what is not remembered is asked for."""
        known, wanted = self._of(user), frozenset(dag_ids)
        asked, readable = (known.asked, known.readable) if known else (frozenset(), frozenset())
        if known is None or wanted - asked:
            readable |= self._airflow.readable(user, wanted - asked)
            until = known.until if known else self._clock() + timedelta(seconds=SECONDS)  # what is old is asked anew all the same
            self._keep(user, _Known(until, asked | wanted, readable))
        return readable & wanted

    def _of(self, user: Any) -> _Known | None:
        known = self._known.get(_who(user))
        return known if known and known.until > self._clock() else None

    def _keep(self, user: Any, known: _Known) -> None:
        with self._lock:
            if len(self._known) >= _MOST:
                self._known = {who: one for who, one in self._known.items() if one.until > self._clock()}
            if len(self._known) < _MOST:
                self._known[_who(user)] = known


def _who(user: Any) -> tuple[str, str]:
    return str(user.get_id()), str(user.get_name())
