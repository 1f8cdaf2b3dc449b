"""The reading tools: log, files, search, history, skills. They change nothing and may be repeated after a change.

Every result is redacted, then measured: one over the cap is refused with how to narrow it, never cut in silence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile

from airflow_agentfix.agent.case import Case, Done, Use
from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.redact import without_key_blocks
from airflow_agentfix.errors import AirflowNotFound, ToolRefused
from airflow_agentfix.patterns import compiled

CAP = 16_000
LOG_TAIL = 200
LOG_CONTEXT = 2
LOG_WINDOW = 20
LINE_CHARS = 2_000
MATCHED_CHARS = 1_000
READ_CHARS = 20_000
"""of a long line, redacted before its beginning is shown"""
RUNS_LOOKED_AT = 50
NAMED = 30

Line = tuple[int, str]


def read_log(use: Use) -> Done:
    """The failed try's log, or another's: what matches `grep`, a range of lines, or the last 200."""
    lines = without_key_blocks(use.case.log(_log_ref(use)))  # before a part is chosen that does not show what it is
    header = ""
    if "grep" in use.input:
        chosen = list(_matching(lines, use.input["grep"], _number(use, "around", LOG_CONTEXT), use.case.redact))
        if not chosen:
            return Done(f"No line of the log matches {use.input['grep']!r}.")
    elif use.input.keys() & {"start", "end", "around"}:
        first, last = _range(use)
        chosen = [line for line in takewhile(lambda line: line[0] <= last, lines) if line[0] >= first]
    else:
        header, chosen = _tail(lines)
    # before they are numbered: what stands first in a line tells as much as what stands on the line before
    texts = use.case.redact("\n".join(_bounded(use, line).replace("\n", " ") for _, line in chosen)).split("\n")
    text = "\n".join(f"L{number}\t{line}" for (number, _), line in zip(chosen, texts, strict=True)) if chosen else ""
    return _shown(use, header + text, "Use grep, or a smaller range with start and end.")


def _number(use: Use, name: str, default: int) -> int:
    """An integer of the input; JSON's 3.0 is one too."""
    return int(use.input.get(name, default))


def _log_ref(use: Use) -> TaskRef:
    """The failed try; another task's newest try unless one is named."""
    ref = use.case.incident.ref
    task_id = use.input.get("task_id", ref.task_id)
    map_index = _number(use, "map_index", ref.map_index if task_id == ref.task_id else -1)
    number = _number(use, "try_number", 0)
    if number < 1 and (task_id, map_index) == (ref.task_id, ref.map_index):
        number = ref.try_number
    if number < 1:
        number = _newest_try(use, task_id, map_index)
    return TaskRef(ref.dag_id, ref.run_id, task_id, number, map_index)


def _newest_try(use: Use, task_id: str, map_index: int) -> int:
    ref, airflow = use.case.incident.ref, use.case.airflow
    try:
        return airflow.task_instance(ref.dag_id, ref.run_id, task_id, map_index).try_number
    except AirflowNotFound as error:
        indexes = {(task.task_id, task.map_index) for task in airflow.task_instances(ref.dag_id, ref.run_id)}
        known = sorted({name if index < 0 else f"{name} (mapped: give map_index)" for name, index in indexes})
        asked = f"{task_id!r}" + (f" with map_index {map_index}" if map_index >= 0 else "")
        raise ToolRefused(f"The run has no task {asked}. It has: {', '.join(known[:NAMED])}.") from error


def _range(use: Use) -> tuple[int, int]:
    if not use.input.keys() & {"start", "end"}:
        middle = _number(use, "around", 1)
        return max(1, middle - LOG_WINDOW), middle + LOG_WINDOW
    first = max(1, _number(use, "start", 1))
    return first, max(first, _number(use, "end", first + LOG_TAIL - 1))


def _matching(lines: Iterable[Line], regex: str, around: int, redact: Callable[[str], str]) -> Iterator[Line]:
    """Lines that match, with `around` lines before and after each. What matches in a secret only is no match: guessing must
    not pay."""
    pattern = compiled(regex)
    before: deque[Line] = deque(maxlen=max(0, around))
    after, size = 0, 0
    for line in lines:
        start = line[1][:MATCHED_CHARS]
        if pattern.search(start) and pattern.search(redact(start)):
            chosen, after = [*before, line], max(0, around)
            before.clear()
        elif after:
            chosen, after = [line], after - 1
        else:
            before.append(line)
            continue
        yield from chosen
        size += sum(len(text[:LINE_CHARS]) for _, text in chosen)
        if size > 4 * CAP:
            raise ToolRefused(f"Over {4 * CAP} characters match by line {line[0]}. Use a narrower regex or a smaller around.")


