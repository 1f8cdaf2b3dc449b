"""A deployment's own patterns, and the values of the connections we use."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from airflow_agentfix import redaction
from airflow_agentfix.core.known_values import KnownValues
from airflow_agentfix.errors import ConfigurationError
from airflow_agentfix.redaction import Redactor, learn_connection, redact
from airflow_agentfix.settings import Settings


def settings(patterns: str) -> Settings:
    return Settings.from_mapping({"redact_patterns": patterns})


# --- own patterns ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ['["ACME-[0-9]{4}", "pin (\\\\d{4})"]', "ACME-[0-9]{4}\npin (\\d{4})", "\n  ACME-[0-9]{4}  \n\npin (\\d{4})\n"]
)
def test_own_patterns_are_a_json_list_or_one_a_line(text: str) -> None:
    redactor = Redactor(settings(text).redact_patterns)
    assert redactor.redact("ACME-1234 has pin 9876, order 1234") == "*** has pin ***, order 1234"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ACME-[0-9", "no regular expression"),
        ('{"a": 1}', "not a list of texts"),
        ("[1]", "not a list of texts"),
        ("a*", "matches ''"),
        (".+", r"matches '\*\*\*'"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_the_option_and_the_reason(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\[agentfix\] redact_patterns .*{why}"):
        settings(text)


def test_a_pattern_that_runs_for_ever_is_given_up_and_its_lines_are_masked_whole() -> None:
    redactor = Redactor(settings("(a+)+(b+)+$|(?:(?:a|aa|aaa)+)+c").redact_patterns)
    text = "first\n" + "a" * 5_000 + "!\nlast"
    started = time.monotonic()
    shown = redactor.redact(text)
    assert time.monotonic() - started < 30 * redaction.PATTERN_SECONDS
    assert shown.split("\n")[0] == "first"
    assert shown.count("\n") == 2
    assert "aaaa" not in shown


def test_own_patterns_keep_the_number_of_lines_and_redacting_twice_changes_nothing() -> None:
    redactor = Redactor(settings(r"key\s+\w+" + "\n" + r"(?s)begin.*end" + "\n" + "x{2,}").redact_patterns)
    text = "key\nvalue begin\nend xxxx key abc"
    shown = redactor.redact(text)
    assert shown == "key\nvalue begin\nend *** ***"
    assert redactor.redact(shown) == shown


PRINT_REDACTED = "from airflow_agentfix.redaction import redact; print(redact('ACME-1234'))"
WITHOUT_AIRFLOW = f"import sys; {PRINT_REDACTED}; print('airflow' in sys.modules)"


def in_a_process(code: str, **environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-2:]


def test_without_airflow_the_environment_says_the_patterns_and_airflow_is_not_loaded() -> None:
    assert in_a_process(WITHOUT_AIRFLOW, AIRFLOW__AGENTFIX__REDACT_PATTERNS="ACME-\\d+") == ["***", "False"]
    assert in_a_process(WITHOUT_AIRFLOW) == ["ACME-1234", "False"]


def test_where_airflow_is_loaded_its_configuration_says_the_patterns(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "airflow.cfg").write_text("[agentfix]\nredact_patterns = ACME-[0-9]+\n")
    code = f"from airflow.configuration import conf; {PRINT_REDACTED}"
    assert in_a_process(code, AIRFLOW_HOME=str(tmp_path))[-1] == "***"


def test_the_command_line_redacts_by_the_environment_s_patterns_and_refuses_bad_ones() -> None:
    command = [sys.executable, "-m", "airflow_agentfix", "redact", "-"]
    environ = {**os.environ, "AIRFLOW__AGENTFIX__REDACT_PATTERNS": "ACME-\\d+"}
    done = subprocess.run(command, env=environ, input="id ACME-77\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "id ***\n"), done.stderr
    environ["AIRFLOW__AGENTFIX__REDACT_PATTERNS"] = "ACME-["
    done = subprocess.run(command, env=environ, input="id ACME-77\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "[agentfix] redact_patterns is 'ACME-['" in done.stderr
    assert "Traceback" not in done.stderr


# --- known values ----------------------------------------------------------------------------------------------------

VALUE = 'pa"ss/w ord+é1'


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        quote(VALUE),
        quote(VALUE, safe=""),
        json.dumps(VALUE),
        repr({"x": VALUE}),
        base64.b64encode(VALUE.encode()).decode(),
        "pa%22ss%2Fw+ord%2B%C3%A91",
    ],
)
def test_a_known_value_is_masked_in_whatever_form_it_is_written(form: str) -> None:
    known = KnownValues()
    assert known.add(VALUE)
    shown = known.mask(f"a nameless {form} here")
    assert "***" in shown
    assert "ord" not in shown


@pytest.mark.parametrize("value", ["", None, "short", "airflow", "Postgres"])
def test_a_short_value_and_one_that_everybody_knows_are_not_masked(value: str | None) -> None:
    known = KnownValues()
    assert not known.add(value)
    assert known.mask("a short airflow with Postgres") == "a short airflow with Postgres"


def test_of_a_known_value_of_many_lines_each_line_is_masked_and_the_lines_stay() -> None:
    known = KnownValues()
    known.add("head\n" + "Zm9vYmFyYmF6cXV4" * 4 + "\nAAAABBBBCCCCDDDD1\n")
    assert known.mask("x\n" + "Zm9vYmFyYmF6cXV4" * 4 + "\ny AAAABBBBCCCCDDDD1") == "x\n***\ny ***"


def test_that_one_private_key_is_known_uncovers_no_other() -> None:
    frame, known = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"), KnownValues()
    known.add("\n".join((frame[0], "Zm9vYmFyYmF6cXV4" * 4, frame[1])))
    other = "\n".join((frame[0], "MIIEpAIBAAKCAQEA0Zg3bX1lQ8m7", frame[1]))
    assert "MIIEp" not in redaction.Redactor(known=known).redact(other)


@pytest.fixture
def fresh() -> Iterator[None]:
    """What is learned here is forgotten again: other tests show texts of their own."""
    before = redaction._KNOWN._forms
    yield
    redaction._KNOWN._forms = before


@pytest.mark.usefixtures("fresh")
def test_a_connection_s_password_and_secret_extras_are_masked_and_the_rest_of_it_is_not() -> None:
    extra = {
        "token": "extratoken",
        "keyfile_dict": {"private_key": "nestedprivate", "project": "acme-project"},
        "region_name": "eu-west-1x",
    }
    connection = SimpleNamespace(login="robot-user", password="plainwords", extra_dejson=extra)
    assert learn_connection(connection) is connection
    text = "robot-user plainwords extratoken nestedprivate acme-project eu-west-1x"
    assert redact(text) == "robot-user *** *** *** acme-project eu-west-1x"
    assert redact("cm9ib3QtdXNlcjpwbGFpbndvcmRz") == "***"  # as basic authentication sends it
    assert learn_connection(None) is None


@pytest.mark.usefixtures("fresh")
def test_a_password_that_is_the_user_s_name_does_not_take_the_name_out_of_every_text() -> None:
    redaction.learn_login("reader", "reader")
    assert redact("'reader' may not edit; Authorization: Basic cmVhZGVyOnJlYWRlcg==; cmVhZGVyOnJlYWRlcg==") == (
        "'reader' may not edit; Authorization: Basic ***; ***"
    )


@pytest.mark.usefixtures("fresh")
def test_what_we_log_in_with_is_masked_wherever_it_turns_up() -> None:
    from airflow_agentfix.airflow_login import Login, connect_with
    from airflow_agentfix.workbench import Workbench

    http = connect_with(Login(url="http://airflow.example.com", username="robot", password="wordsonlypw"))
    Workbench(http, Settings(), environ={"GITHUB_TOKEN": "envwordsonly", "HOME": "homewordsonly"})
    assert redact("wordsonlypw envwordsonly homewordsonly") == "*** *** homewordsonly"


def test_a_login_fetched_in_a_task_is_masked_in_airflow_s_own_logs() -> None:
    code = (
        "import airflow.sdk.log, logging; from airflow_agentfix.redaction import learn; learn('wordsonlypw');"
        "from airflow.sdk._shared.secrets_masker import redact; print(); print(redact('x wordsonlypw'))"
    )
    assert in_a_process(code)[-1] == "x ***"
