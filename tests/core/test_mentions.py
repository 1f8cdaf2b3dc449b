"""Which comments are meant for the agent, what they say to it, and which of them a session knows."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_agentfix.core import mentions
from airflow_agentfix.core.mentions import Remark
from airflow_agentfix.core.session import Event, EventKind, Outcome
from airflow_agentfix.markdown import prose

REMARK = Remark("c1", "https://code.example/pull/7#c1", "octocat", "2026-11-22T07:00:00+00:00")
FENCE = "```"


def said(text: str, mention: str = "agentfix") -> str | None:
    return mentions.said(text, prose(text), mention=mention)


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("@agentfix use the gross amount", "use the gross amount"),
        ("@AgentFix: use the gross amount", "use the gross amount"),
        ("@agentfix[bot] again", "again"),
        ("Please @agentfix, name it gross.", "Please name it gross."),
        ("- first\n- @agentfix second", "- first\n- second"),
        ("/agentfix try again", "try again"),
        ("Not like this.\n/agentfix: use gross\nThanks", "Not like this.\nuse gross\nThanks"),
        ("(@agentfix) go on", "() go on"),
        ("> Which column?\n\n@agentfix gross", "> Which column?\n\ngross"),
        (f"@agentfix like this:\n\n{FENCE}python\n@task\ndef load(): ...\n{FENCE}",
         f"like this:\n\n{FENCE}python\n@task\ndef load(): ...\n{FENCE}"),
        ("@agentfix", ""),
    ],
)  # fmt: skip
def test_who_mentions_the_agent_is_heard_without_the_mention(text: str, heard: str) -> None:
    assert said(text) == heard


@pytest.mark.parametrize(
    "text",
    [
        "",
        "use the gross amount",
        "> @agentfix use the gross amount",
        "> what it said\n@agentfix belongs to the quote too, as pages show it",
        "- a list\n  > @agentfix quoted in it",
        f"{FENCE}\n@agentfix use the gross amount\n{FENCE}",
        f"~~~text\n/agentfix go\n{FENCE}\n@agentfix\n~~~",
        "    @agentfix as indented code",
        "write `@agentfix` to call it",
        "write ``` @agentfix ` ``` to call it",
        "one `\n@agentfix over two lines\n` of code",
        "<div>\n@agentfix\n</div>",
        "mail me at octo@agentfix.com",
        "a@agentfix is no mention",
        "@agentfixer and @agentfix-team and @agentfix/team and @agentfix.io",
        "https://code.example/@agentfix",
        "run /agentfix when you are done",
        "/agentfixer go",
        "/agentfix/docs is a path",
    ],
)
def test_what_is_quoted_code_or_another_name_is_not_for_the_agent(text: str) -> None:
    assert said(text) is None


def test_the_name_is_the_deployments() -> None:
    assert said("@dag-doctor look", "dag-doctor") == "look"
    assert said("@agentfix look", "dag-doctor") is None
    assert said("@dag-doctors look", "dag-doctor") is None


@pytest.mark.parametrize("text", ["`" * 60_000, "> " * 30_000 + "@agentfix", "[" * 60_000, "`a" * 30_000, "@agentfix" * 7_000])
@pytest.mark.timeout(20)
def test_a_hostile_comment_costs_little_time(text: str) -> None:
    assert said(text) is None


def test_a_message_is_bounded_and_says_where_the_rest_is_and_what_it_was_written_beside() -> None:
    assert mentions.message("gross", where="dags/shop.py:12", url="u") == "On dags/shop.py:12: gross"
    long = mentions.message("x" * 50_000, where=None, url=REMARK.url)
    assert len(long) == mentions.MOST_CHARS
    assert long.endswith(f"\n[cut: the rest is at {REMARK.url}]")


@pytest.mark.parametrize(("author", "bot"), [("octocat", False), ("dependabot[bot]", True), ("botty", False)])
def test_a_program_is_known_by_its_login(author: str, bot: bool) -> None:
    assert mentions.is_bot(author) is bot


# --- a session's events ----------------------------------------------------------------------------------------------


def events(*kinds: tuple[EventKind, dict[str, Any]]) -> list[Event]:
    return [
        Event(number, kind, REMARK.actor if kind is EventKind.NOTE else "server", f"2026-11-22T07:{number:02}:00+00:00", data)
        for number, (kind, data) in enumerate(kinds, start=1)
    ]


FIX = (EventKind.FIX, {"branch": "fix/a"})
NOTE = (EventKind.NOTE, REMARK.noted("gross", brought_by="triage"))
ENDED = (EventKind.FINISHED, {"outcome": "fixed"})
WAITS = (EventKind.PARKED, {"waiting_for": "person"})
RERUNS = (EventKind.PARKED, {"waiting_for": "rerun"})


def test_a_comment_is_known_by_its_id_and_what_is_asked_for_next_is_what_came_since() -> None:
    before, after = events(FIX, ENDED), events(FIX, ENDED, NOTE)
    assert (mentions.knows(before, "c1"), mentions.seen_until(before)) == (False, "2026-11-22T07:01:00+00:00")
    assert (mentions.knows(after, "c1"), mentions.knows(after, "c2")) == (True, False)
    assert mentions.seen_until(after) == REMARK.at


def test_a_note_that_is_no_comment_hides_none() -> None:
    assert mentions.told(events(FIX, (EventKind.NOTE, {"message": "by hand"}), (EventKind.NOTE, {}))) == []


@pytest.mark.parametrize(
    ("story", "settled"),
    [
        ([FIX, ENDED], False),
        ([FIX, (EventKind.PIN_ENDED, {"reason": "asked"})], False),
        ([FIX, (EventKind.PIN_ENDED, {"reason": "merged"})], True),
        ([FIX, (EventKind.PIN_ENDED, {"reason": "closed"})], True),
        ([FIX, (EventKind.RECOVERY, {"state": "started"})], True),
        ([FIX, (EventKind.PIN_ENDED, {"reason": "closed"}), FIX], False),
        ([(EventKind.FIX, {}), (EventKind.ERASED, {})], True),
    ],
)
def test_what_was_merged_closed_or_erased_is_settled_until_there_is_another_fix(story: Any, settled: bool) -> None:
    assert mentions.is_settled(events(*story)) is settled


@pytest.mark.parametrize(
    ("story", "number"),
    [
        ([FIX], None),
        ([FIX, ENDED], None),
        ([FIX, ENDED, NOTE], 3),
        ([FIX, ENDED, NOTE, NOTE], 4),
        ([FIX, ENDED, NOTE, RERUNS], 3),
        ([FIX, ENDED, NOTE, WAITS], None),
        ([FIX, WAITS, NOTE], 3),
        ([FIX, ENDED, NOTE, WAITS, NOTE], 5),
        ([FIX, NOTE, ENDED], None),
    ],
)
def test_the_newest_comment_is_answered_once_when_the_session_ends_or_waits_for_a_person(story: Any, number: int | None) -> None:
    found = mentions.to_answer(events(*story))
    assert (found.number if found else None) == number


def test_a_comment_that_came_after_the_last_model_call_began_was_not_read() -> None:
    story = events(FIX, NOTE, (EventKind.MODEL, {"after": 1}))
    assert not mentions.was_read(story[1], story)
    assert mentions.was_read(story[1], [*story, Event(4, EventKind.MODEL, "worker", "", {"after": 3})])


def test_what_a_model_wrote_calls_nobody_and_shows_no_picture_in_an_answer() -> None:
    note = events(NOTE)[0]
    evil = f"{FENCE}\n@everyone ![x](https://evil.example) @agentfix again, see #12"
    text = mentions.answer_text(note, mentions.ending(Outcome.FIXED, evil), session_id="s1", page=None, was_read=True)
    assert said(text) is None
    assert "@everyone" not in prose(text)
    assert "evil.example" not in prose(text)
    assert text.startswith(f"@octocat, on [your comment]({REMARK.url}):\n\n{FENCE}text\nfixed: ")
    assert "agentfix show s1" in text


def test_an_answer_links_to_the_run_and_says_where_a_comment_came_too_late() -> None:
    text = mentions.answer_text(events(NOTE)[0], "gave_up: no", session_id="s1", page="https://a/dags/d/runs/r", was_read=False)
    assert "[session `s1`](https://a/dags/d/runs/r)" in text
    assert "before it came to your comment" in text
