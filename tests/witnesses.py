"""Who can say why a test failed: while it is open, a server or a browser is asked, and what it says is in the test's report.

A failure in CI has to be understood from what it printed: everything else is gone with the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[], str]
_present: list[tuple[str, Tell]] = []


@contextmanager
def witness(name: str, tell: Tell) -> Iterator[None]:
    """While the block runs, tests that fail ask it; an error that leaves the block takes along what it says."""
    _present.append((name, tell))
    try:
        yield
    except BaseException as error:
        error.add_note(f"{name}:\n{_told(tell)}")
        raise
    finally:
        _present.remove((name, tell))


def testimony() -> list[tuple[str, str]]:
    """Names and what they say, as sections of a report."""
    return [(name, _told(tell)) for name, tell in _present]


def _told(tell: Tell) -> str:
    try:
        return tell()
    except Exception as error:  # whatever it is, the test's own failure is what counts
        return f"(it could not be asked: {error!r})"
