"""What the diff gate looks at in a Python file: tests, checks, tasks, handlers, retries, calls that reach out.

Facts say what stands in the source, in source order, with names resolved through the file's imports; nothing is executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

BROAD = ("Exception", "BaseException")

_NETWORK = frozenset(
    {
        "requests",
        "httpx",
        "httpx2",
        "aiohttp",
        "urllib",
        "urllib3",
        "http",
        "socket",
        "ssl",
        "ftplib",
        "smtplib",
        "telnetlib",
        "paramiko",
        *("asyncssh", "boto3", "botocore", "dns", "docker", "fabric", "grpc", "httplib2", "imaplib", "kubernetes", "poplib"),
        *("pycurl", "pysftp", "slack_sdk", "websocket", "websockets", "xmlrpc"),
    }
)
_PROCESS = frozenset(
    {"subprocess", "pty", "ctypes", "multiprocessing", "pickle", "marshal", "runpy", "code"}
    | {"cloudpickle", "dill", "ensurepip", "joblib", "pexpect", "pip", "plumbum", "shelve"}
)
_NAMED_CALLS = frozenset(
    {
        "eval",
        "exec",
        "compile",
        "__import__",
        "os.system",
        "os.popen",
        "importlib.import_module",
        "os._exit",
        "shutil.rmtree",
    }
)
_LAST_NAMES = frozenset({"get_connection", "get_connection_from_secrets", "send_email", "send_email_smtp"})
"""Airflow's ways out, whatever they are imported from; a class called …Hook is one too"""
_MODULES_OF_NAMES = frozenset({"os", "sys", "builtins", "__builtins__", "importlib", "shutil"})
_HARMLESS = frozenset({"urllib.parse", "http.HTTPStatus", "urllib3.Retry", "urllib3.util", "multiprocessing.cpu_count"})
READING = frozenset({"get", "head", "options", "stream"})
WRITING = frozenset({"post", "put", "patch", "delete", "request"})
_SKIP = re.compile(
    r"(?:pytest|unittest|self)\.(?:\w+\.)*(?:skip|skipif|skipIf|skipUnless|xfail|importorskip|skipTest|expectedFailure)"
    r"|(?:\w+\.)*task\.(?:skip_if|run_if)"
)
_SILENT_FLAGS = frozenset({"soft_fail", "silent_fail", "ignore_downstream_trigger_rules", "skip_on_exit_code"})
_SET_BY_KEY = frozenset({"retries", "trigger_rule", *_SILENT_FLAGS})
_SHELL_ARGUMENTS = frozenset({"bash_command", "command", "cmds"})
_SHELL = re.compile(
    r"\b(?:curl|wget|nc|ncat|ssh|scp|sftp|eval|rm)\b|\|\|\s*(?:true|:|exit\s+0)|\bset\s+\+e\b|\bexit\s+0\b|--exclude\b"
)
_SHELL_CHECK = re.compile(r"\bdbt\b[^;&|\n]*\b(build|test)\b|\bpytest\b")


class Kind(StrEnum):
    """What a fact is about."""

    TEST = "test"
    CHECK = "check"
    DAG = "DAG"
    TASK = "task"
    OPERATOR = "operator"
    CALL = "call"
    SKIP = "skip"
    HANDLER = "handler"
    SUPPRESS = "suppress"
    RETRIES = "retries"
    TRIGGER_RULE = "trigger_rule"
    SILENT = "silent"
    REACH = "reach"
    SHELL = "shell"


@dataclass(frozen=True)
class Fact:
    """One thing in the source. `names` are the caught exceptions of a handler, `swallows` whether it never raises.

    For a call that reaches out, `key` is what it is counted as and `names` its full name.
    """

    kind: Kind
    key: str
    line: int
    names: tuple[str, ...] = ()
    swallows: bool = False


