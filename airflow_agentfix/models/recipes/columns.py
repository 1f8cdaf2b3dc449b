"""A column that a database does not find: the one near it that the error offers, or that the repository's CREATE TABLE has.

The misspelled column is renamed only where all its occurrences in the repository stand in one SQL statement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.models.recipes.base import Claim, Edit, Fix, NoFix, Recipe, Repo, Steps, is_test
from airflow_agentfix.models.recipes.nearest import only_near
from airflow_agentfix.models.recipes.source import Source
from airflow_agentfix.models.recipes.spot import log_cites
from airflow_agentfix.models.recipes.sql import Statement, declared, statement_in_python, statements

_MISSING = (
    re.compile(r'column "?(?:\w+\.)?(?P<wrong>\w+)"?(?: of relation "\w+")? does not exist'),  # Postgres, Redshift
    re.compile(r'Referenced column "(?P<wrong>\w+)" not found'),  # DuckDB
    re.compile(r'does not have a column (?:named|with name) "(?P<wrong>\w+)"'),  # DuckDB
    re.compile(r"no such column: (?:\w+\.)?(?P<wrong>\w+)\b"),  # SQLite
    re.compile(r"table \w+ has no column named (?P<wrong>\w+)\b"),  # SQLite
    re.compile(r"Unknown column '(?:\w+\.)?(?P<wrong>\w+)' in "),  # MySQL
    re.compile(r"Unrecognized name: (?:\w+\.)?(?P<wrong>\w+)\b"),  # BigQuery
    re.compile(r"\[UNRESOLVED_COLUMN\.WITH_SUGGESTION\].*? name `(?:\w+`\.`)?(?P<wrong>\w+)` cannot be resolved"),  # Spark
)
_OFFERED = (
    re.compile(r"Perhaps you meant to reference (the column .+?)\.?\s*$", re.MULTILINE),
    re.compile(r"Candidate bindings: (.+)"),
    re.compile(r"Did you mean:? (.+?)(?:\?|$)", re.MULTILINE),
    re.compile(r"Did you mean one of the following\? \[(.+?)\]"),
)
_NAME = re.compile(r'["`]?(?:\w+["`]?\.["`]?)*(\w+)["`]?(?=\W|$)')


def _missing(incident: Incident) -> str | None:
    message = incident.cause.message or incident.cause.line
    found = [match["wrong"] for regex in _MISSING if (match := regex.search(message))]
    return found[0] if found else None


def _matches(incident: Incident) -> bool:
    return _missing(incident) is not None


def _attempt(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    wrong = _missing(incident) or ""
    found = yield from _only_statement(repo, wrong)
    if isinstance(found, NoFix):
        return found
    offered = _offered(incident, wrong)
    choice = _Choice(offered, "the error offers", log_cites(incident))
    if not offered:
        choice = yield from _declared(repo, found)
    right = only_near(wrong, choice.names, fold=True)
    if right is None:
        return NoFix(f"no column, or more than one, that {choice.origin} is near {wrong!r}")
    if right != right.lower() and "does not exist" in incident.cause.message:
        return NoFix(f"Postgres needs {right!r} quoted; how is a person's choice")
    return _fix(incident, found, wrong, right, choice)


@dataclass(frozen=True)
class _Choice:
    """Columns that could be meant, and who says that there are such columns."""

    names: frozenset[str]
    origin: str
    cites: tuple[str, ...]


def _offered(incident: Incident, wrong: str) -> frozenset[str]:
    """Columns the error names; a log reader may have put the hint's line beside the message."""
    texts = (incident.cause.message, "\n".join(text for _, text in incident.cause.context))
    for text in texts:
        told = [match[1] for regex in _OFFERED for match in regex.finditer(text)]
        names = {name for part in told for name in _NAME.findall(re.sub(r"\b(the column|or)\b", " ", part)) if not name.isdigit()}
        if names - {wrong}:
            return frozenset(names - {wrong})
    return frozenset()


def _only_statement(repo: Repo, wrong: str) -> Steps[Statement | NoFix]:
    """The one SQL statement of the repository in which the column stands."""
    word = rf"\b{wrong}\b"
    hits = [*(yield from repo.search(word, "**/*.sql")), *(yield from repo.search(word, "**/*.py"))]
    paths = sorted({hit.path for hit in hits if not is_test(hit.path)})
    if len(paths) != 1:
        return NoFix(f"{wrong!r} stands in {len(paths)} files of the repository; exactly one was expected")
    text = yield from repo.read(paths[0])
    if paths[0].endswith(".sql"):
        inside = [part for part in statements(paths[0], text) if part.places(wrong)]
        found = inside[0] if len(inside) == 1 else None
    else:
        source = Source.parse(paths[0], text)
        found = statement_in_python(source, wrong) if source else None
    if found is None or found.defines(wrong):
        return NoFix(f"{wrong!r} is not only read, in exactly one SQL statement of {paths[0]}")
    return found


def _declared(repo: Repo, statement: Statement) -> Steps[_Choice]:
    """Columns of the statement's tables, where the repository creates every one of them; else none."""
    nothing = _Choice(frozenset(), "the error or a CREATE TABLE names", ())
    creates = r"(?i)\bcreate\s+(or\s+replace\s+)?table\b"
    hits = [*(yield from repo.search(creates, "**/*.sql")), *(yield from repo.search(creates, "**/*.py"))]
    names: set[str] = set()
    cites: list[str] = []
    for table in statement.tables():
        columns: set[str] = set()
        for hit in hits:
            if not is_test(hit.path):
                columns |= set(declared((yield from repo.read(hit.path)), table))
                cites += [f"{hit.path}:{hit.line}"] if columns else []
        if not columns:
            return nothing
        names |= columns
    return _Choice(frozenset(names), "CREATE TABLE declares", tuple(dict.fromkeys(cites)))


def _fix(incident: Incident, statement: Statement, wrong: str, right: str, choice: _Choice) -> Fix:
    places = statement.places(wrong)
    cites = tuple(dict.fromkeys(f"{statement.path}:{line}" for line, _ in places))
    reason = f"`{right}` is the only column that {choice.origin} and that is near `{wrong}`"
    said = incident.cause.message.strip().split("\n")[0]
    return Fix(
        title=f"Read column {right} instead of {wrong} in {statement.path.rsplit('/', 1)[-1]}",
        cause=f"{cites[0]} reads column `{wrong}`, which the database does not have: {said}",
        change=f"`{wrong}` becomes `{right}` at {', '.join(cites)}; nothing else changes.",
        why_this_one=f"{reason}, and `{wrong}` stands nowhere else in the repository.",
        edits=(Edit(statement.path, statement.text, statement.renamed(wrong, right)),),
        claims=(
            Claim(f"The database says: {said}", log_cites(incident)),
            Claim(f"The statement reads `{wrong}`", cites),
            Claim(reason, choice.cites or cites),
        ),
    )


RECIPE = Recipe("a misspelled column", _matches, _attempt)