def _tail(lines: Iterable[Line]) -> tuple[str, list[Line]]:
    newest = list(deque(lines, maxlen=LOG_TAIL))
    if not newest or newest[0][0] == 1:
        return "", newest
    return f"(lines {newest[0][0]} to {newest[-1][0]}; earlier ones with start and end, or grep)\n", newest


def _bounded(use: Use, line: str) -> str:
    """The line's beginning; redacted before it is cut, because half a secret no longer looks like one."""
    if len(line) > LINE_CHARS:
        line = use.case.redact(line[:READ_CHARS]) + line[READ_CHARS:]
    return _cut(line)


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARS else f"{line[:LINE_CHARS]}… [{len(line) - LINE_CHARS} more characters in this line]"


def list_files(use: Use) -> Done:
    """One path per line."""
    paths = use.case.tree().copy.list_files(use.input.get("glob"))
    return _shown(use, "\n".join(paths), f"{len(paths)} paths. Use a narrower glob.")


def read_file(use: Use) -> Done:
    """The file, or the lines from `start` to `end`, each with its number."""
    path, start = use.input["path"], max(1, _number(use, "start", 1))
    # redacted whole: a secret can span lines, and redaction keeps their number
    lines = use.case.redact_code(use.case.tree().copy.read(path)).splitlines()
    chosen = lines[start - 1 : max(0, _number(use, "end", len(lines)))]
    if lines and not chosen:
        raise ToolRefused(f"{path!r} has {len(lines)} lines; expected start and end within them.")
    text = "\n".join(f"{number}\t{line}" for number, line in enumerate(chosen, start))
    return _shown_code(use, text, f"{path!r} has {len(lines)} lines. Read a part with start and end.")


def search_code(use: Use) -> Done:
    """One line per hit: path, line number, text."""
    copy, pattern = use.case.tree().copy, compiled(use.input["regex"])
    hits = copy.search(use.input["regex"], use.input.get("glob"))
    files = {path: use.case.redact_code(copy.read(path)).split("\n") for path in {path for path, _, _ in hits}}
    # what is shown has to match as well: what matches in a secret only is no match, guessing must not pay
    hits = [(path, number, files[path][number - 1].rstrip("\r")) for path, number, _ in hits]
    hits = [hit for hit in hits if pattern.search(hit[2][:MATCHED_CHARS])]
    text = "\n".join(f"{path}:{number}:{_cut(line)}" for path, number, line in hits)
    return _shown_code(use, text, f"{len(hits)} hits. Use a narrower regex or a glob.")


def get_history(use: Use) -> Done:
    """Earlier runs of a task, or what changed in the code since the last green run."""
    if use.input["of"] == "task":
        task_id = use.input.get("task_id", use.case.incident.ref.task_id)
        return _shown(use, use.case.task_history(task_id), "Look at the log or the code instead.")
    return _shown(use, _changes(use.case), "Use read_file on the files the traceback names.")


def _changes(case: Case) -> str:
    """Every commit and file between the last green run's version and this run's, as the evidence found them."""
    found = case.incident.circumstances.changes
    if found is None:
        gaps = [gap for gap in case.incident.circumstances.gaps if gap.startswith("what changed")]
        return f"Not known: {gaps[0]}" if gaps else "What changed is not known: this session's evidence did not look."
    if found.base == found.head:
        same = f"{found.since_run} was green on the same commit {found.head}"
        return f"The code did not change: {same}. Look at data and environment."
    way = "Since the green run" if not found.undone else "This run was on older code, without these, than the green run"
    head = f"{way} {found.since_run} ({found.base[:10]}..{found.head[:10]}, by {found.by}):"
    commits = [f"{one.sha[:10]} {one.date} {one.author}: {one.subject} [{one.touches}]" for one in found.commits]
    return "\n".join([head, *commits, "files:", *found.files])


def load_skill(use: Use) -> Done:
    """A skill's body, or a file of it."""
    return _shown(use, use.case.skills.load(use.input["name"], use.input.get("file")), "Load a smaller file of it.")


def _shown(use: Use, text: str, narrow: str) -> Done:
    return _not_over_cap(use.case.redact(text), narrow)


def _shown_code(use: Use, text: str, narrow: str) -> Done:
    return _not_over_cap(use.case.redact_code(text), narrow)


def _not_over_cap(text: str, narrow: str) -> Done:
    if len(text) > CAP:
        raise ToolRefused(f"The result has {len(text)} characters; at most {CAP} are shown. {narrow}")
    return Done(text)
