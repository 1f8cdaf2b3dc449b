"""What a log's root cause is, whatever wrote the log, and that its rendering keeps it within the budget."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable

import pytest

from airflow_agentfix.core.log_lines import LINE_BYTES, read_lines, rows
from airflow_agentfix.core.logs import Distilled, distill, grep_lines, render

STAMP = "[2024-05-19T12:00:00.000+0000] "
SITE = "/home/airflow/.local/lib/python3.12/site-packages/airflow/"


def read(text: str, *, max_chars: int = 16_000) -> Distilled:
    return distill(text.encode().splitlines(keepends=True), max_chars=max_chars)


def event(text: str, *, level: str = "info", logger: str = "airflow.task.shop", **more: object) -> str:
    return json.dumps({"timestamp": "2026-11-22T08:51:33Z", "level": level, "event": text, "logger": logger, **more}) + "\n"


def stack(
    type_: str, value: str, *files: str, is_cause: bool = False, notes: Iterable[str] = (), **more: object
) -> dict[str, object]:
    frames = [{"filename": file, "lineno": i + 1, "name": f"f{i}"} for i, file in enumerate(files)]
    return {"exc_type": type_, "exc_value": value, "frames": frames, "is_cause": is_cause, "exc_notes": list(notes), **more}


def failed(*detail: dict[str, object]) -> str:
    return event("Task failed with exception", level="error", logger="task", error_detail=list(detail))


def said(source: str, *texts: str, level: str = "INFO") -> str:
    return "".join(f"{STAMP}{{{source}}} {level} - {text}\n" for text in texts)


def wrapped(message: str = "Bash command failed. The command returned a non-zero exit code 1.") -> str:
    return (
        said("taskinstance.py:1935", "Task failed with exception", level="ERROR")
        + f'Traceback (most recent call last):\n  File "{SITE}operators/bash.py", line 210, in execute\n    raise X(\n'
        + f"airflow.exceptions.AirflowException: {message}\n"
        + said("taskinstance.py:1398", "Marking task as FAILED. dag_id=shop, task_id=load")
    )


# --- Airflow 3 events ------------------------------------------------------------------------------------------------


def test_an_event_s_exception_is_the_cause_with_the_user_s_frames_marked():
    cause = read(
        event("loading") + failed(stack("KeyError", "'amount'", SITE + "sdk/task_runner.py", "/opt/airflow/dags/shop.py"))
    ).cause
    assert cause.line == "KeyError: 'amount'"
    assert (cause.exception, cause.message) == ("KeyError", "'amount'")
    assert [(f.file, f.line, f.user) for f in cause.frames] == [
        (SITE + "sdk/task_runner.py", 1, False),
        ("/opt/airflow/dags/shop.py", 2, True),
    ]


def test_the_declared_cause_is_the_root_and_keeps_the_way_to_it():
    outer = stack("DatabaseError", "Execution failed", "/opt/airflow/dags/shop.py")
    inner = stack("IntegrityError", "NOT NULL constraint failed: o.id", SITE + "db.py", is_cause=True)
    cause = read(failed(outer, inner)).cause
    assert cause.line == "IntegrityError: NOT NULL constraint failed: o.id"
    assert [f.file for f in cause.user_frames] == ["/opt/airflow/dags/shop.py"]


def test_a_library_s_second_attempt_is_the_cause_not_its_first():
    outer = stack("UnicodeDecodeError", "can't decode byte 0xe9", "/opt/airflow/dags/shop.py")
    inner = stack("ArrowInvalid", "Invalid UTF8 sequence", "/opt/project/pyarrow/array.pxi")
    assert read(failed(outer, inner)).cause.exception == "UnicodeDecodeError"


def test_what_user_code_raised_first_is_the_cause_not_what_its_handler_raised():
    outer = stack("ValueError", "cannot load", "/opt/airflow/dags/shop.py")
    inner = stack("KeyError", "'a'", "/opt/airflow/dags/shop.py")
    assert read(failed(outer, inner)).cause.line == "KeyError: 'a'"


def test_a_root_that_says_less_than_its_outer_exception_gives_way_to_it():
    outer = stack("ReadTimeout", "Read timed out. (read timeout=2)", "/opt/airflow/dags/shop.py")
    inner = stack("TimeoutError", "timed out", "/usr/lib/python3.12/socket.py", is_cause=True)
    assert read(failed(outer, inner)).cause.line == "ReadTimeout: Read timed out. (read timeout=2)"


def test_a_group_is_followed_into_its_first_member():
    member = [stack("ValueError", "bad row 7", "/opt/airflow/dags/shop.py")]
    group = stack(
        "ExceptionGroup", "two failed (2 sub-exceptions)", is_group=True, exceptions=[member, [stack("KeyError", "'b'")]]
    )
    assert read(failed(group)).cause.line == "ValueError: bad row 7"


def test_notes_and_syntax_errors_are_kept():
    syntax = {"filename": "/opt/airflow/dags/shop.py", "lineno": 3, "offset": 5, "line": "x = (", "msg": "'(' was never closed"}
    cause = read(
        failed(stack("SyntaxError", "'(' was never closed (shop.py, line 3)", notes=["while importing"], syntax_error=syntax))
    ).cause
    assert cause.notes == ("while importing",)
    assert (cause.frames[-1].line, cause.frames[-1].code) == (3, "x = (")


def test_an_error_event_before_the_failure_is_not_the_cause():
    decoy = event("Failed to resolve template field 'sql'", level="error", error_detail=[stack("TemplateNotFound", "'x.sql'")])
    assert read(decoy + event("working") + failed(stack("KeyError", "'a'"))).cause.line == "KeyError: 'a'"


def test_a_callback_s_own_traceback_after_the_failure_is_not_the_cause():
    after = event("Failed to run task callback", level="error", error_detail=[stack("HTTPError", "404 no_team")])
    assert read(failed(stack("KeyError", "'a'")) + after).cause.line == "KeyError: 'a'"


def test_one_json_object_with_content_is_read_as_the_lines_it_holds():
    content = [json.loads(event("loading")), json.loads(failed(stack("KeyError", "'a'")))]
    distilled = read(json.dumps({"content": content, "continuation_token": None}))
    assert (distilled.cause.line, distilled.lines) == ("KeyError: 'a'", 2)


def test_a_killed_process_is_its_own_cause():
    text = event("loading") + event(
        "Process terminated by signal. For more information, see x", level="critical", logger="task", signal=-9
    )
    assert read(text).cause.line.startswith("Process terminated by signal")


def test_a_task_stopped_by_the_server_says_so():
    text = event("Server indicated the task shouldn't be running anymore", level="error") + event(
        "Task killed!", level="error", logger="task"
    )
    assert read(text).cause.line.startswith("Server indicated")


# --- text ------------------------------------------------------------------------------------------------------------

CHAINED = f"""{STAMP}{{taskinstance.py:1935}} ERROR - Task failed with exception
Traceback (most recent call last):
  File "/x/site-packages/sqlalchemy/engine/base.py", line 1900, in _execute_context
    self.dialect.do_execute(
psycopg2.errors.UndefinedColumn: column "amont" does not exist
LINE 1: select amont from orders
HINT:  Perhaps you meant to reference the column "orders.amount".


The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/airflow/dags/shop.py", line 3, in load
    conn.execute(sql)
sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedColumn) column "amont" does not exist
[SQL: select amont from orders]
{STAMP}{{taskinstance.py:1398}} INFO - Marking task as FAILED. dag_id=shop
"""


def test_the_root_of_a_text_chain_keeps_its_hint_and_the_user_s_frame():
    cause = read(CHAINED).cause
    assert cause.line == 'psycopg2.errors.UndefinedColumn: column "amont" does not exist'
    assert "Perhaps you meant" in cause.message
    assert [(f.function, f.code) for f in cause.user_frames] == [("load", "conn.execute(sql)")]


def test_airflow_3_as_text_gives_the_exception_and_its_frames():
    text = (
        '[2025-05-01, 12:00:01] ERROR - Task failed with exception: source="task"\nValueError: Missing column foo\n'
        f'File "{SITE}sdk/task_runner.py", line 825 in run\nFile "/opt/airflow/dags/shop.py", line 12 in load\n'
    )
    cause = read(text).cause
    assert (cause.line, [f.function for f in cause.user_frames]) == ("ValueError: Missing column foo", ["load"])


def test_a_grouped_text_traceback_is_followed_into_its_first_member():
    text = said("taskinstance.py:1935", "Task failed with exception", level="ERROR") + (
        '  + Exception Group Traceback (most recent call last):\n  |   File "/opt/airflow/dags/x.py", line 9, in f\n'
        "  | ExceptionGroup: many (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n"
        '    | Traceback (most recent call last):\n    |   File "/opt/airflow/dags/x.py", line 5, in g\n    |     int("x")\n'
        "    | ValueError: invalid literal for int()\n    +---------------- 2 ----------------\n"
        '    | Traceback (most recent call last):\n    |   File "/opt/airflow/dags/x.py", line 7, in h\n    | KeyError: 1\n'
        "    +------------------------------------\n"
    )
    assert read(text).cause.line == "ValueError: invalid literal for int()"


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (("Usage: dbt run", "Error: Invalid value for '--project-dir'"), "Error: Invalid value for '--project-dir'"),
        (("/bin/bash: line 1: foo: command not found",), "/bin/bash: line 1: foo: command not found"),
        (("loading", "orders out of balance"), "orders out of balance"),
        (
            (
                "Database Error in model fct (models/fct.sql)",
                '  invalid input syntax for type numeric: ""',
                "  compiled Code at target/x",
            ),
            'invalid input syntax for type numeric: ""',
        ),
        (
            ("08:25:09  Failure in test accepted_values (models/s.yml)", "08:25:09    Got 1 result, configured to fail if != 0"),
            "Got 1 result, configured to fail if != 0",
        ),
        (
            (
                "Traceback (most recent call last):",
                '  File "/opt/jobs/etl.py", line 3, in <module>',
                "    x",
                "KeyError: 'b'",
                "bye",
            ),
            "KeyError: 'b'",
        ),
        (
            (
                'Exception in thread "main" org.SparkException: Job aborted',
                "\tat a.b(C.scala:1)",
                "Caused by: java.io.IOException: no disk",
            ),
            "Caused by: java.io.IOException: no disk",
        ),
    ],
)
def test_behind_a_failed_command_the_cause_is_in_its_output(output, line):
    text = said("subprocess.py:86", "Output:") + said("subprocess.py:93", *output)
    text += said("subprocess.py:97", "Command exited with return code 1") + wrapped()
    assert read(text).cause.line == line


def test_a_handled_error_in_the_output_is_not_the_cause():
    decoy = said("http.py:91", "request failed, will retry", level="ERROR") + (
        'Traceback (most recent call last):\n  File "/usr/lib/python3.12/socket.py", line 7, in f\nConnectionResetError: reset\n'
    )
    text = decoy + said("http.py:92", "page 3 ok on attempt 2, continuing")
    text += said("subprocess.py:93", "orders out of balance", "ERROR: totals differ")
    text += said("subprocess.py:97", "Command exited with return code 1") + wrapped()
    assert read(text).cause.line == "ERROR: totals differ"


def test_a_pod_killed_for_memory_is_found_inside_its_wrapper():
    cause = read(
        wrapped("Pod etl returned a failure.\nremote_pod: {'status':\n  {'reason': 'OOMKilled', 'exit_code': 137}}")
    ).cause
    assert "OOMKilled" in cause.line


def test_a_sigterm_has_the_reason_logged_before_it():
    text = said(
        "local_task_job.py:188", "State of this instance has been externally set to failed. Terminating.", level="WARNING"
    )
    text += wrapped("Task received SIGTERM signal")
    assert "externally set to failed" in read(text).cause.line


def test_a_warning_of_the_command_is_not_preferred_to_its_error():
    spark = "24/05/19 12:01:01"
    output = (
        f"{spark} ERROR Job: orders differ",
        f"{spark} WARN HeartbeatReceiver: no heartbeat, 150000 ms exceeds timeout 120000 ms",
    )
    text = said("spark_submit.py:579", *output) + wrapped("Cannot execute: spark-submit. Error code is: 1.")
    assert read(text).cause.line.endswith("orders differ")


def test_the_last_try_of_a_log_with_two_is_the_one_told():
    first, second = wrapped("first"), wrapped("second")
    assert read(first + said("taskinstance.py:1359", "Starting attempt 2 of 3") + second).cause.message == "second"


def test_colours_progress_bars_and_foreign_encodings_do_not_hide_the_cause():
    raw = (
        b" 10%\r 50%\r100%\n"
        + b"caf\xe9 \x00\xff\n"
        + said("subprocess.py:93", "\x1b[31mERROR\x1b[0m: caf\u00e9 closed").encode()
        + said("subprocess.py:97", "Command exited with return code 1").encode()
        + wrapped().encode()
    )
    distilled = distill(raw.splitlines(keepends=True))
    assert distilled.cause.line == "ERROR: caf\u00e9 closed"
    assert rows(1, b" 10%\r 50%\r100%\n")[0].text == "100%"


def test_a_traceback_whose_beginning_is_not_in_the_log_is_known_by_its_last_line():
    text = '    cur.execute(sql)\npsycopg2.errors.DuplicateTable: relation "pk" already exists\n'
    text += said("taskinstance.py:1206", "Marking task as UP_FOR_RETRY. dag_id=shop, task_id=load")
    assert read(text).cause.line == 'psycopg2.errors.DuplicateTable: relation "pk" already exists'


def test_where_only_the_job_runner_tells_of_the_failure_its_words_are_the_cause():
    text = said("taskinstance.py:1206", "Marking task as FAILED. dag_id=shop, task_id=load")
    text += said("standard_task_runner.py:110", "Failed to execute job 478 for task load (the message is too large; 130)")
    assert read(text).cause.line == "the message is too large"


def test_a_first_line_that_only_announces_is_told_with_the_next_one():
    log = failed(stack("InvalidArgument", "400 Multiple validation errors:\n - Cluster name must match", "/opt/dags/x.py"))
    assert read(log).cause.line == "InvalidArgument: 400 Multiple validation errors: - Cluster name must match"


def test_what_the_container_printed_is_the_cause_and_not_an_error_that_was_handled_while_starting_it():
    text = said("docker.py:436", "ModuleNotFoundError: No module named 'loguru'")
    text += said("taskinstance.py:3313", "Task failed with exception", level="ERROR")
    text += (
        f'Traceback (most recent call last):\n  File "{SITE}docker.py", line 1, in a\n'
        "requests.exceptions.HTTPError: 400 Bad Request\n"
        "\nDuring handling of the above exception, another exception occurred:\n\n"
        f'Traceback (most recent call last):\n  File "{SITE}docker.py", line 2, in b\n'
        "DockerContainerFailedException: Docker container failed: {'StatusCode': 1}\n"
    )
    assert read(text).cause.line == "ModuleNotFoundError: No module named 'loguru'"


def test_a_traceback_whose_indentation_was_lost_is_read_to_its_exception():
    rows = [
        "Traceback (most recent call last):",
        'File "/opt/jobs/sales.py", line 5, in <module>',
        'spark.sql("select a: b FORM c")',
    ]
    rows += ["^^^^^^^^^", 'File "/x/site-packages/pyspark/sql/session.py", line 1, in sql', "pyspark.errors.ParseException:"]
    text = said("spark_submit.py:521", *rows, "[PARSE_SYNTAX_ERROR] Syntax error at or near 'c'", "", "== SQL ==")
    cause = read(text + wrapped("Cannot execute: spark-submit. Error code is: 1.")).cause
    assert cause.line == "pyspark.errors.ParseException: [PARSE_SYNTAX_ERROR] Syntax error at or near 'c'"
    assert [(frame.file, frame.line) for frame in cause.user_frames] == [("/opt/jobs/sales.py", 5)]


def test_the_message_inside_a_kubernetes_answer_is_the_cause():
    body = '{"kind":"Status","message":"pods \\"x\\" is forbidden: exceeded quota: compute","code":403}'
    log = failed(stack("ApiException", f"(403)\nReason: Forbidden\nHTTP response headers: {{}}\nHTTP response body: {body}\n"))
    assert read(log).cause.line == 'ApiException: (403) pods "x" is forbidden: exceeded quota: compute'


def test_why_a_pod_did_not_start_is_in_its_events():
    text = said("pod.py:948", "Pod Event: FailedScheduling - 0/14 nodes are available: 11 Insufficient memory.", level="ERROR")
    text += wrapped("x").replace(
        "airflow.exceptions.AirflowException: x", "PodLaunchFailedException: Pod took longer than 12 seconds"
    )
    assert "0/14 nodes are available" in read(text).cause.line


def test_what_caught_a_missing_key_may_say_what_that_means():
    own = "/opt/airflow/dags/rates.py"
    log = failed(
        stack("RateMissing", "the feed has no rates for 2023-11-14, the newest is of 2023-11-10", own),
        stack("KeyError", "'2023-11-14'", own, is_cause=True),
    )
    assert read(log).cause.line.startswith("RateMissing: the feed has no rates")


def test_of_a_java_stack_trace_the_deepest_cause_is_the_cause():
    rows = ['Exception in thread "main" org.apache.spark.SparkException: Job aborted', "\tat a.B.c(B.java:1)"]
    rows += ["Caused by: org.apache.spark.SparkException: Task failed", "\tat a.B.d(B.java:2)", "\t... 3 more"]
    rows += ["Caused by: java.io.FileNotFoundException: /data/x.parquet", "\tat a.B.e(B.java:3)"]
    text = said("spark_submit.py:521", *rows) + wrapped("Cannot execute: spark-submit. Error code is: 1.")
    assert read(text).cause.exception == "java.io.FileNotFoundException"


def test_an_empty_log_has_an_empty_cause():
    assert read("").cause.line == ""


# --- far, large, hostile ---------------------------------------------------------------------------------------------


def test_nothing_selected_renders_as_nothing():
    assert render(distill([]), redact=str, max_chars=500) == ""


def noise(lines: int) -> str:
    return "".join(said("batch.py:118", f"batch {i}: wrote {i * 7} rows, errors=0") for i in range(lines))


@pytest.mark.parametrize("before", [0, 3_000, 30_000])
@pytest.mark.parametrize("after", [0, 9_000])
def test_the_only_exception_is_found_however_far_from_the_end(before, after):
    text = noise(before) + said(
        "x.py:1", "Traceback (most recent call last):", '  File "/opt/dags/x.py", line 1, in f', "KeyError: 'planted'"
    )
    distilled = read(text + noise(after), max_chars=4_000)
    assert distilled.cause.line == "KeyError: 'planted'"
    assert "KeyError: 'planted'" in distilled.text


def test_the_text_never_passes_the_budget_and_marks_what_it_leaves_out():
    distilled = read(noise(5_000) + CHAINED, max_chars=1_500)
    assert len(distilled.text) <= 1_500
    assert "lines left out (L" in distilled.text
    assert "read_log start=" in distilled.text
    assert 'column "amont" does not exist' in distilled.text
    assert distilled.lines == 5_000 + CHAINED.count("\n")


@pytest.mark.parametrize("max_chars", [500, 700, 1_500, 4_000, 16_000])
def test_the_cause_is_shown_among_hundreds_of_handled_errors_however_small_the_budget(max_chars):
    handled = said("a.py:1", "page 7 failed, will retry", level="WARNING") + "Traceback (most recent call last):\n"
    handled += '  File "/usr/lib/python3.11/x.py", line 1, in f\nConnectionResetError: [Errno 104] reset\n'
    text = "".join(handled + noise(40) for _ in range(150)) + wrapped("out of stock")
    shown = render(read(text), redact=str, max_chars=max_chars)
    assert "AirflowException: out of stock" in shown
    assert len(shown) <= max_chars


@pytest.mark.parametrize("max_chars", [500, 4_000, 16_000])
def test_a_message_of_a_thousand_lines_does_not_push_its_headline_out(max_chars):
    message = "planted_cause: loader rejected rows\n" + "\n".join(f"row {i} rejected" for i in range(1_000))
    shown = render(read(failed(stack("LoadError", message, "/opt/dags/x.py"))), redact=str, max_chars=max_chars)
    assert "LoadError: planted_cause: loader rejected rows" in shown


def test_an_event_nested_without_end_is_no_crash():
    deep = '{"event":"Task failed with exception","level":"error","error_detail":' + "[" * 50_000 + "}\n"
    assert "KeyError" in read(deep + failed(stack("KeyError", "'x'", "/opt/dags/x.py"))).text


def test_the_part_of_a_long_line_that_states_the_error_is_the_cause():
    assert read("start\n" + "y" * 60_000 + " ValueError: planted at the end\n").cause.line == "ValueError: planted at the end"


def test_a_group_s_member_that_misses_a_key_is_the_cause():
    member = [stack("KeyError", "'page_token'", "/opt/dags/x.py")]
    group = stack("ExceptionGroup", "unhandled errors in a TaskGroup (1 sub-exception)", "/opt/dags/x.py", exceptions=[member])
    assert read(failed(group)).cause.line == "KeyError: 'page_token'"


@pytest.mark.parametrize("said_first", ["", "worker 3 failed:\n"])
def test_a_traceback_that_a_message_quotes_is_read_to_its_cause(said_first):
    quoted = "Traceback (most recent call last):\n  File \"/opt/w.py\", line 3, in f\n    g()\nKeyError: 'real_cause'"
    log = failed(stack("RuntimeError", said_first + quoted, "/opt/dags/x.py"))
    assert read(log).cause.line == "KeyError: 'real_cause'"


def test_no_bytes_crash_it():
    chance = random.Random(7)
    words = [
        *(
            b"Traceback (most recent call last):",
            b"\n",
            b'  File "x", line 1, in f',
            b'{"event": 1}',
            b"\xff\xfe",
            b"Error: ",
            b"\r",
            b"  |",
        ),
        b'{"event":"Task failed with exception","error_detail":[{"exc_type":1,"frames":[{}]}]}',
        *(b"The above exception was the direct cause of", b"{", b"[2024-05-19T12:00:00.000+0000] {a.py:1} ERROR - ", b"\x1b[0m"),
        *(b"Killed", b"Database Error in model x", b"\tat a.b"),
    ]
    for _ in range(300):
        raw = b"".join(chance.choice(words) for _ in range(chance.randrange(60)))
        distilled = distill(raw.splitlines(keepends=True), max_chars=500)
        assert len(distilled.text) <= 500


def test_a_line_of_many_megabytes_is_cut_with_a_mark(tmp_path):
    path = tmp_path / "wide.log"
    path.write_bytes(b"x" * (LINE_BYTES + 5_000_000) + b"\n" + wrapped("real").encode())
    with path.open("rb") as stream:
        distilled = distill(read_lines(stream), max_chars=2_000)
    assert distilled.cause.message == "real"
    assert distilled.lines == 1 + wrapped("real").count("\n")
    assert "left out" in rows(1, b"y" * 200_000)[0].text


def test_what_is_rendered_was_redacted_before_it_was_cut():
    text = said("subprocess.py:93", "ERROR: token abcdef refused") + wrapped()
    shown = render(read(text), redact=lambda t: t.replace("abcdef", "***"), max_chars=400)
    assert "token *** refused" in shown
    assert len(shown) <= 400


def test_repeated_lines_are_folded_with_their_count():
    text = said("subprocess.py:93", *(f"ERROR: row {i} refused" for i in range(30))) + wrapped()
    shown = read(text).text
    assert "more like it" in shown
    assert shown.count("refused") < 5


# --- read_log --------------------------------------------------------------------------------------------------------


def grep(text: str, **options: object) -> list[tuple[int, str]]:
    settings = {"pattern": None, "around": 0, "start": None, "end": None, "max_chars": 10_000, **options}
    return grep_lines(text.encode().splitlines(keepends=True), **settings)  # type: ignore[arg-type]


def test_grep_gives_matches_with_the_lines_around_them():
    assert grep("a\nb\nc\nd\ne\n", pattern="c", around=1) == [(2, "b"), (3, "c"), (4, "d")]


def test_a_range_of_lines_is_given_whole():
    assert grep("a\nb\nc\nd\n", start=2, end=3) == [(2, "b"), (3, "c")]


def test_an_event_shows_as_text_with_its_traceback_under_its_own_number():
    shown = grep(event("loading") + failed(stack("KeyError", "'a'", "/opt/airflow/dags/shop.py")), pattern="KeyError")
    assert shown == [
        (2, "Task failed with exception"),
        (2, '  File "/opt/airflow/dags/shop.py", line 1, in f0'),
        (2, "KeyError: 'a'"),
    ]


def test_too_large_an_answer_says_how_to_narrow():
    with pytest.raises(ValueError, match="narrow it with grep"):
        grep("x" * 500 + "\n", max_chars=100)


def test_a_bad_pattern_is_named():
    with pytest.raises(ValueError, match="no regular expression"):
        grep("a\n", pattern="(")
