"""By which way a fix is rerun, and why by this one.

| way | the failed run | what runs the fix |
|---|---|---|
| pin | goes on itself, on the fix commit | its failed tasks and what is downstream of them |
| preview | stays as it is | a DAG of its own, imported from the fix's tree |
| conf | stays as it is | a new run of the DAG, told the fix branch by a param |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from airflow_agentfix.errors import RerunImpossible


class Way(StrEnum):
    """How a fix is rerun."""

    PIN = "pin"
    PREVIEW = "preview"
    CONF = "conf"


@dataclass(frozen=True)
class Chosen:
    """A way and the reason for it, in words for people."""

    way: Way
    reason: str


@dataclass(frozen=True)
class Ways:
    """Why a run's fix cannot be rerun by a way; None where it can. `allowed`: those that policy allows."""

    pin: str | None
    preview: str | None
    conf: str | None
    allowed: Collection[str] = tuple(Way)

    def choose(self, shape_changes: Sequence[str] = ()) -> Chosen:
        """Conf where the DAG takes its branch from a param: the failed run's own param would still say the base branch. Else
        pin, which recovers the failed run itself; else preview. RerunImpossible with what is in the way of each."""
        refused = {way: self._refused(way, shape_changes) for way in (Way.CONF, Way.PIN, Way.PREVIEW)}
        for way, why_not in refused.items():
            if why_not is None:
                return Chosen(way, _reason(way, refused))
        told = " ".join(f"{way}: {refused[way]}" for way in (Way.PIN, Way.PREVIEW, Way.CONF))
        raise RerunImpossible(f"No way to rerun this fix. {told}")

    def _refused(self, way: Way, shape_changes: Sequence[str]) -> str | None:
        if way.value not in self.allowed:
            return "policy does not allow it (rerun_ways)."
        why_not: str | None = getattr(self, way.value)
        if why_not is None and shape_changes and way is not Way.PREVIEW:
            return f"the fix changes the DAG's shape: {' '.join(shape_changes)}"
        return why_not


def _reason(way: Way, refused: Mapping[Way, str | None]) -> str:
    if way is Way.CONF:
        return "the DAG takes the branch it works on from a param, and the fix changes no DAG code"
    if way is Way.PIN:
        return "the failed run can go on itself, on the fix commit"
    return f"a pin is not possible: {refused[Way.PIN]}"


def branch_param(
    names: Sequence[str], *, params: Mapping[str, Any], conf: Mapping[str, Any], base_branch: str
) -> tuple[str | None, str | None]:
    """The param by which a DAG is told its branch, or why there is none: one of `names` that was the base branch in the run.

    `params`: defaults by name, as the DAG declares them; `conf`: the failed run's.
    """
    declared = [name for name in names if name in params]
    if not declared:
        return None, f"the DAG declares no branch param ({', '.join(names) or 'none is configured'})."
    said = {name: conf.get(name, params[name]) for name in declared}
    meant = [name for name, value in said.items() if value == base_branch]
    if not meant:
        values = ", ".join(f"{name} was {value!r}" for name, value in said.items())
        return None, f"the failed run did not work on the base branch {base_branch!r} by its param: {values}."
    return meant[0], None


def dag_code(paths: Collection[str], subdir: str) -> list[str]:
    """Of a fix's paths those that DAG processor and workers run: Python below the bundle's root in the repository."""
    python = (path for path in paths if path.endswith((".py", ".pyi")))
    return sorted(path for path in python if PurePosixPath(path).is_relative_to(subdir.strip("/")))