def facts(tree: ast.Module) -> list[Fact]:
    """Every fact of the file, in source order. RecursionError for what is nested deeper than can be looked at."""
    aliases, constants = dict(_imports(tree)), dict(_constants(tree))
    found = [fact for node in ast.walk(tree) for fact in (*_of_node(node, aliases), *_of_settings(node, constants))]
    return sorted(found, key=lambda fact: fact.line)


def shell_words(text: str, line: int = 1) -> list[Fact]:
    """Words of a shell text that reach out, delete, or hide a failure, and commands that test."""
    words = [(Kind.SHELL, " ".join(match.group().split()), match.start()) for match in _SHELL.finditer(text)]
    words += [(Kind.CHECK, match.group(1) or "pytest", match.start()) for match in _SHELL_CHECK.finditer(text)]
    return [Fact(kind, word, line + text.count("\n", 0, start)) for kind, word, start in words]


def _of_node(node: ast.AST, aliases: dict[str, str]) -> Iterator[Fact]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _of_function(node, aliases)
        case ast.Assert():
            if not (isinstance(node.test, ast.Constant) and node.test.value):
                yield Fact(Kind.CHECK, "assert", node.lineno)
        case ast.Raise():
            yield from _of_raise(node, aliases)
        case ast.ExceptHandler():
            yield _of_handler(node, aliases)
        case ast.Try() | ast.TryStar():
            if any(isinstance(one, ast.Return | ast.Break | ast.Continue) for part in node.finalbody for one in ast.walk(part)):
                yield Fact(Kind.SUPPRESS, "finally", node.finalbody[0].lineno)
        case ast.Call():
            yield from _of_call(node, aliases)
        case ast.Attribute() | ast.Name():
            if (name := _dotted(node, aliases)) and _SKIP.fullmatch(name):
                yield Fact(Kind.SKIP, name.rpartition(".")[2], node.lineno)


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, aliases: dict[str, str]) -> Iterator[Fact]:
    if re.match("test(?:_|[A-Z])", node.name):
        yield Fact(Kind.TEST, node.name, node.lineno)
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = _dotted(call, aliases) or ""
        last = name.rpartition(".")[2]
        if last == "dag":
            yield Fact(Kind.DAG, _keyword(decorator, "dag_id") or node.name, node.lineno)
        elif last in ("task", "task_group") or ".task." in f".{name}":
            yield Fact(Kind.TASK, _keyword(decorator, "task_id") or _keyword(decorator, "group_id") or node.name, node.lineno)


def _of_raise(node: ast.Raise, aliases: dict[str, str]) -> Iterator[Fact]:
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    name = (_dotted(raised, aliases) or "").rpartition(".")[2] if raised else ""
    if name in ("AirflowSkipException", "SkipTest"):
        yield Fact(Kind.SILENT, name, node.lineno)
    else:
        yield Fact(Kind.CHECK, "raise", node.lineno)


def _of_handler(node: ast.ExceptHandler, aliases: dict[str, str]) -> Fact:
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else []
    names = tuple(_dotted(one, aliases) or ast.unparse(one) for one in caught) or ("BaseException",)
    raises = any(isinstance(inner, ast.Raise) for statement in node.body for inner in ast.walk(statement))
    return Fact(Kind.HANDLER, "", node.lineno, names=names, swallows=not raises)


def _of_call(node: ast.Call, aliases: dict[str, str]) -> Iterator[Fact]:
    name = _dotted(node.func, aliases) or ""
    last = name.rpartition(".")[2] or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    if last == "DAG":
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        yield Fact(Kind.DAG, _keyword(node, "dag_id") or str(first or "?"), node.lineno)
    if last != "override" and (task_id := _keyword(node, "task_id") or (last == "TaskGroup" and _keyword(node, "group_id"))):
        yield Fact(Kind.TASK, task_id, node.lineno)
    elif last.endswith(("Operator", "Sensor")) and last[0].isupper():
        yield Fact(Kind.OPERATOR, last, node.lineno)
    if last == "raise_for_status":
        yield Fact(Kind.CHECK, last, node.lineno)
    if last == "suppress":
        yield Fact(Kind.SUPPRESS, "suppress", node.lineno, names=tuple(ast.unparse(one) for one in node.args))
    if name:
        yield Fact(Kind.CALL, name, node.lineno)
    if reach := _reach(name) or _reach_by_name(node, name, aliases):
        yield Fact(Kind.REACH, reach, node.lineno, names=(name,))


