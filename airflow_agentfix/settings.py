"""Every setting of AgentFix: section [agentfix] of Airflow's configuration (or AIRFLOW__AGENTFIX__NAME), read in one place.

The table in `OPTIONS` is the provider's config section (`provider_info.py`), the docs page, and what `Settings.load` reads.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from airflow_agentfix.core.policy import NAMES, Autonomy, Layer
from airflow_agentfix.core.redact import redact
from airflow_agentfix.core.ways import Way
from airflow_agentfix.errors import ConfigurationError

SECTION = "agentfix"
MOST_HOURS = 24 * 365
SCOPES = ("dag", "downstream", "task")


@dataclass(frozen=True)
class RepositoryRule:
    """One entry of `repositories`: DAG files under `path` (as Airflow's `fileloc` or relative to the bundle) live there."""

    path: str
    url: str
    base_branch: str
    subdir: str = ""
    connection: str | None = None


@dataclass(frozen=True)
class Price:
    """One entry of `prices`: US dollars for a million tokens of the models that `model`, a glob, matches. A cached token without
    a price of its own costs what input costs."""

    model: str
    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


@dataclass(frozen=True)
class Settings:
    """[agentfix], typed. Defaults here are the product's defaults."""

    airflow_conn_id: str = "agentfix_airflow"
    anthropic_conn_id: str = "anthropic_default"
    github_conn_id: str = "github_default"
    github_api_url: str = "https://api.github.com"
    model: str = "claude-opus-5-5"
    effort: str = "medium"
    offline: bool = False
    skills: tuple[str, ...] = ()
    repositories: tuple[RepositoryRule, ...] = ()
    autonomy: Autonomy = Autonomy.RERUN
    dag_autonomy: tuple[tuple[str, Autonomy], ...] = ()
    approve_before: tuple[str, ...] = ("rerun",)
    approvers: tuple[str, ...] = ()
    allow_unreviewed_reruns: bool = False
    rerun_ways: tuple[str, ...] = ("pin", "preview", "conf")
    pull_request_labels: tuple[str, ...] = ("agentfix",)
    branch_params: tuple[str, ...] = ("agentfix_branch", "git_branch", "branch")
    preview_scope: str = "dag"
    preview_minutes: int = 15
    rerun_hours: float = 24.0
    allowed_paths: tuple[str, ...] = ()
    denied_paths: tuple[str, ...] = ()
    max_files: int = 10
    max_lines: int = 400
    max_fixes: int = 2
    max_turns: int = 40
    max_tokens: int = 1_000_000
    max_dollars: float = 5.0
    max_minutes: int = 120
    daily_dollars: float = 50.0
    daily_dollars_total: float = 200.0
    prices: tuple[Price, ...] = ()
    intake_per_minute: int = 600
    recover_per_triage: int = 10
    repository_policy: bool = True
    run_checks: bool = True
    evidence_chars: int = 7_500
    settle_seconds: int = 30
    lease_seconds: int = 900
    answer_hours: float = 0.0
    callback_timeout: float = 2.0
    mention: str = "agentfix"
    redact_patterns: tuple[str, ...] = ()
    """beside the built-in rules; `redaction.redact` reads it by `redact_patterns()`, in every process"""
    ui: bool = True
    sql_alchemy_conn: str = ""
    auto_migrate: bool = True
    audit_key: str = ""
    signing_key: str = ""
    base_url: str = ""
    """Airflow's address as people have it: `[api] base_url`, no option of ours"""

    def ceilings(self, dag_id: str, tags: Collection[str]) -> list[Layer]:
        """What this deployment allows a DAG with these tags at most."""
        said: dict[str, Any] = {name: getattr(self, name) for name in NAMES if name in OPTIONS}
        said |= {name: (said[name],) if said[name] else () for name in ("allowed_paths", "denied_paths")}
        whole = Layer(f"[{SECTION}]", **said)
        for_dag = [(key, one) for key, one in self.dag_autonomy if _is_meant(key, dag_id, tags)]
        return [whole, *(Layer(f"[{SECTION}] dag_autonomy {key!r}", autonomy=one) for key, one in for_dag)]

    @classmethod
    def load(cls) -> Settings:
        """Read Airflow's configuration. Raises ConfigurationError naming the option, the value found and what is expected."""
        from airflow.configuration import conf  # 1 to 4 s in a process without Airflow; DAG parsing has it already

        own = cls.from_mapping({name: value for name in OPTIONS if (value := conf.get(SECTION, name, fallback=None)) is not None})
        return replace(own, base_url=conf.get("api", "base_url", fallback=None) or "")

    @classmethod
    def from_mapping(cls, values: Mapping[str, str]) -> Settings:
        """Settings from option name to text, as configuration holds it; what is not named keeps its default."""
        said = {name: text for name, text in values.items() if text.strip() or OPTIONS[name].read in _EMPTY_SAYS_NONE}
        return cls(**{name: _read(name, text) for name, text in said.items()})


@dataclass(frozen=True)
class Option:
    """One option of the section. `type` is Airflow's config type; `read` turns its text into the value."""

    description: str
    type: str
    read: Callable[[str], Any]
    example: str | None = None
    sensitive: bool = False


def _read(name: str, text: str) -> Any:
    try:
        return OPTIONS[name].read(text.strip())
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"[{SECTION}] {name} is {redact(text)!r}; expected {OPTIONS[name].type}: {OPTIONS[name].description} ({error})"
        ) from error


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}[text.lower()]
    except KeyError:
        raise ValueError("not True or False") from None


