"""What the last refresh found, as a file beside the trees: read at every task start, written whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_agentfix.core.previews import loader_name, preview_id
from airflow_agentfix.previews.fixes import Fix


@dataclass(frozen=True)
class Served:
    """A branch that has a preview, and the fix at its end."""

    branch: str
    fix: Fix

    @property
    def dag_id(self) -> str:
        """The preview's."""
        return preview_id(self.fix.dag_id, self.branch)

    @property
    def loader(self) -> str:
        return loader_name(self.branch)


@dataclass
class State:
    """`refused`: reason by commit, under the keys of `keys`. `told`: what was logged of branches not served, so that it is said
    once. `gone`: when (seconds since 1970) a commit whose tree is here was last served."""

    served: tuple[Served, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    keys: str = ""
    told: list[str] = field(default_factory=list)
    gone: dict[str, float] = field(default_factory=dict)

    @property
    def fixes(self) -> dict[str, Fix]:
        return {one.fix.commit: one.fix for one in self.served}


def read(file: Path) -> State | None:
    """None where there was no refresh here yet, or the file is none that this version wrote."""
    try:
        found = json.loads(file.read_bytes())
        return State(**{**found, "served": tuple(_served(found["served"]))})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def write(file: Path, state: State) -> None:
    write_whole(file, json.dumps(asdict(state)))


def write_whole(file: Path, text: str) -> None:
    """Readers see the old file or the new one."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(text, encoding="ascii")
    os.replace(new, file)


def _served(entries: Iterable[dict[str, Any]]) -> Iterable[Served]:
    return (Served(entry["branch"], Fix(**entry["fix"])) for entry in entries)
