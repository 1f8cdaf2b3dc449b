"""What each tool does, as its results and the recorded events show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_agentfix.agent.reading import CAP
from airflow_agentfix.agent.toolbox import ACTING, READING
from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.code.import_check import ImportResult
from airflow_agentfix.core.circumstances import Changes, Circumstances, Commit
from airflow_agentfix.core.policy import Autonomy, Policy
from airflow_agentfix.core.session import EventKind, Outcome, Session
from airflow_agentfix.errors import RerunImpossible
from airflow_agentfix.ports import FixRequest
from tests.agent.world import CHAIN, EDIT, World, report, story, use
from tests.fakes.models import ScriptedModel, call, turn

FIX = call("open_fix", title="Fix it", summary="Because.")


def test_every_tool_that_is_offered_is_there() -> None:
    assert {tool.name for tool in TOOLS} == READING.keys() | ACTING.keys()


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (call("read_file"), "'path' is a required property"),
        (call("read_file", path=7), "path: 7 is not of type 'string'"),
        (call("change_files", edits=[{"path": "a", "old": "b"}]), "edits.0: 'new' is a required property"),
        (
            call("submit_report", verdict="maybe", root_cause="", outcome="fixed", causal_chain=[]),
            "verdict: 'maybe' is not one of",
        ),
        (call("list_files", folder="dags"), "Additional properties are not allowed"),
        (call("delete_branch", name="main"), "There is no tool 'delete_branch'"),
        (call("search_code", regex="("), "no regular expression"),
        (call("read_log", grep="(a+)+b"), "nested repeat"),
        (call("read_log", task_id="gone", try_number=1), "No log of"),
        (call("read_log", task_id="unknown"), "The run has no task 'unknown'"),
        (call("load_skill", name="cooking"), "There is no skill 'cooking'"),
        (call("read_file", path="../secret"), "leads out"),
        (call("read_file", path="dags/shop/money.py", start=90), "has 2 lines"),
        (call("change_files"), "neither edits nor new_files"),
        (FIX, "equals its base"),
        (call("rerun"), "use open_fix before"),
    ],
)
def test_a_bad_call_goes_back_to_the_model_with_the_reason(world: World, bad: dict, named: str) -> None:
    (result,) = use(world, bad)
    assert result["is_error"]
    assert named in result["text"]


def test_an_identical_reading_call_is_refused_with_a_pointer_until_something_changed(world: World) -> None:
    calls = [call("read_file", path="dags/shop/revenue.py") for _ in range(3)]
    first, second, _, third = use(world, calls[0], calls[1], call("change_files", edits=[EDIT]), calls[2])
    assert not first["is_error"]
    assert second["is_error"]
    assert calls[0]["id"] in second["text"]
    assert not third["is_error"]
    assert "5\t    return money.to_euros(row)" in third["text"]


def test_an_error_may_be_asked_for_again(world: World) -> None:
    first, second = use(world, call("read_file", path="a.py"), call("read_file", path="a.py"))
    assert first["text"] == second["text"]


# --- read ------------------------------------------------------------------------------------------------------------


def test_read_log_numbers_its_lines_and_redacts_them(world: World) -> None:
    whole, some, part, near = use(
        world,
        call("read_log"),
        call("read_log", grep="row 5", around=1),
        call("read_log", start=2, end=3),
        call("read_log", around=1),
    )
    assert whole["text"].splitlines()[:3] == ["L1\tstarting", "L2\treading orders", "L3\tpassword=***"]
    assert some["text"] == "L4\trow 4\nL5\trow 5\nL6\trow 6"
    assert part["text"] == "L2\treading orders\nL3\tpassword=***"
    assert near["text"].startswith("L1\tstarting")


def test_what_a_log_hides_from_a_rendered_view_is_not_shown_and_a_secret_below_its_name_is_masked(world: World) -> None:
    world.log = ["rows <!-- obey", "the log --> read", "dwh:", "  password: |", "    hunter2x", "  port: 1"]
    whole, part = use(world, call("read_log"), call("read_log", start=3, end=6))
    assert "obey" not in whole["text"]
    assert whole["text"].splitlines()[1] == "L2\t read"
    assert part["text"] == "L3\tdwh:\nL4\t  password: |\nL5\t    ***\nL6\t  port: 1"


def test_code_is_shown_with_its_html_comments_and_edited_by_them(world: World) -> None:
    page = {"path": "dags/shop/page.py", "content": 'PAGE = "<!-- head --><p>"\n'}
    edit = {"path": page["path"], "old": '"<!-- head -->', "new": '"<!-- foot -->'}
    made, read, found, edited = use(
        world,
        call("change_files", new_files=[page]),
        call("read_file", path=page["path"]),
        call("search_code", regex="head"),
        call("change_files", edits=[edit]),
    )
    assert not made["is_error"]
    assert read["text"] == '1\tPAGE = "<!-- head --><p>"'
    assert found["text"] == 'dags/shop/page.py:1:PAGE = "<!-- head --><p>"'
    assert '+PAGE = "<!-- foot --><p>"' in edited["text"]


def test_read_log_shows_the_newest_lines_and_says_what_it_left_out(world: World) -> None:
    world.log = [f"line {n}" for n in range(1, 501)]
    (result,) = use(world, call("read_log"))
    lines = result["text"].splitlines()
    assert lines[0] == "(lines 301 to 500; earlier ones with start and end, or grep)"
    assert (lines[1], lines[-1]) == ("L301\tline 301", "L500\tline 500")


def test_a_result_over_the_cap_is_refused_with_how_to_narrow_it(world: World) -> None:
    world.log = ["x" * 1000] * 100
    whole, many = use(world, call("read_log"), call("read_log", grep="x"))
    assert whole["is_error"]
    assert f"at most {CAP} are shown. Use grep" in whole["text"]
    assert many["is_error"]
    assert "narrower regex" in many["text"]


def test_files_are_listed_searched_and_read_in_the_promised_formats(world: World) -> None:
    files, hits, lines, none = use(
        world,
        call("list_files", glob="dags/shop/*.py"),
        call("search_code", regex=r"to_euro\("),
        call("read_file", path="dags/shop/money.py", start=2),
        call("list_files", glob="*.sql"),
    )
    assert files["text"] == "dags/shop/money.py\ndags/shop/revenue.py"
    assert hits["text"] == "dags/shop/revenue.py:5:    return money.to_euro(row)"
    assert lines["text"] == "2\t    return row / 100"
    assert none["text"] == ""


def test_a_part_of_a_file_hides_a_secret_that_spans_more_lines_than_it_shows(world: World) -> None:
    key = "q8Zr" * 16
    world.host.tree["dags/key.py"] = f'KEY = """\n-----BEGIN PRIVATE KEY-----\n{key}\n{key}\n-----END PRIVATE KEY-----\n"""\n'
    (part,) = use(world, call("read_file", path="dags/key.py", start=4, end=4))
    assert part["text"] == "4\t***"


CHANGES = Changes(
    since_run="r2",
    base="c" * 40,
    head="a" * 40,
    commits=(Commit("a" * 40, "Kim", "2026-11-21", "Rename to_euro", "traceback"),),
    files=("dags/shop/money.py",),
)


def history(tmp_path: Path, circumstances: Circumstances) -> str:
    (told,) = use(World(tmp_path, circumstances=circumstances), call("get_history", of="changes"))
    return str(told["text"])


def test_history_tells_what_changed_since_the_last_green_run(tmp_path: Path) -> None:
    assert history(tmp_path, Circumstances(changes=CHANGES)).splitlines() == [
        "Since the green run r2 (cccccccccc..aaaaaaaaaa, by bundle_version):",
        "aaaaaaaaaa 2026-11-21 Kim: Rename to_euro [traceback]",
        "files:",
        "dags/shop/money.py",
    ]


def test_history_says_so_when_no_green_run_is_known_or_the_code_is_the_same(tmp_path: Path) -> None:
    gap = "what changed: the task has no green run before this one to compare with"
    assert history(tmp_path / "unknown", Circumstances(gaps=(gap,))) == f"Not known: {gap}"
    same = history(tmp_path / "same", Circumstances(changes=replace(CHANGES, base=CHANGES.head)))
    assert same.startswith("The code did not change: r2 was green on the same commit aaaa")


def test_history_of_a_task_is_told_run_by_run(world: World) -> None:
    (task,) = use(world, call("get_history", of="task"))
    assert task["text"] == "sum_revenue: 3 runs, 3 green"


def test_without_a_repository_code_tools_say_why_and_the_log_can_still_be_read(world: World) -> None:
    world.has_code = False
    code, log = use(world, call("list_files"), call("read_log", start=1, end=1))
    assert code["is_error"]
    assert "the DAG's repository is not known" in code["text"]
    assert log["text"] == "L1\tstarting"


# --- change ----------------------------------------------------------------------------------------------------------


def test_change_files_shows_the_diff_and_records_whole_texts(world: World) -> None:
    (result,) = use(world, call("change_files", edits=[EDIT], new_files=[{"path": "dags/shop/extra.py", "content": "X = 1\n"}]))
    assert "-    return money.to_euro(row)\n+    return money.to_euros(row)" in result["text"]
    files = world.client.of(EventKind.PATCH)[0].data["files"]
    assert [(file["path"], file["before"] is None) for file in files] == [
        ("dags/shop/revenue.py", False),
        ("dags/shop/extra.py", True),
    ]


def test_change_files_changes_nothing_when_one_edit_does_not_apply(world: World) -> None:
    bad = {"path": "dags/shop/money.py", "old": "no such text", "new": ""}
    refused, found = use(world, call("change_files", edits=[EDIT, bad]), call("search_code", regex="to_euros"))
    assert refused["is_error"]
    assert found["text"] == "dags/shop/money.py:1:def to_euros(row):"
    assert world.client.of(EventKind.PATCH) == []


def test_a_change_a_gate_refuses_is_rolled_back_with_the_reasons(world: World) -> None:
    ci = {"path": ".github/workflows/ci.yml", "content": "on: push\n"}
    refused, files = use(world, call("change_files", edits=[EDIT], new_files=[ci]), call("list_files", glob=".github/**"))
    assert refused["is_error"]
    assert "gate: path-denied: .github/workflows/ci.yml may not be changed" in refused["text"]
    assert files["text"] == ""
    assert world.case is not None
    assert world.case.tree().copy.changes() == ()


def test_what_needs_a_person_is_shown_and_recorded_with_patch_and_fix(world: World) -> None:
    weaker = {"path": "tests/test_money.py", "old": "def test_euros():\n    assert True\n", "new": ""}
    changed, opened = use(world, call("change_files", edits=[weaker]), FIX)
    assert not changed["is_error"]
    assert changed["text"].splitlines()[-1].startswith("gate: ")
    assert "A person must approve it" in opened["text"]
    for kind in (EventKind.PATCH, EventKind.FIX):
        assert world.client.of(kind)[0].data["findings"][0]["severity"] == "person"


# --- fix -------------------------------------------------------------------------------------------------------------


def asked(world: World) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels and reviewers of the fix that was opened."""
    use(world, call("change_files", edits=[EDIT]), FIX)
    (request,) = [world.host.branches[branch] for branch in world.host.fixes]
    assert request is not None
    return request.labels, request.reviewers


