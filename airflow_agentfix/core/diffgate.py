"""The anti-cheat gate: a change that makes a failure invisible instead of fixing it needs a person.

It compares what stands in a file before and after (`python_facts`), so that renaming, moving within a file and correcting
typos raise nothing, and only what is new or gone is named. YAML is judged in `code/dbt_gate.py`, where a parser is.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.python_facts import BROAD, READING, WRITING, Fact, Kind, facts, shell_words
from airflow_agentfix.core.redact import INVISIBLE

Texts = Mapping[str, str | None]

_ADDRESS = re.compile(r"\b[a-zA-Z][\w+.-]{1,20}://(?:[^\s/@'\"]{0,200}@)?([\w-]+(?:\.[\w-]+)*)")


def inspect(before: Texts, after: Texts) -> tuple[Finding, ...]:
    """Findings over the changed files; None means there is no such file."""
    found: list[Finding] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            found += _inspected(path, old, new)
    return tuple(found)


def _inspected(path: str, old: str | None, new: str | None) -> list[Finding]:
    try:
        return list(_inspect_file(path, old, new))
    except RecursionError:
        reason = f"{path} is nested deeper than can be compared, before or after the change. Write it flatter."
        return [Finding("not-compared", Severity.REFUSE, path, reason)]


def is_test(path: str) -> bool:
    """Whether a file is part of the repository's tests, dbt's data tests among them."""
    parts = PurePosixPath(path).parts
    name = parts[-1]
    in_tests = any(part in ("tests", "test") for part in parts[:-1])
    return (
        in_tests or name == "conftest.py" or (name.endswith(".py") and (name.startswith("test_") or name[:-3].endswith("_test")))
    )


def is_shell(path: str) -> bool:
    """Whether a file is, or holds, a shell's commands."""
    name = PurePosixPath(path).name
    return name.endswith((".sh", ".bash", ".mk")) or name == "Makefile" or "Dockerfile" in name or "Containerfile" in name


def _inspect_file(path: str, old: str | None, new: str | None) -> Iterator[Finding]:
    if new is not None and (hidden := Counter(_hidden(new)) - Counter(_hidden(old or ""))):
        names = ", ".join(sorted(f"U+{ord(character):04X}" for character in hidden))
        yield _person("invisible-characters", path, f"{path} has new characters that no reader sees ({names}).")
    if new is not None and (hosts := _hosts(path, new) - _hosts(path, old or "")):
        yield _person("new-reach", path, f"{path} newly names {', '.join(sorted(hosts))} in an address: is that ours to talk to?")
    if old is not None and is_test(path):
        yield _test_touched(path, deleted=new is None)
        return
    if path.endswith(".py"):
        yield from _deleted_python(path, old) if new is None else _compare_python(path, old, new)
    elif new is None:
        yield _person("file-deleted", path, f"{path} is deleted; a person must agree that nothing needs it.")
    elif is_shell(path):
        then, now = shell_words(old or ""), shell_words(new)
        yield from _more(path, Kind.SHELL, then, now)
        yield from _fewer_checks(path, then, now)


def _hosts(path: str, text: str) -> set[str]:
    """Hosts in the addresses of a file that is no prose."""
    return set() if path.endswith((".md", ".rst")) else {host.lower() for host in _ADDRESS.findall(text)}


def _hidden(text: str) -> str:
    """Its invisible and bidirectional characters: code can mean something else than what is shown of it."""
    return "".join(character for run in INVISIBLE.findall(text) for character in run)


def _test_touched(path: str, *, deleted: bool) -> Finding:
    what = "deletes" if deleted else "edits"
    if path.endswith(".sql"):
        return _person("data-check-silenced", path, f"The fix {what} the data test {path}: it silences a data check.")
    return _person(
        "test-deleted" if deleted else "test-edited", path, f"The fix {what} {path}, a test that was there to find this."
    )


def _deleted_python(path: str, old: str | None) -> Iterator[Finding]:
    tree = _parse(old or "")
    if tree is not None and any(fact.kind is Kind.DAG for fact in facts(tree)):
        reason = f"{path} defines a DAG and is deleted; a fix repairs a DAG, it does not remove it."
        yield Finding("dag-deleted", Severity.REFUSE, path, reason)
    else:
        yield _person("file-deleted", path, f"{path} is deleted; a person must agree that nothing needs it.")


