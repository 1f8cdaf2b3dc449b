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
class Seen:
    """The DAGs that were asked about for a person, and those of them that the person may read."""

    asked: frozenset[str] = frozenset()
    readable: frozenset[str] = frozenset()

    @property
    def hidden(self) -> frozenset[str]:
        return self.asked - self.readable


@dataclass(frozen=True)
class _Known:
    until: datetime
    seen: Seen


class Readers:
    """One per process; each remembers for itself."""

    def __init__(self, airflow: ServerAirflow, clock: Callable[[], datetime]) -> None:
        self._airflow, self._clock = airflow, clock
        self._known: dict[tuple[str, str], _Known] = {}
        self._lock = threading.Lock()

    def remembered(self, user: Any) -> Seen | None:
        """What is remembered of this person; None where nothing is."""
        known = self._of(user)
        return known.seen if known else None

    def readable(self, user: Any, dag_ids: Collection[str]) -> frozenset[str]:
        """Those of these DAGs that the person may read."""
        return self.seen(user, dag_ids).readable & frozenset(dag_ids)

    def seen(self, user: Any, dag_ids: Collection[str]) -> Seen:
        """All that is remembered of the person, these DAGs among it; only what is not remembered is asked for."""
        known, wanted = self._of(user), frozenset(dag_ids)
        seen = known.seen if known else Seen()
        if known is None or wanted - seen.asked:
            seen = Seen(seen.asked | wanted, seen.readable | self._airflow.readable(user, wanted - seen.asked))
            # what is old is asked anew all the same
            self._keep(user, _Known(known.until if known else self._clock() + timedelta(seconds=SECONDS), seen))
        return seen

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