def _hours(text: str) -> float:
    if not 0 <= (hours := float(text)) <= MOST_HOURS:
        raise ValueError(f"not 0 to {MOST_HOURS}")
    return hours


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())


def _steps(text: str) -> tuple[str, ...]:
    """A misspelt step would be one that nobody is asked about."""
    if unknown := set(found := _list(text)) - {"rerun", "recover"}:
        raise ValueError(f"{', '.join(sorted(unknown))} is no step")
    return found


def _ways(text: str) -> tuple[str, ...]:
    found = _list(text)
    if unknown := set(found) - set(Way):
        raise ValueError(f"{', '.join(sorted(unknown))} is no way")
    return found


def _scope(text: str) -> str:
    if text not in SCOPES:
        raise ValueError(f"not one of {', '.join(SCOPES)}")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"(?!-)[A-Za-z0-9-]{0,39}", name := text.removeprefix("@")):
        raise ValueError("not up to 39 letters, digits and hyphens")
    return name


_EMPTY_SAYS_NONE = (_list, _steps, _name)
"""of what is empty in configuration nothing is meant, not the default"""


def _by_dag(text: str) -> tuple[tuple[str, Autonomy], ...]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return tuple((key, Autonomy(value)) for key, value in found.items())


def _is_meant(key: str, dag_id: str, tags: Collection[str]) -> bool:
    """Whether a key of `dag_autonomy` is about a DAG: a glob on its id, or `tag:` and one of its tags."""
    kind, is_tag, tag = key.partition(":")
    return tag in tags if is_tag and kind == "tag" else fnmatchcase(dag_id, key)


def _repositories(text: str) -> tuple[RepositoryRule, ...]:
    return tuple(RepositoryRule(**entry) for entry in json.loads(text))


def _prices(text: str) -> tuple[Price, ...]:
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise ValueError("not a JSON object of objects")
    return tuple(
        Price(model, **{name: _dollars(f"{model}: {name}", value) for name, value in entry.items()})
        for model, entry in found.items()
    )


