"""A task's newest runs as bars: how long it took, how it ended, which one this is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_agentfix.core.circumstances import Usual
from airflow_agentfix.evidence.history import History, compared, earlier_runs

RUNS = 20
HEIGHT, STEP, WIDTH = 72, 22, 16
"""of the drawing, in its own units: the highest bar, from bar to bar, a bar"""
LEAST = 3


@dataclass(frozen=True)
class Bar:
    """`x`, `y`, `height` in the drawing's units; `tone`: good | bad | plain."""

    run_id: str
    state: str
    seconds: float | None
    started: str | None
    tone: str
    x: int
    y: float
    height: float
    is_this: bool


@dataclass(frozen=True)
class Plot:
    """Oldest first. `said`: the same in a sentence."""

    bars: tuple[Bar, ...]
    usual: Usual | None
    usual_y: float | None
    said: str
    width: int
    longest: float


_TONES = {"success": "good", "failed": "bad", "upstream_failed": "bad"}


def plot(history: History, *, this: str) -> Plot:
    """`this`: the id of the run that the page is about."""
    usual = earlier_runs(history, but=this).usual
    longest = max((task.duration or 0.0 for _, task in history), default=0.0)
    bars = []
    for place, (run_id, task) in enumerate(reversed(history)):
        height = max(LEAST, HEIGHT * (task.duration or 0.0) / longest) if longest else LEAST
        state = task.state or "not started"
        tone = _TONES.get(state, "plain")
        x, y = place * STEP, round(HEIGHT - height, 1)
        bars.append(Bar(run_id, state, task.duration, task.start_date, tone, x, y, round(height, 1), run_id == this))
    usual_y = round(HEIGHT - HEIGHT * usual.median / longest, 1) if usual and longest else None
    return Plot(tuple(bars), usual, usual_y, _said(bars, usual), max(STEP, len(bars) * STEP), longest)


def _said(bars: list[Bar], usual: Usual | None) -> str:
    failed = sum(bar.state == "failed" for bar in bars)
    others = len([bar for bar in bars if not bar.is_this])
    ours = next((bar for bar in bars if bar.is_this), None)
    if not others:
        return "The task has no other runs to compare with."
    count = f"In its newest {len(bars)} runs the task failed {_times(failed)}."
    if usual is None:
        return f"{count} None of the others was green."
    usually = f"It usually takes {seconds(usual.median)} ({seconds(usual.fastest)} to {seconds(usual.slowest)})"
    how = compared(ours.seconds, usual) if ours else ""
    took = f"; this one took {seconds(ours.seconds)}{f', {how}' if how else ''}" if ours and ours.seconds is not None else ""
    return f"{count} {usually}{took}."


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def seconds(took: float) -> str:
    if took < 10:
        return f"{took:.1f} s"
    if took < 120:
        return f"{took:.0f} s"
    return f"{took / 60:.0f} min" if took < 7200 else f"{took / 3600:.1f} h"