def _of_settings(node: ast.AST, constants: dict[str, ast.Constant]) -> Iterator[Fact]:
    """What a call, a dictionary or an assignment to an attribute or key sets; a name stands for the constant it is."""
    for name, value in _settings(node):
        known = constants.get(value.id) if isinstance(value, ast.Name) else None
        yield from _of_setting(name, value if known is None else ast.copy_location(ast.Constant(known.value), value))


def _settings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Call():
            yield from ((keyword.arg or "", keyword.value) for keyword in node.keywords)
        case ast.Dict():
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in _SET_BY_KEY:
                    yield str(key.value), value
        case ast.Assign():
            for target in node.targets:
                key = target.slice if isinstance(target, ast.Subscript) else None
                name = target.attr if isinstance(target, ast.Attribute) else key.value if isinstance(key, ast.Constant) else None
                if name in _SET_BY_KEY:
                    yield str(name), node.value


def _of_setting(name: str, value: ast.expr) -> Iterator[Fact]:
    constant = value.value if isinstance(value, ast.Constant) else None
    if name == "retries":
        yield Fact(Kind.RETRIES, ast.unparse(value), value.lineno)
    elif name == "trigger_rule":
        rule = (str(constant) if constant is not None else ast.unparse(value)).rpartition(".")[2].lower()
        if rule != "all_success":
            yield Fact(Kind.TRIGGER_RULE, rule, value.lineno)
    elif name in _SILENT_FLAGS and constant is not False:
        yield Fact(Kind.SILENT, f"{name}={ast.unparse(value)}", value.lineno)
    elif name in _SHELL_ARGUMENTS:
        for inner in ast.walk(value):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield from shell_words(inner.value, inner.lineno)


def _reach(name: str) -> str | None:
    """The name under which a call is counted, None if it stays inside the process."""
    name = name.removeprefix("builtins.")
    root, _, rest = name.partition(".")
    last = name.rpartition(".")[2]
    if any(name == harmless or name.startswith(harmless + ".") for harmless in _HARMLESS):
        return None
    if name in _NAMED_CALLS or name.startswith(("os.exec", "os.spawn", "os.posix_spawn", "os.fork", "asyncio.create_subprocess")):
        return name
    if (root in _NETWORK or root in _PROCESS) and rest:
        # reads of one library count together, so that a corrected name is no new call; writes count by name
        return name if last in WRITING else root
    if last in _LAST_NAMES or (last.endswith("Hook") and last[0].isupper()):
        return last  # it has moved between Airflow's packages
    return None


def _reach_by_name(node: ast.Call, name: str, aliases: dict[str, str]) -> str | None:
    """`getattr(os, "system")` reaches what the name does; with a name that is made up, whatever there is."""
    if name != "getattr" or len(node.args) < 2:
        return None
    holder, wanted = _dotted(node.args[0], aliases) or "", node.args[1]
    if isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
        return _reach(f"{holder}.{wanted.value}")
    return "getattr" if holder.partition(".")[0] in _NETWORK | _PROCESS | _MODULES_OF_NAMES else None


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.Constant]]:
    """Names of the file that stand for one number or text."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Constant):
            yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield (name.asname, name.name) if name.asname else (name.name.partition(".")[0], name.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                yield name.asname or name.name, f"{node.module}.{name.name}"


def _dotted(node: ast.AST | None, aliases: dict[str, str]) -> str | None:
    """`a.b.c` of a name or attribute, its first part resolved through the imports; None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def _keyword(node: ast.AST, name: str) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    values = (keyword.value for keyword in node.keywords if keyword.arg == name)
    return next((str(value.value) for value in values if isinstance(value, ast.Constant)), None)