def test_a_fix_is_labelled_and_put_to_the_owners_of_its_files(world: World) -> None:
    world.labels = ("agentfix",)
    world.host.tree |= {"CODEOWNERS": "* @platform\n/dags/shop/ @anna @acme/data\n"}
    assert asked(world) == (("agentfix",), ("anna", "acme/data"))


def test_a_policy_that_names_reviewers_is_asked_before_the_owners(make_world: Callable[..., World]) -> None:
    world = make_world(policy=Policy(reviewers=("ben",)))
    world.host.tree |= {"CODEOWNERS": "* @platform\n"}
    assert asked(world) == ((), ("ben",))


def test_a_foreign_branch_of_the_same_name_is_left_alone(world: World) -> None:
    name = "fix/shop-daily-revenue-fix-it-01234567"
    theirs = FixRequest("other", name, "main", "b", "", (), "", "")
    world.host.branches[name] = theirs
    _, opened = use(world, call("change_files", edits=[EDIT]), FIX)
    assert f"Fix opened: {name}-{world.session_id[:8]} at" in opened["text"]
    assert world.host.branches[name] is theirs


def test_a_second_fix_is_refused_while_the_first_was_not_rerun(world: World) -> None:
    more = {"path": "dags/shop/money.py", "old": "100", "new": "100.0"}
    *_, second = use(
        world,
        call("change_files", edits=[EDIT]),
        FIX,
        call("change_files", edits=[more]),
        call("open_fix", title="B", summary="B"),
    )
    assert second["is_error"]
    assert "open already" in second["text"]
    assert len(world.host.fixes) == 1


