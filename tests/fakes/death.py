"""Processes that die at a moment of their work: every call they make to the world has one before and one after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester


class Killed(BaseException):
    """The process is gone: nothing in it may catch this."""


class Reaper:
    """Lets moments pass and kills at the `at`-th; without one it only counts. `when` has something else happen at a moment."""

    def __init__(self, at: int | None = None) -> None:
        self.moments: list[str] = []
        self.deaths: list[str] = []
        self.watches_requests = False
        self._planned: list[tuple[int | str, Callable[[], None]]] = [(at, self.kill)] if at else []

    def when(self, moment: int | str, action: Callable[[], None]) -> None:
        """Do this once, when the moment of this number or name comes and what was planned before has happened."""
        self._planned.append((moment, action))

    @property
    def waits_for_a_moment(self) -> bool:
        """Whether something is planned that has not come yet."""
        return bool(self._planned)

    def kill(self) -> None:
        self.deaths.append(self.moments[-1])
        self.watches_requests = False
        raise Killed(self.moments[-1])

    def moment(self, name: str) -> None:
        self.moments.append(name)
        if self._planned and self._planned[0][0] in (len(self.moments), name):
            _, action = self._planned.pop(0)
            action()


class Mortal:
    """`real`, whose caller can die before and after each call of `verbs`: after it the world has changed and nobody heard."""

    def __init__(self, real: Any, reaper: Reaper, name: str, *verbs: str) -> None:
        self._real, self._reaper, self._name, self._verbs = real, reaper, name, verbs

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._real, verb)
        return self._mortally(found, f"{self._name}.{verb}") if verb in self._verbs else found

    def _mortally(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def lived(*args: Any, **kwargs: Any) -> Any:
            self._reaper.moment(f"before {name}")
            given = call(*args, **kwargs)
            self._reaper.moment(f"after {name}")
            return given

        return lived


@contextmanager
def mortal_requests(reaper: Reaper) -> Iterator[None]:
    """PyGithub's requests are moments too, while the reaper watches them."""

    class Connection(HTTPRequestsConnectionClass):
        def getresponse(self) -> Any:
            name = f"{self.verb} {self.url.partition('?')[0]}"
            if reaper.watches_requests:
                reaper.moment(f"before {name}")
            given = super().getresponse()
            if reaper.watches_requests:
                reaper.moment(f"after {name}")
            return given

    Requester.injectConnectionClasses(Connection, HTTPSRequestsConnectionClass)
    try:
        yield
    finally:
        Requester.resetConnectionClasses()
