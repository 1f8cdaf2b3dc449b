"""How often the cause of a labelled failure log is kept, named and judged: as it is, and inside a long log.

AGENTFIX_CORPUS names a folder of further logs (`real/labels.jsonl` and `real/ID.log`), measured instead of the tests' own.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_agentfix.core.incident import Judgement
from airflow_agentfix.core.logs import distill, render
from airflow_agentfix.core.triage import judge
from airflow_agentfix.redaction import redact
from bench.figure import Figure
from bench.long_logs import embedded

OWN = Path(__file__).resolve().parents[1] / "tests" / "corpus" / "failures"
LONG_BYTES = 200_000
CLASSES = {"config": "code", "dependency": "code"}
Row = Mapping[str, Any]
Form = Callable[[Row, bytes], Iterable[bytes]]


def measure() -> list[Figure]:
    folder = Path(os.environ["AGENTFIX_CORPUS"], "real") if os.environ.get("AGENTFIX_CORPUS") else OWN
    rows = [json.loads(text) for text in (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    logs = [(row, (folder / f"{row['id']}.log").read_bytes()) for row in rows]
    return [*_of(logs, "raw", lambda _, log: io.BytesIO(log), (3, 1), 10), *_of(logs, "long", _long, (8, 3), 12)]


def _long(row: Row, log: bytes) -> Iterator[bytes]:
    return embedded(log, size=LONG_BYTES, seed=sum(str(row["id"]).encode()))


@dataclass(frozen=True)
class _Told:
    """What was made of one log."""

    row: Row
    kept: Mapping[int, bool]
    named: bool
    judgement: Judgement

    @property
    def is_right(self) -> bool:
        verdict = str(self.judgement.verdict)
        return CLASSES.get(verdict, verdict) == self.row["label"]


def _of(logs: list[tuple[Row, bytes]], form: str, made: Form, lost: tuple[float, float], wrong: float) -> Iterator[Figure]:
    told = [_told(row, list(made(row, log))) for row, log in logs]
    for chars, aim in zip((4_000, 16_000), lost, strict=True):
        missed = [one.row["id"] for one in told if not one.kept[chars]]
        yield _share(f"{form} logs, {chars} chars: cause lost", len(missed), len(told), aim, f"lost: {missed}")
    unnamed = [one.row["id"] for one in told if not one.named]
    yield _share(f"{form} logs: another line named as the cause", len(unnamed), len(told), 15, f"{unnamed}")
    missed = [f"{one.row['id']} {one.row['label']} called {one.judgement.verdict}" for one in told if not one.is_right]
    yield _share(f"{form} logs: verdict wrong of three classes", len(missed), len(told), wrong, f"{missed}")
    infra = [one for one in told if one.row["label"] == "infra"]
    open_ = [one.row["id"] for one in infra if not one.judgement.decided]
    yield _share(f"{form} logs: infra not decided by rules alone", len(open_), len(infra), 40, f"{open_}")
    decided = [one for one in told if one.judgement.decided]
    bad = [one.row["id"] for one in decided if not one.is_right]
    yield _share(f"{form} logs: decided and wrong", len(bad), len(decided), 3, f"{bad}")


def _told(row: Row, log: list[bytes]) -> _Told:
    kept = {}
    for chars in (4_000, 16_000):
        found = distill(log, max_chars=chars)
        kept[chars] = _states(render(found, redact=redact, max_chars=chars), row)
    line = redact(found.cause.line)
    return _Told(row, kept, _states(line, row) or _is_part(line, row), judge(found.cause))


def _causes(row: Row) -> list[str]:
    return [row["root_cause"], *row["accept"]]


def _states(text: str, row: Row) -> bool:
    return any(cause in text for cause in _causes(row))


def _is_part(line: str, row: Row) -> bool:
    return len(line) > 15 and any(line in cause for cause in _causes(row))


def _share(name: str, count: int, of: int, aim: float, how: str) -> Figure:
    return Figure(name, round(100 * count / max(1, of), 1), "%", aim, of, how)