def _compare_python(path: str, old: str | None, new: str) -> Iterator[Finding]:
    tree = _parse(new)
    if tree is None:
        return  # the static check refuses it
    now = facts(tree)
    earlier = _parse(old or "")
    then = facts(earlier) if earlier is not None else _on_kept_lines(now, old or "", new)
    for rule in RULES:
        yield from rule(path, then, now)
    if earlier is None:
        yield from _lost_lines(path, old or "", new)


def _on_kept_lines(now: list[Fact], old: str, new: str) -> list[Fact]:
    """Of a file that did not parse before, what stands on lines the change did not touch."""
    matcher = difflib.SequenceMatcher(None, old.splitlines(), new.splitlines(), autojunk=False)
    kept = {line + 1 for block in matcher.get_matching_blocks() for line in range(block.b, block.b + block.size)}
    return [fact for fact in now if fact.line in kept]


def _lost_lines(path: str, old: str, new: str) -> Iterator[Finding]:
    guard = re.compile(r"^\s*(?:assert|raise|def test\w*|@task|.*task_id\s*=)\b")
    lost = sum(1 for line in old.splitlines() if guard.match(line)) - sum(1 for line in new.splitlines() if guard.match(line))
    if lost > 0:
        yield _person("check-removed", path, f"{path} did not parse before; {lost} lines with checks, tests or tasks are gone.")


# --- rules: each compares the facts of one file ----------------------------------------------------------------------


def _gone(path: str, then: list[Fact], now: list[Fact]) -> Iterator[Finding]:
    for kind, rule, text in (
        (Kind.TEST, "test-deleted", "the test {key!r} is gone"),
        (Kind.TASK, "task-removed", "the task {key!r} is gone or has another id"),
        (Kind.DAG, "dag-removed", "the DAG {key!r} is gone or has another id"),
    ):
        for key in _count(then, kind) - _count(now, kind):
            yield _person(rule, path, f"In {path} {text.format(key=key)}; a person must agree to that.")
    # those without a constant id by number, not by name: a class name can be misspelt
    fewer = len(_of(then, Kind.OPERATOR)) - len(_of(now, Kind.OPERATOR))
    if fewer > len(_of(now, Kind.TASK)) - len(_of(then, Kind.TASK)) and fewer > 0:
        yield _person("task-removed", path, f"{path} has {fewer} operators fewer; a person must agree to that.")


def _fewer_checks(path: str, then: list[Fact], now: list[Fact]) -> Iterator[Finding]:
    lost = _count(then, Kind.CHECK).total() - _count(now, Kind.CHECK).total()
    if lost > 0:
        what = "assert or raise statements, or commands that test,"
        yield _person("check-removed", path, f"{path} checks less than before: {lost} of its {what} are gone.")


def _more(path: str, kind: Kind, then: Iterable[Fact], now: Iterable[Fact]) -> Iterator[Finding]:
    rule, text = _MORE[kind]
    now = list(now)
    for key in _count(now, kind) - _count(then, kind):
        line = max(fact.line for fact in now if fact.kind is kind and fact.key == key)
        yield _person(rule, path, f"{path}:{line} {text.format(key=key)}", line)


def _new_silence(path: str, then: list[Fact], now: list[Fact]) -> Iterator[Finding]:
    for kind in (Kind.SKIP, Kind.SUPPRESS, Kind.TRIGGER_RULE, Kind.SILENT, Kind.SHELL):
        yield from _more(path, kind, then, now)


def _new_reach(path: str, then: list[Fact], now: list[Fact]) -> Iterator[Finding]:
    vanished = _count(then, Kind.CALL) - _count(now, Kind.CALL)
    corrected = {fact for fact in _of(now, Kind.REACH) if _is_correction(fact.names[0], vanished)}
    yield from _more(path, Kind.REACH, then, [fact for fact in now if fact not in corrected])


