"""What was read of a log of which not all was read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class LogLook:
    """What was read of a log. It is known once the log's lines have been taken."""

    size: int | None = None
    """bytes, where the place it is in says so"""
    before_gap: int | None = None
    """lines before the part that was left out; None where nothing was"""
    lines: int = 0
    out_of_time: bool = False

    @property
    def is_whole(self) -> bool:
        return self.before_gap is None and not self.out_of_time

    def place(self, line: int) -> int:
        """A line as it can be told: counted from the start, or, behind the gap, negative: from the end, -1 the last one."""
        behind = self.before_gap is not None and line > self.before_gap
        return line - self.lines - 1 if behind else line