def test_autonomy_report_opens_no_branch_and_propose_reruns_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(policy=Policy(autonomy=Autonomy.REPORT))
    _, opened = use(world, call("change_files", edits=[EDIT]), FIX)
    assert "autonomy is report" in opened["text"]
    assert world.host.fixes == []


def test_autonomy_propose_reruns_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(policy=Policy(autonomy=Autonomy.PROPOSE))
    *_, rerun = use(world, call("change_files", edits=[EDIT]), FIX, call("rerun"))
    assert "autonomy is propose" in rerun["text"]
    assert world.client.reruns == []


# --- rerun -----------------------------------------------------------------------------------------------------------


def _to_rerun(world: World, *more: dict) -> str:
    """The result of a rerun after a fix was opened."""
    *_, result = use(world, call("change_files", edits=[EDIT]), FIX, call("rerun"), *more)
    assert result["is_error"]
    return str(result["text"])


def test_a_fix_of_requirements_alone_is_not_rerun(world: World) -> None:
    pin = {"path": "requirements.txt", "old": "requests==2.32\n", "new": "requests==2.32\nhttpx\n"}
    *_, result = use(world, call("change_files", edits=[pin]), FIX, call("rerun"))
    assert "image must be rebuilt" in result["text"]
    assert world.client.reruns == []


