"""The tables of docs/ that are made from the code. `python -m tests.docs` writes them into the pages."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import typer

from airflow_agentfix import errors
from airflow_agentfix.agent.effects import EFFECT_OF
from airflow_agentfix.cli.app import app
from airflow_agentfix.core.triage_rules import RULES
from airflow_agentfix.provider_info import get_provider_info
from airflow_agentfix.settings import OPTIONS, Settings
from airflow_agentfix.web.declared import REFUSALS, Right
from tests.injection.catalogue import ATTEMPTS
from tests.inside import who
from tests.web.routes import OPERATIONS, PAGES, Operation, resolved

ROOT = Path(__file__).resolve().parents[1]


def options() -> str:
    shown = get_provider_info()["config"]["agentfix"]["options"]
    defaults = {field.name: field.default for field in fields(Settings)}
    return _table(
        ("option", "default", "meaning"),
        [
            (f"`{name}`", f"`{shown[name]['default']}`" if defaults[name] not in ("", ()) else "", _option(name))
            for name in OPTIONS
        ],
    )


def _option(name: str) -> str:
    option = OPTIONS[name]
    return f"{option.description} Example: `{option.example}`" if option.example else option.description


def verbs() -> str:
    rows = [(f"`agentfix {usage}`", help_text) for usage, help_text in _verbs(typer.main.get_command(app), "")]
    return _table(("command", "does"), rows)


def _verbs(group: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{prefix}{name} ")
        else:
            yield " ".join([prefix + name, *map(_parameter, command.params)]), " ".join(command.help.split())


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
        return str(name if parameter.required else f"[{name}]")
    return f"[{parameter.opts[0]}]"


def all_errors() -> str:
    rows = [(f"`{kind.__name__}`", " ".join((kind.__doc__ or "").split())) for kind in error_classes()]
    return _table(("error", "when"), rows)


def error_classes() -> list[type[Exception]]:
    of_module = (kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__)
    return sorted(of_module, key=lambda kind: inspect.getsourcelines(kind)[1])


def rules() -> str:
    rows = [
        (rule.name, f"`{rule.verdict}`", f"{rule.confidence:.2f}", rule.reason, (rule.action or "").removesuffix("."))
        for rule in RULES
    ]
    return _table(("rule", "verdict", "confidence", "because", "owner action"), rows)


def tools() -> str:
    rows = [(f"`{name}`", one.reads, one.changes, f"`{one.autonomy}`", one.needs) for name, one in EFFECT_OF.items()]
    return _table(("tool", "reads", "changes", "autonomy", "and needs"), rows)


def routes() -> str:
    told = [(one, one.declared) for one in OPERATIONS]
    rows = [(f"`{one}`", own["reads"], own["changes"], own["right"], own["approval"].replace("none", "")) for one, own in told]
    return _table(("route", "reads", "changes", "right", "approval"), rows)


def pages() -> str:
    told = [(one, one.declared) for one in PAGES if one.right != Right.NONE]
    rows = [(f"`{one}`", own["reads"], own["changes"], own["right"], own["approval"].replace("none", "")) for one, own in told]
    return _table(("page or form", "shows", "changes", "right", "approval"), rows)


def routes_of(tag: str) -> str:
    rows = [(f"`{one}`", one.told["summary"], _takes(one), _answers(one)) for one in OPERATIONS if tag in one.told["tags"]]
    return _table(("route", "does", "takes", "answers"), rows)


def _takes(one: Operation) -> str:
    """Names of what may be sent, what has to be first in bold."""
    query = [(each["name"], each["required"]) for each in one.told.get("parameters", ()) if each["in"] == "query"]
    schema = one.body_schema or {"properties": ()}
    body = [(name, name in schema.get("required", ())) for name in schema["properties"]]
    return ", ".join(f"**{name}**" if needed else name for name, needed in query + body)


def _answers(one: Operation) -> str:
    good = {int(code): told for code, told in one.told["responses"].items() if int(code) < 400}
    shapes = {code: _shape(resolved(told["content"]["application/json"]["schema"])) for code, told in good.items() if code < 300}
    codes = " or ".join(str(code) for code in good) if set(good) != {200} else ""
    return f"{codes} {next(iter(shapes.values()))}".strip()


def _shape(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(f"`{resolved(one)['title']}`" for one in schema["anyOf"])
    return f"{{{', '.join(schema['properties'])}}}"


def statuses() -> str:
    return _table(("status", "when"), [(str(code), told) for code, (_, told) in REFUSALS.items()])


def who_may() -> str:
    def with_roles(words: str, may: frozenset[str]) -> str:
        roles = [f"`{role}`" for role, of_role in who.BY_ROLE.items() if role and of_role == may]
        return f"{words} (simple auth manager: {', '.join(roles)})" if roles else words

    read, edit = who.BY_DAG["read"], who.BY_DAG["edit"]
    people = [
        ("no login, or one without a right on the DAG that failed", who.BY_DAG[""]),
        (with_roles("who may read that DAG", read), read),
        (with_roles("who may edit its runs", edit), edit),
        ("who may edit its runs, where `approvers` names others", who.NAMED["not named"]),
        ("who may edit its runs, named in `approvers`", who.NAMED["named"]),
        ("the login that AgentFix works with on that session", who.WORKER),
    ]
    rows = [(name, *("yes" if action in may else "no" for action in who.ACTIONS), "no") for name, may in people]
    return _table(("who", *who.ACTIONS, "change policy"), rows)


def attempts() -> str:
    carriers = Counter(attempt.carrier.value for attempt in ATTEMPTS)
    listed = ", ".join(
        f"{carrier} ({count})" for carrier, count in sorted(carriers.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    return f"{len(ATTEMPTS)} attempts, by what they travel in: {listed}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "options": ("configuration.md", options),
    "verbs": ("cli.md", verbs),
    "rules": ("evidence.md", rules),
    "tools": ("policy-and-safety.md", tools),
    "routes": ("policy-and-safety.md", routes),
    "who": ("policy-and-safety.md", who_may),
    "pages": ("ui.md", pages),
    "people": ("rest-api.md", partial(routes_of, "people")),
    "worker": ("rest-api.md", partial(routes_of, "worker")),
    "statuses": ("rest-api.md", statuses),
    "errors": ("troubleshooting.md", all_errors),
    "attempts": ("policy-and-safety.md", attempts),
}


def written(name: str) -> str:
    """The page as it should be."""
    page, made = TABLES[name]
    text = (ROOT / "docs" / page).read_text()
    return re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}\n{made()}\n\n{m[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    for table, (file, _) in TABLES.items():
        (ROOT / "docs" / file).write_text(written(table))
