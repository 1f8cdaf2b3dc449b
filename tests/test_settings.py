"""[agentfix] as it is read: a value that cannot be meant is refused and never taken for a looser one."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.errors import ConfigurationError
from airflow_agentfix.settings import Settings


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("approve_before", "reruns", "reruns is no step"),
        ("autonomy", "full", "'full' is not a valid Autonomy"),
        ("dag_autonomy", '{"finance_*": "full"}', "'full' is not a valid Autonomy"),
        ("dag_autonomy", '["finance_*"]', "not a JSON object"),
        ("allow_unreviewed_reruns", "no", "not True or False"),
        ("max_files", "few", "invalid literal"),
    ],
)
def test_a_value_that_cannot_be_read_names_its_option(name: str, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Settings.from_mapping({name: text})
    assert str(error.value).startswith(f"[agentfix] {name} is {text!r}")
    assert told in str(error.value)


def test_a_person_can_be_asked_for_before_each_step_that_has_one() -> None:
    assert Settings.from_mapping({"approve_before": "rerun, recover"}).approve_before == ("rerun", "recover")


def test_an_empty_list_means_none_and_an_empty_number_the_default() -> None:
    found = Settings.from_mapping({"approve_before": "", "max_files": ""})
    assert (found.approve_before, found.max_files) == ((), 10)


def test_a_dag_has_the_ceilings_of_every_key_that_means_it() -> None:
    settings = Settings.from_mapping({"dag_autonomy": '{"fin*": "propose", "tag:critical": "report", "tag": "rerun"}'})

    def ceilings(dag_id: str, *tags: str) -> list[tuple[str, Autonomy | None]]:
        return [(layer.source, layer.autonomy) for layer in settings.ceilings(dag_id, tags)[1:]]

    assert ceilings("orders") == []
    assert ceilings("finance", "critical") == [
        ("[agentfix] dag_autonomy 'fin*'", Autonomy.PROPOSE),
        ("[agentfix] dag_autonomy 'tag:critical'", Autonomy.REPORT),
    ]
    assert ceilings("tag") == [("[agentfix] dag_autonomy 'tag'", Autonomy.RERUN)]
