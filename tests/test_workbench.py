"""What a worker works with, put together from settings, connections and the environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.airflow_login import Login, connect_with
from airflow_agentfix.core.incident import DagFacts, Incident, Repository, TaskFacts, TaskRef
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.driver import Found
from airflow_agentfix.errors import CommitNotFound, ConfigurationError, SkillError
from airflow_agentfix.ports import Claim
from airflow_agentfix.settings import Settings
from airflow_agentfix.workbench import Workbench
from tests.code.repos import git
from tests.fakes.airflow_rest import FakeAirflow
from tests.fakes.bench import DAG, RUN, SOURCE, TASK, fail, make_repository, new_session, settings_for
from tests.fakes.session_client import AT

REF = TaskRef(DAG, RUN, TASK, 1)
GITHUB = Repository("https://github.com/acme/dags.git", "main")


@dataclass
class Connection:
    """An Airflow connection, as far as it is read."""

    host: str | None = None
    password: str | None = None
    login: str | None = None
    conn_type: str = "git"
    extra_dejson: dict[str, Any] = field(default_factory=dict)


Make = Callable[..., Workbench]


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow() as airflow:
        fail(airflow)
        yield airflow


@pytest.fixture
def make(airflow: FakeAirflow) -> Make:
    def make(settings: Settings, *, environ: dict[str, str] | None = None, **connections: Any) -> Workbench:
        http = connect_with(Login(url=airflow.url), retries=0, timeout=5)
        return Workbench(http, settings, get_connection=connections.get, environ=environ or {})

    return make


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path)


def claim(*events: Event) -> Claim:
    return Claim("lease", new_session(), events, Policy().to_json())


def patch(path: str, after: str | None) -> Event:
    files = [{"path": path, "before": None, "after": after}]
    return Event(1, EventKind.PATCH, "worker", AT, {"files": files, "findings": [], "call_id": "c"})


def found(bench: Workbench, *, incident: Incident | None = None) -> Found:
    incident = incident or bench.collect(REF)
    repository = bench.repository_of(incident.dag)
    return Found(incident, repository, bench.base_commit(repository))


# --- evidence --------------------------------------------------------------------------------------------------------


def test_the_evidence_has_what_changed_the_source_and_earlier_sessions(
    make: Make, airflow: FakeAirflow, repository: Path
) -> None:
    broken = git("rev-parse", "main", cwd=repository)
    airflow.runs[DAG, RUN]["bundle_version"] = broken
    airflow.add_run(DAG, "sunday", state="success", start_date="2026-11-21T06:00:00Z", bundle_version=broken)
    airflow.add_task_instance(DAG, "sunday", TASK, state="success")
    text = make(settings_for(repository)).collect(REF).text
    assert f"the code did not change since sunday, the last green run ({broken[:10]}" in text
    assert f"S1\tshop.py at {broken[:10]}, as it ran" in text
    assert "2\t    return amont + 1" in text
    assert "not known: earlier sessions: No session API at" in text


def test_a_repository_that_nobody_knows_is_a_gap_that_says_what_to_configure(make: Make) -> None:
    incident = make(Settings(offline=True)).collect(REF)
    (gap,) = [gap for gap in incident.circumstances.gaps if gap.startswith("what changed")]
    assert "[agentfix] repositories" in gap
    assert f"not known: {gap[:60]}" in incident.text


# --- code ------------------------------------------------------------------------------------------------------------


def test_the_base_commit_is_the_head_of_the_base_branch(make: Make, repository: Path) -> None:
    bench = make(settings_for(repository))
    assert found(bench).base_commit == git("rev-parse", "main", cwd=repository)


def test_a_base_branch_that_is_not_there_names_repository_and_branch_and_what_to_correct(make: Make, repository: Path) -> None:
    bench = make(settings_for(repository, base_branch="trunk"))
    with pytest.raises(CommitNotFound, match=r"shop\.git has no branch 'trunk'.*base_branch in \[agentfix\] repositories"):
        found(bench)


def test_the_tree_is_there_twice_and_one_has_the_sessions_changes(make: Make, repository: Path, tmp_path: Path) -> None:
    bench, folder = make(settings_for(repository)), tmp_path / "session"
    folder.mkdir()
    case = bench.case(found(bench), claim=claim(patch("shop.py", "x = 1\n")), folder=folder)
    assert case.code is not None
    assert ((folder / "base" / "shop.py").read_text(), case.code.copy.read("shop.py")) == (SOURCE, "x = 1\n")
    assert [change.path for change in case.code.copy.changes()] == ["shop.py"]


def test_where_there_is_no_code_the_case_says_why_and_has_the_shipped_skills(make: Make, tmp_path: Path) -> None:
    bench = make(Settings(offline=True))
    incident = bench.collect(REF)
    case = bench.case(Found(incident, None, None, "nobody knows the repository"), claim=claim(), folder=tmp_path)
    assert (case.code, case.no_code) == (None, "nobody knows the repository")
    assert "fix-and-rerun-dag" in case.skills.catalogue()


def test_a_skill_of_the_repositorys_base_branch_is_there(make: Make, tmp_path: Path) -> None:
    skill = "---\nname: our-tables\ndescription: What our tables mean.\n---\nAmounts are in cents.\n"
    repository = make_repository(tmp_path, **{".agentfix/skills/our-tables/SKILL.md": skill})
    bench, folder = make(settings_for(repository)), tmp_path / "session"
    folder.mkdir()
    case = bench.case(
        found(bench), claim=claim(patch(".agentfix/skills/our-tables/SKILL.md", "changed by the fix")), folder=folder
    )
    assert "Amounts are in cents." in case.skills.load("our-tables")


@pytest.mark.parametrize("malformed", [None, "no front matter", "---\nname: other\ndescription: d\n---\nbody\n"])
def test_a_configured_skill_that_is_missing_or_malformed_is_named(
    make: Make, repository: Path, tmp_path: Path, malformed: str | None
) -> None:
    skills = tmp_path / "skills"
    if malformed is not None:
        (skills / "ours").mkdir(parents=True)
        (skills / "ours" / "SKILL.md").write_text(malformed)
    bench, folder = make(settings_for(repository, skills=(str(skills),))), tmp_path / "session"
    folder.mkdir()
    with pytest.raises(SkillError, match=str(skills)):
        bench.case(found(bench), claim=claim(), folder=folder)


@pytest.mark.parametrize(
    ("environ", "connections", "kind"),
    [
        ({"GITHUB_TOKEN": "t"}, {}, "GitHubHost"),
        ({}, {"github_default": Connection(password="t")}, "GitHubHost"),
        ({}, {}, "GitHost"),
    ],
)
def test_a_repository_on_github_is_asked_over_its_api_where_there_is_a_login(
    make: Make, environ: dict[str, str], connections: dict[str, Any], kind: str
) -> None:
    bench = make(Settings(github_conn_id="github_default"), environ=environ, **connections)
    assert type(bench.host(GITHUB)).__name__ == kind
    assert bench.host(GITHUB) is bench.host(GITHUB)


def test_the_bundle_list_is_airflows_own(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = {
        "name": "shop",
        "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
        "kwargs": {"repo_url": "https://git.example/shop.git", "tracking_ref": "main", "subdir": "dags"},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    told = make(Settings()).repository_of(DagFacts(DAG, "shop.py", bundle_name="shop"))
    assert (told.url, told.base_branch, told.subdir) == ("https://git.example/shop.git", "main", "dags")


def test_a_bundle_list_that_is_none_says_what_was_expected(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", "[{")
    with pytest.raises(ConfigurationError, match=r"expected a JSON list"):
        make(Settings()).repository_of(DagFacts(DAG, "shop.py", bundle_name="shop"))


# --- model, log, words -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offline", "key", "name"), [(False, "k", Settings.model), (False, "", "rules"), (True, "k", "rules")])
def test_claude_works_where_there_is_a_key_and_the_rules_where_there_is_none(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, offline: bool, key: str, name: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    caplog.set_level("INFO")
    assert make(Settings(offline=offline)).model().name == name
    assert f"Model: {name}" in caplog.text


def test_the_log_is_given_line_by_line_with_the_numbers_of_the_evidence(make: Make, tmp_path: Path) -> None:
    bench = make(Settings(offline=True))
    incident = bench.collect(REF)
    case = bench.case(Found(incident, None, None, "no"), claim=claim(), folder=tmp_path)
    lines = dict(case.log(REF))
    (cause,) = [number for number, text in incident.cause.context if "NameError" in text][:1]
    assert "NameError" in lines[cause]


def test_a_case_knows_the_cause_of_other_tries_the_usual_and_what_parses(
    make: Make, airflow: FakeAirflow, repository: Path, tmp_path: Path
) -> None:
    instance = next(one for one in airflow.instances if one["task_id"] == TASK)
    airflow.add_earlier_try(instance, 7, log=airflow.logs[DAG, RUN, TASK, -1, 1])
    airflow.add_run(DAG, "sunday", state="success")
    airflow.add_task_instance(DAG, "sunday", TASK, state="success", duration=2.0)
    bench = make(replace(settings_for(repository), base_url="https://air.example"))
    case = bench.case(found(bench), claim=claim(patch("shop.py", "x = 1\n")), folder=tmp_path)
    assert case.code is not None
    assert case.cause_of(replace(REF, try_number=7)) == case.incident.fingerprint
    assert case.usual(TaskFacts(TASK, -1, 2, "success", duration=2.5)) == "as usual (median 2.0 s in 1 other green run)"
    assert [(stage.name, stage.state) for stage in case.code.parsed(case.code.copy)] == [
        ("compiled", "passed"),
        ("static checks", "not_run"),
    ]
    assert case.base_url == "https://air.example"


def test_what_a_case_says_is_without_secrets(make: Make) -> None:
    assert "hunter2" not in make(Settings()).redact("postgresql://app:hunter2@db/shop")
