"""Replacing a piece of a text exactly once, and showing the difference; pure, on texts with their own line ends."""

from __future__ import annotations

import difflib
import re

from rapidfuzz import fuzz, process

from airflow_agentfix.errors import EditRefused


def replace_once(path: str, text: str, old: str, new: str) -> str:
    """`text` with its only occurrence of `old` replaced. EditRefused says how often it occurs and what comes near.

    A line end in `old` matches the file's, and `new` gets the line ends of what it replaces: a model sees lines, not bytes.
    """
    if not old:
        raise EditRefused(
            f"The edit of {path!r} has an empty `old`; expected the text to replace, with enough lines to be unique."
        )
    pattern = "\r?\n".join(re.escape(part) for part in re.split("\r?\n", old))
    starts = [match.start() for match in re.finditer(f"(?={pattern})", text)]
    if not starts:
        raise EditRefused(f"`old` does not occur in {path!r}.{_nearest(text, old)}")
    if len(starts) > 1:
        lines = ", ".join(str(_line_number(text, start)) for start in starts[:10])
        raise EditRefused(
            f"`old` occurs {len(starts)} times in {path!r} (lines {lines}); add surrounding lines to make it unique."
        )
    match = re.compile(pattern).match(text, starts[0])
    assert match is not None  # the lookahead has just found it here
    replacement = re.sub("\r?\n", _line_end(match.group(), text), new)
    if replacement == match.group():
        raise EditRefused(f"The edit of {path!r} changes nothing: `old` and `new` are equal.")
    return text[: match.start()] + replacement + text[match.end() :]


def unified_diff(path: str, before: str | None, after: str | None) -> str:
    """The difference of one file as git shows it; an empty text for none."""
    old, new = _lines(before), _lines(after)
    names = ("/dev/null" if before is None else f"a/{path}", "/dev/null" if after is None else f"b/{path}")
    body = list(difflib.unified_diff(old, new, *names))
    header = f"diff --git a/{path} b/{path}\n"
    if before is None:
        header += "new file mode 100644\n"
    if after is None:
        header += "deleted file mode 100644\n"
    if before == after:
        return ""
    return header + "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in body)


def changed_lines(before: str | None, after: str | None) -> int:
    """Lines added and removed together."""
    return sum(1 for line in _delta(before, after) if line[0] in "+-")


def added_lines(before: str | None, after: str | None) -> list[str]:
    """New lines, and those that were changed, as they are now."""
    return [line[1:].rstrip("\n") for line in _delta(before, after) if line[0] == "+"]


def _delta(before: str | None, after: str | None) -> list[str]:
    return list(difflib.unified_diff(_lines(before), _lines(after), n=0))[2:]


def _lines(text: str | None) -> list[str]:
    # not splitlines: form feeds and Unicode separators end no line for git
    return re.findall("[^\n]*\n|[^\n]+", text or "")


def _line_end(replaced: str, text: str) -> str:
    sample = replaced if "\n" in replaced else text
    return "\r\n" if "\r\n" in sample else "\n"


def _line_number(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _nearest(text: str, old: str) -> str:
    wanted = next((line for line in old.splitlines() if line.strip()), "")
    lines = text.splitlines()
    best = process.extractOne(wanted, lines, scorer=fuzz.ratio, score_cutoff=60)
    if best is None:
        return " Nothing comes near; read the file again."
    at = best[2]
    shown = "\n".join(f"{number + 1}\t{lines[number]}" for number in range(max(0, at - 1), min(len(lines), at + 3)))
    return f" The nearest place is:\n{shown}"