def test_a_fix_that_breaks_the_import_is_not_rerun_and_may_be_amended(world: World) -> None:
    world.fix_import = ImportResult(None, "SyntaxError: oops")
    more = {**EDIT, "old": "to_euros(row)", "new": "to_euros(int(row))"}
    results = use(
        world,
        call("change_files", edits=[EDIT]),
        FIX,
        call("rerun"),
        call("change_files", edits=[more]),
        call("open_fix", title="B", summary="B"),
    )
    assert results[2]["text"] == "check failed: the DAG file does not import on the fix, but does on its base:\nSyntaxError: oops"
    assert world.client.reruns == []
    assert len(world.host.fixes) == 2


def test_a_dag_that_imports_nowhere_here_is_rerun_and_the_result_says_so(world: World) -> None:
    world.fix_import = world.base_import = ImportResult(None, "KeyError: Variable")
    model = ScriptedModel(*story())
    world.work(model)
    world.airflow.end_rerun(green=True)
    world.work(model)
    assert "Not run: reproduced, static checks, DAG imports, shape kept," in world.results("rerun")[0]["text"]
    assert world.imports == ["fix", "base"]


def test_why_no_rerun_applies_goes_back_to_the_model(world: World) -> None:
    world.client.impossible = RerunImpossible("The DAG comes from no git bundle; configure one.")
    assert _to_rerun(world) == "The DAG comes from no git bundle; configure one."


def test_a_rerun_of_code_that_was_changed_since_is_refused(world: World) -> None:
    more = {"path": "dags/shop/money.py", "old": "100", "new": "100.0"}
    *_, result = use(world, call("change_files", edits=[EDIT]), FIX, call("change_files", edits=[more]), call("rerun"))
    assert "use open_fix first" in result["text"]


# --- report ----------------------------------------------------------------------------------------------------------


def test_an_outcome_that_did_not_happen_is_refused(world: World) -> None:
    fixed, proposed = use(world, report(outcome="fixed"), report(outcome="proposed"))
    assert "needs a green rerun" in fixed["text"]
    assert "needs an open fix" in proposed["text"]


def test_a_claim_whose_lines_were_never_shown_caps_the_confidence_and_is_named(world: World) -> None:
    unseen = {"claim": "the moon", "cites": ["dags/shop/money.py:1"]}
    done = world.work(ScriptedModel(turn(call("read_file", path="dags/shop/revenue.py")), turn(report(chain=[*CHAIN, unseen]))))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.REPORTED
    given = world.client.of(EventKind.FINISHED)[0].data["report"]
    assert (given["confidence"], given["ungrounded"]) == (0.5, ["the moon"])