def _dollars(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{what} is {value!r}, not a number of dollars from 0 on")
    return float(value)


def _amount(text: str) -> float:
    return _dollars("it", float(text))


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError("less than 1")
    return count


def _patterns(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        found = [line.strip() for line in text.split("\n") if line.strip()]
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError("not a list of texts")
    return tuple(_checked_pattern(one) for one in found)


def _checked_pattern(pattern: str) -> str:
    import regex  # 30 ms that only who sets patterns pays

    try:
        compiled = regex.compile(pattern, regex.MULTILINE)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    for harmless in ("", "***"):
        if compiled.search(harmless, timeout=1) is not None:
            raise ValueError(f"{pattern!r} matches {harmless!r}; it would mask everything")
    return pattern


OPTIONS: dict[str, Option] = {
    "airflow_conn_id": Option("Connection with which workers reach Airflow's REST API.", "string", str),
    "anthropic_conn_id": Option("Connection of the Anthropic provider; without it the environment's key is used.", "string", str),
    "github_conn_id": Option(
        "Connection of the GitHub provider; without it GITHUB_TOKEN or GITHUB_API_TOKEN is used.", "string", str
    ),
    "github_api_url": Option("GitHub's API; an Enterprise host has its own.", "string", str, "https://github.example.com/api/v3"),
    "model": Option("Claude model. An argument or the connection's model wins.", "string", str),
    "effort": Option("Effort of the model: low, medium, high, xhigh or max.", "string", str),
    "offline": Option("Never call a model over the network; use the rules model.", "boolean", _boolean),
    "skills": Option("Further skill folders, comma-separated.", "string", _list, "/opt/skills"),
    "repositories": Option(
        "Where DAG code lives when no git bundle says so: a JSON list of {path, url, base_branch, subdir, connection}.",
        "string",
        _repositories,
        '[{"path": "/opt/airflow/dags", "url": "https://github.com/acme/dags.git", "base_branch": "main", "subdir": "dags"}]',
    ),
    "autonomy": Option("How far a session may go at most: report, propose, rerun or recover.", "string", Autonomy),
    "dag_autonomy": Option(
        "The same for some DAGs: a JSON object from a glob on DAG ids, or tag:NAME, to an autonomy. The strictest one counts.",
        "string",
        _by_dag,
        '{"finance_*": "report", "tag:critical": "propose"}',
    ),
    "approve_before": Option("Steps that a person is asked before, comma-separated: rerun, recover.", "string", _steps),
    "approvers": Option("User ids whose answer under Required Actions counts as approval, comma-separated.", "string", _list),
    "allow_unreviewed_reruns": Option(
        "Rerun a fix without a person's approval: runs unmerged code with production connections.", "boolean", _boolean
    ),
    "rerun_ways": Option(
        "Ways a fix may be rerun by, comma-separated: pin, preview, conf. Which of them, AgentFix chooses and says why.",
        "string",
        _ways,
        "preview",
    ),
    "branch_params": Option(
        "Names of DAG params that say which branch the DAG works on; one whose value was the base branch makes a rerun by conf.",
        "string",
        _list,
    ),
    "preview_scope": Option(
        "What a preview runs: dag (all of it), downstream (the failed tasks, all they need and all below them) or task (the "
        "failed tasks and all they need); the rest is skipped.",
        "string",
        _scope,
    ),
    "preview_minutes": Option("Minutes a session waits for the DAG of a fix's preview to be parsed.", "integer", _count),
    "rerun_hours": Option("Hours a rerun is watched; what is still running then is reported, 0 waits for ever.", "float", _hours),
    "pull_request_labels": Option(
        "Labels that a fix's pull request gets, comma-separated; empty for none.", "string", _list, "agentfix, bot"
    ),
    "allowed_paths": Option(
        "Globs of repository paths a fix may touch; empty allows all that is not denied.", "string", _list, "dags/**"
    ),
    "denied_paths": Option(
        "Globs of repository paths a fix may never touch, beside the built-in ones.", "string", _list, "infra/**"
    ),
    "max_files": Option("Files a fix may change.", "integer", int),
    "max_lines": Option("Lines a fix may add and remove together.", "integer", int),
    "max_fixes": Option("Fixes a session may push: the first, and amendments after a rerun failed on one.", "integer", int),
    "max_turns": Option("Model calls a session may make.", "integer", int),
    "max_tokens": Option("Tokens a session may use, in and out together.", "integer", int),
    "max_dollars": Option("US dollars a session may spend.", "float", _amount),
    "max_minutes": Option("Minutes a session may be at work; waiting does not count.", "integer", int),
    "daily_dollars": Option("US dollars all sessions of one DAG may spend in a day (UTC).", "float", _amount),
    "daily_dollars_total": Option("US dollars all sessions together may spend in a day (UTC).", "float", _amount),
    "prices": Option(
        "Prices that count instead of the published ones: a JSON object from a model, or a glob, to US dollars for a million "
        "tokens: {input, output, cache_read, cache_write}. The first that matches counts.",
        "string",
        _prices,
        '{"claude-*": {"input": 4, "output": 20, "cache_read": 0.4, "cache_write": 5}}',
    ),
    "intake_per_minute": Option(
        "Failures one login may hand over, and sessions it may start, in a minute: at one API server process.", "integer", _count
    ),
    "recover_per_triage": Option(
        "Failed runs of merged causes that one run of the triage DAG, or one `agentfix recover`, lets go on.", "integer", _count
    ),
    "repository_policy": Option(
        "The API server reads .agentfix.yaml on the base branch, which can only make policy stricter, and compares a fix's "
        "commit with its recorded changes. False: this section alone decides, and what the commit holds is the worker's word.",
        "boolean",
        _boolean,
    ),
    "run_checks": Option("Run the commands a repository's .agentfix.yaml names as checks, on workers.", "boolean", _boolean),
    "evidence_chars": Option("Characters of evidence shown to the model first: 3 a token, so 2,500 tokens.", "integer", int),
    "settle_seconds": Option(
        "Seconds a worker waits for the failed task instance to become terminal; then it waits for the run, without a slot.",
        "integer",
        int,
    ),
    "lease_seconds": Option("After this silence another worker may take a session over.", "integer", int),
    "answer_hours": Option(
        "Hours after which a question ends without an answer, and an approval without a rerun; 0 waits for ever.", "float", _hours
    ),
    "callback_timeout": Option("Seconds the on-failure callback may take for its one request.", "float", float),
    "mention": Option(
        "Name by which reviewers address the agent on a pull request: @NAME in a comment, or /NAME at the head of a line. Empty: "
        "comments are not read.",
        "string",
        _name,
        "dag-doctor",
    ),
    "redact_patterns": Option(
        "Regular expressions of further secrets to mask, as a JSON list or one a line: their first group, else the whole match.",
        "string",
        _patterns,
        r'["ACME-[0-9A-F]{16}", "pin: (\\d{6})"]',
    ),
    "ui": Option("Whether AgentFix has pages in Airflow's UI; False leaves its REST API alone.", "boolean", _boolean),
    "sql_alchemy_conn": Option("Database of AgentFix's tables; empty uses Airflow's.", "string", str, sensitive=True),
    "auto_migrate": Option("Create and upgrade AgentFix's tables at the API server's first use.", "boolean", _boolean),
    "signing_key": Option(
        "Key that signs fixes and approvals for previews, the same in every Airflow process; a comma separates further ones that "
        "are still known. Empty derives it from [core] fernet_key.",
        "string",
        str,
        sensitive=True,
    ),
    "audit_key": Option("Key of the audit chain; empty derives it from [core] fernet_key.", "string", str, sensitive=True),
}


def redact_patterns() -> tuple[str, ...]:
    """`redact_patterns` alone: from Airflow's configuration where Airflow is loaded, else from the environment, and fast."""
    if "airflow.configuration" in sys.modules:
        from airflow.configuration import conf

        text = conf.get(SECTION, "redact_patterns", fallback="")
    else:
        text = os.environ.get(f"AIRFLOW__{SECTION.upper()}__REDACT_PATTERNS", "")
    return Settings.from_mapping({"redact_patterns": text}).redact_patterns
