"""The same cause gives the same fingerprint, another cause another one, and exception and log agree."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace

import pytest

from airflow_agentfix.core.fingerprint import fingerprint, fingerprint_of_exception, normalised
from airflow_agentfix.core.incident import Frame, RootCause
from airflow_agentfix.core.logs import distill


def cause(
    message: str, *, exception: str | None = "ValueError", file: str = "/opt/airflow/dags/shop.py", line: int = 3
) -> RootCause:
    frames = (Frame(file, line, "load", user=True),) if exception else ()
    return RootCause(line=message, message=message, exception=exception, frames=frames)


SAME = [
    ("no data for 2026-11-22", "no data for 2026-11-23"),
    ("no data for 20261122", "no data for 20261123"),
    ("failed at 2026-11-22T08:51:33.094Z", "failed at 2026-11-23 09:12:44+00:00"),
    ("run manual__2026-11-22T08:51:33+00:00_x1 broke", "run scheduled__2026-11-23T00:00:00+00:00 broke"),
    ("job 0190c2f4-7d5e-7c1b-a2b8-7d7a0d0b7f10 failed", "job 1190c2f4-7d5e-7c1b-a2b8-7d7a0d0b7f11 failed"),
    ("<X object at 0x7f5b0274e828> is bad", "<X object at 0x7f5b0274e000> is bad"),
    ("host 10.0.3.12:5432 refused", "host 10.0.7.91:41022 refused"),
    ("HTTPConnectionPool(host='db', port=8000): no", "HTTPConnectionPool(host='db', port=8010): no"),
    ("/tmp/tmpab12cd/x.csv is bad", "/tmp/tmpzz99/y.csv is bad"),
    ("Expected 3 fields in line 4002, saw 5", "Expected 3 fields in line 17, saw 9"),
    ("pod etl-prod-6f7a9c01 gone", "pod etl-prod-0b7d4e22 gone"),
    ("s3://lake/dt=2026-11-22/part-00012.parquet is bad", "s3://lake/dt=2026-11-25/part-00733.parquet is bad"),
    ("wrote 1,204 of 90.5 GiB", "wrote 7 of 12 GiB"),
    ("Timeout, PID: 21404", "Timeout, PID: 9"),
    ("pod etl-3bfbe37f7-7g2cc gone", "pod etl-5c9d8e7f1-x2k9p gone"),
    ("host 2001:db8::8a2e:370:7334 refused", "host 2001:db8::1 refused"),
    ("request 01J9ZQ4M8T6Y2K5V7B3N1C0X9R failed", "request 01JAAAM8T6Y2K5V7B3N1C0X111 failed"),
    ("expired on Tue, 4 Nov 2025 10:11:12 GMT", "expired on Wed, 12 Nov 2025 09:00:00 GMT"),
    ("took 56m11s", "took 7m3s"),
    ("dup\n[SQL: insert 1]\n[parameters: (1,)]", "dup\n[SQL: insert 2]\n[parameters: (7,)]"),
]

DIFFERENT = [
    *("KeyError: 'amount'", "KeyError: 'price'", "429 Client Error: Too Many Requests", "503 Server Error: Service Unavailable"),
    *("exit code 1", "exit code 137", "[Errno 28] No space", "[Errno 24] Too many", "column c1 is gone", "column c2 is gone"),
    *('relation "a" is gone', 'relation "b" is gone', "ORA-00942: no", "ORA-01017: no"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_varies_from_run_to_run_does_not_enter(one, other):
    assert normalised(one) == normalised(other)
    assert fingerprint(cause(one)) == fingerprint(cause(other))


def test_different_causes_in_the_same_task_differ():
    prints = {fingerprint(cause(text)) for text in DIFFERENT}
    assert len(prints) == len(DIFFERENT)


def test_its_form_and_its_first_value_are_a_contract():
    assert fingerprint(cause("bad")) == "fp1:edd1df069f0dbea6"


def test_line_numbers_and_the_folder_of_the_code_do_not_enter():
    assert fingerprint(cause("x")) == fingerprint(cause("x", file="/other/bundle/1f2e/shop.py", line=99))


def test_who_called_the_helper_that_fails_does_not_enter():
    helper, one, other = (Frame(f"/opt/dags/{name}.py", 3, name, user=True) for name in ("money", "orders", "refunds"))
    prints = {fingerprint(replace(cause("x"), frames=(outer, helper))) for outer in (one, other)}
    assert len(prints) == 1


def test_shell_tasks_with_the_same_exit_code_differ_by_their_output():
    def shell(output: str) -> str:
        stamp = "[2024-05-19T12:00:00.000+0000] "
        text = (
            f"{stamp}{{subprocess.py:93}} INFO - {output}\n{stamp}{{subprocess.py:97}} INFO - Command exited with return code 1\n"
            f"{stamp}{{taskinstance.py:1935}} ERROR - Task failed with exception\nTraceback (most recent call last):\n"
            '  File "/x/site-packages/airflow/operators/bash.py", line 210, in execute\n'
            "airflow.exceptions.AirflowException: Bash command failed. The command returned a non-zero exit code 1.\n"
        )
        return fingerprint(distill(text.encode().splitlines(keepends=True)).cause)

    assert shell("orders out of balance") != shell("no file today")
    assert shell("42 orders out of balance") == shell("17 orders out of balance")


def raised(kind: str) -> BaseException:
    try:
        if kind == "plain":
            raise KeyError("amount")
        if kind == "chained":
            try:
                int("x")
            except ValueError as error:
                raise RuntimeError("load failed") from error
        if kind == "multi-line":
            raise ValueError("first 3\nsecond line")
        raise ExceptionGroup("two", [raised("multi-line"), raised("plain")])
    except BaseException as error:
        return error
    raise AssertionError


def as_event(error: BaseException) -> str:
    detail = []
    current: BaseException | None = error
    is_cause = False
    while current is not None:
        frames = [
            {"filename": f.filename, "lineno": f.lineno, "name": f.name} for f in traceback.extract_tb(current.__traceback__)
        ]
        detail.append({"exc_type": type(current).__name__, "exc_value": str(current), "frames": frames, "is_cause": is_cause})
        current, is_cause = current.__cause__, True
    return json.dumps({"event": "Task failed with exception", "level": "error", "logger": "task", "error_detail": detail}) + "\n"


def as_text(error: BaseException) -> str:
    stamp = "[2024-05-19T12:00:00.000+0000] {taskinstance.py:1935} "
    told = "".join(traceback.format_exception(error))
    return f"{stamp}ERROR - Task failed with exception\n{told}{stamp}INFO - Marking task as FAILED.\n"


@pytest.mark.parametrize("kind", ["plain", "chained", "multi-line"])
def test_the_exception_in_the_task_and_its_log_agree(kind):
    error = raised(kind)
    own = fingerprint_of_exception(error)
    for log in (as_event(error), as_text(error)):
        assert fingerprint(distill(log.encode().splitlines(keepends=True)).cause) == own


def test_a_group_agrees_with_its_text():
    error = raised("group")
    log = as_text(error)
    assert fingerprint(distill(log.encode().splitlines(keepends=True)).cause) == fingerprint_of_exception(error)