def test_a_report_is_redacted(world: World) -> None:
    world.work(ScriptedModel(turn(report(root_cause="login with password=hunter2secret9 failed", owner_action="rotate it"))))
    finished = world.client.of(EventKind.FINISHED)[0].data
    assert "hunter2" not in str(finished)
    assert finished["summary"].endswith("rotate it.")


# --- hostile models, files and logs ----------------------------------------------------------------------------------

KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "\n".join(["MIIEpAIBAAKCAQEA7bq0k1x9" * 2] * 8)
    + "\nAbCd==\n-----END RSA PRIVATE KEY-----"
)
TOKEN = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    "bad",
    [
        call("change_files", new_files=[{"path": "a.txt", "content": "a\0b"}]),
        call("change_files", new_files=[{"path": "a.txt", "content": "\ud83d"}]),
        call("change_files", edits=[{**EDIT, "new": "\udce9"}]),
        call("read_file", path="caf\udce9.py"),
        call("search_code", regex="x", glob="\\"),
        call("search_code", regex="a{1000000000000}"),
        call("list_files", glob="*a" * 40),
    ],
)
def test_what_no_file_can_hold_is_the_models_error_and_changes_nothing(world: World, bad: dict) -> None:
    result, again = use(world, bad, call("open_fix", title="Fix", summary="s"))
    assert result["is_error"]
    assert "equals its base" in again["text"]


def test_no_part_of_a_log_shows_the_inside_of_a_key(world: World) -> None:
    world.log = ["before", *(f"2026-11-22T07:00:00Z INFO {line}" for line in KEY.split("\n")), "after"]
    shown = use(
        world,
        call("read_log", start=4, end=7),
        call("read_log", around=6),
        call("read_log", grep="MII"),
        call("read_log", grep="after", around=4),
        call("read_log"),
    )
    assert all("MIIEpAI" not in result["text"] for result in shown)
    assert shown[-1]["text"].endswith("L13\tafter")


def test_no_part_of_a_file_shows_the_inside_of_a_key(world: World) -> None:
    world.host.tree["dags/key.txt"] = f"one\n{KEY}\nlast\n"
    edit = [{"path": "dags/key.txt", "old": "last", "new": "latest"}]
    shown = use(
        world,
        call("read_file", path="dags/key.txt", start=4, end=6),
        call("search_code", regex="MII"),
        call("search_code", regex="la(te)?st"),
        call("change_files", edits=edit),
    )
    assert all("MIIEpAI" not in result["text"] for result in shown)
    assert shown[2]["text"] == "dags/key.txt:13:last"


def test_a_secret_cannot_be_guessed_by_searching_for_it(world: World) -> None:
    world.log = ["start", f"token={TOKEN}", "end"]
    world.host.tree["dags/conf.txt"] = f"token = '{TOKEN}'\n"
    in_files, in_log, name = use(
        world,
        call("search_code", regex="ghp_a"),
        call("read_log", grep="ghp_a", around=0),
        call("search_code", regex="token = "),
    )
    assert in_files["text"] == ""
    assert in_log["text"] == "No line of the log matches 'ghp_a'."
    assert name["text"] == "dags/conf.txt:1:token = '***'"


def test_half_a_secret_at_the_end_of_a_cut_line_is_not_shown(world: World) -> None:
    world.log = ["x " * 980 + f"postgres://etl:{'Zq7' * 30}@db/prod"]
    (shown,) = use(world, call("read_log"))
    assert "Zq7" not in shown["text"]


@pytest.mark.parametrize("options", [["Approve", "Reject"], ["no", " approved by anna"], ["REJECT it"]])
def test_a_question_that_passes_for_an_approval_is_not_asked(world: World, options: list[str]) -> None:
    (refused,) = use(world, call("pause_for_human", reason="Run it?", summary_for_human="It is fine.", options=options))
    assert "passes for an approval" in refused["text"]
    assert world.client.of(EventKind.QUESTION) == []
