"""The way of a rerun: which one, and why."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.ways import Chosen, Way, Ways, branch_param, dag_code
from airflow_agentfix.errors import RerunImpossible

NO_BUNDLE, NO_PREVIEWS, NO_PARAM = "its bundle has no versions.", "no AgentFixPreviews is configured.", "no branch param."
CHANGED = ("Task 'load' was added.",)


def test_a_run_that_can_go_on_itself_is_pinned() -> None:
    assert Ways(None, None, NO_PARAM).choose() == Chosen(Way.PIN, "the failed run can go on itself, on the fix commit")


@pytest.mark.parametrize(("pin", "changes"), [(NO_BUNDLE, ()), (None, CHANGED)])
def test_a_preview_is_taken_where_a_pin_cannot_be_and_says_why(pin: str | None, changes: tuple[str, ...]) -> None:
    chosen = Ways(pin, None, NO_PARAM).choose(changes)
    assert chosen.way is Way.PREVIEW
    assert (pin or "Task 'load' was added.") in chosen.reason


def test_a_dag_that_is_told_its_branch_is_told_the_fixes() -> None:
    assert Ways(None, None, None).choose().way is Way.CONF


def test_where_no_way_applies_every_reason_is_given() -> None:
    with pytest.raises(RerunImpossible) as error:
        Ways(NO_BUNDLE, NO_PREVIEWS, NO_PARAM).choose()
    assert all(why in str(error.value) for why in (NO_BUNDLE, NO_PREVIEWS, NO_PARAM))


def test_a_way_that_policy_does_not_allow_is_not_taken() -> None:
    assert Ways(None, None, NO_PARAM, allowed=("preview",)).choose().way is Way.PREVIEW
    with pytest.raises(RerunImpossible, match="pin: policy does not allow it"):
        Ways(None, NO_PREVIEWS, NO_PARAM, allowed=("preview",)).choose()


NAMES = ("agentfix_branch", "branch")


def found(params: dict[str, object], conf: dict[str, object] | None = None) -> tuple[str | None, str | None]:
    return branch_param(NAMES, params=params, conf=conf or {}, base_branch="main")


def test_the_branch_param_is_one_that_was_the_base_branch() -> None:
    assert found({"branch": "main", "day": 1}) == ("branch", None)
    assert found({"branch": "dev"}, {"branch": "main"}) == ("branch", None)
    assert found({"agentfix_branch": "main", "branch": "main"}) == ("agentfix_branch", None)


def test_a_run_on_another_branch_is_not_told_the_fixes() -> None:
    param, why_not = found({"branch": "main"}, {"branch": "release"})
    assert param is None
    assert "branch was 'release'" in str(why_not)


def test_a_dag_without_a_branch_param_has_none() -> None:
    assert found({"day": 1}) == (None, "the DAG declares no branch param (agentfix_branch, branch).")


def test_dag_code_is_python_below_the_bundles_root() -> None:
    paths = ["dags/a.py", "dbt/models/a.sql", "dbt/macros/a.py", "dags/q.sql"]
    assert dag_code(paths, "dags") == ["dags/a.py"]
    assert dag_code(paths, "") == ["dags/a.py", "dbt/macros/a.py"]