def _is_correction(name: str, vanished: Iterable[str]) -> bool:
    """Whether a call is the right spelling of one that was there: `request.get` for `requests.get`."""
    known = READING | WRITING
    return any(
        difflib.SequenceMatcher(None, name, earlier).ratio() > 0.8
        for earlier in vanished
        if not (name.partition(".")[0] == earlier.partition(".")[0] and earlier.rpartition(".")[2] in known)
    )


def _raised_retries(path: str, then: list[Fact], now: list[Fact]) -> Iterator[Finding]:
    old, new = _of(then, Kind.RETRIES), _of(now, Kind.RETRIES)
    if len(old) == len(new):
        pairs = [(earlier.key, fact) for earlier, fact in zip(old, new, strict=True)]
    else:
        added = _count(now, Kind.RETRIES) - _count(then, Kind.RETRIES)
        pairs = [("0", next(fact for fact in new if fact.key == key)) for key in added]
    for was, fact in pairs:
        if _raised(was, fact.key):
            reason = f"{path}:{fact.line} raises retries from {was} to {fact.key}; that hides a failure, it does not fix it."
            yield _person("retries-raised", path, reason, fact.line)


def _widened_handlers(path: str, then: list[Fact], now: list[Fact]) -> Iterator[Finding]:
    old, new = _of(then, Kind.HANDLER), _of(now, Kind.HANDLER)
    matcher = difflib.SequenceMatcher(None, [fact.names for fact in old], [fact.names for fact in new], autojunk=False)
    for operation, i1, i2, j1, j2 in matcher.get_opcodes():
        if operation == "delete":
            continue
        aligned: list[Fact | None] = [*old[i1:i2]]
        aligned += [None] * (j2 - j1 - len(aligned))
        for earlier, fact in zip(aligned, new[j1:j2], strict=False):
            if why := _wider(earlier, fact):
                yield _person("except-widened", path, f"{path}:{fact.line} {why}; a failure could pass unseen.", fact.line)


def _wider(earlier: Fact | None, fact: Fact) -> str | None:
    caught = ", ".join(fact.names)
    if earlier is None:
        return f"newly catches {caught} without raising again" if fact.swallows else None
    if fact.swallows and not earlier.swallows:
        return f"no longer raises again what it catches ({caught})"
    if len(fact.names) > len(earlier.names) or any(_covers(name, earlier.names) for name in fact.names):
        return f"catches {caught} where it caught {', '.join(earlier.names)}"
    return None


def _covers(name: str, names: tuple[str, ...]) -> bool:
    """Whether `name` is new and catches more than one of `names`."""
    if name in names or "BaseException" in names:
        return False
    if name in BROAD:
        return True
    wide = getattr(builtins, name, None)
    return isinstance(wide, type) and any(
        isinstance(narrow := getattr(builtins, one, None), type) and issubclass(narrow, wide) for one in names
    )


RULES: tuple[Callable[[str, list[Fact], list[Fact]], Iterator[Finding]], ...] = (
    _gone,
    _fewer_checks,
    _widened_handlers,
    _raised_retries,
    _new_reach,
    _new_silence,
)

_MORE: dict[Kind, tuple[str, str]] = {
    Kind.SKIP: ("test-skipped", "newly skips or expects to fail ({key})."),
    Kind.SUPPRESS: ("except-widened", "newly suppresses exceptions; a failure could pass unseen."),
    Kind.TRIGGER_RULE: ("trigger-rule-changed", "sets trigger_rule {key!r}; the task could run after a failure."),
    Kind.SILENT: ("failure-silenced", "newly turns a failure into a skip ({key})."),
    Kind.REACH: ("new-reach", "newly calls {key}, which reaches the network, a process or other code."),
    Kind.SHELL: ("new-reach", "has {key!r} in a shell command, new there: it reaches out, deletes, or hides a failure."),
}


def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _raised(old: str, new: str) -> bool:
    try:
        return float(new) > float(old)
    except ValueError:
        return old != new


def _of(some: Iterable[Fact], kind: Kind) -> list[Fact]:
    return [fact for fact in some if fact.kind is kind]


def _count(some: Iterable[Fact], kind: Kind) -> Counter[str]:
    return Counter(fact.key for fact in some if fact.kind is kind)


def _person(rule: str, path: str, reason: str, line: int | None = None) -> Finding:
    return Finding(rule, Severity.PERSON, path, reason, line)
