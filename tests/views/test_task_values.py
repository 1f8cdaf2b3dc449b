"""What the tab of a task instance tells, as values: verdict, picture, plot, offers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_agentfix.core.circumstances import AssetFacts, Circumstances, EarlierRuns, Lineage
from airflow_agentfix.core.incident import Frame, Incident, Judgement, RootCause, TaskFacts, Verdict
from airflow_agentfix.core.log_look import LogLook
from airflow_agentfix.core.policy import Autonomy, Layer, combine
from airflow_agentfix.inspections import Inspection
from airflow_agentfix.views import durations, lineage, offers, verdict
from airflow_agentfix.views.certainty import certainty
from airflow_agentfix.views.offers import Purse
from tests.fakes.incidents import REF, an_incident

SECRET = "ghp_" + "b" * 36


def told(incident: Incident, log: LogLook | None = None) -> verdict.Told:
    return verdict.told(Inspection(incident, log or LogLook()), ())


# --- the verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Verdict)
def test_every_verdict_has_a_title_and_says_whose_it_is(kind: Verdict) -> None:
    found = told(an_incident(judgement=Judgement(kind, 0.6, "r")))
    assert found.title
    assert found.whose


@pytest.mark.parametrize(("confidence", "word"), [(1.0, "almost certain"), (0.8, "likely"), (0.5, "perhaps"), (0.2, "a guess")])
def test_confidence_is_told_in_words(confidence: float, word: str) -> None:
    sure = told(an_incident(judgement=Judgement(Verdict.CODE, confidence, "r"))).sure
    assert (sure.word, sure.figure) == (word, f"{confidence:.0%}".replace("%", " %")) if sure else False


@pytest.mark.parametrize("odd", [None, "0.9", -0.1, 1.1, float("nan"), {}])
def test_what_is_no_confidence_is_told_in_no_words(odd: object) -> None:
    assert certainty(odd) is None


def test_a_file_is_called_as_in_the_bundle_whichever_version_ran() -> None:
    place = told(an_incident()).places[0]
    assert (place.file, place.line, place.function) == ("dags/shop/revenue.py", 15, "by_country")


def test_the_innermost_frames_come_first_and_the_others_are_counted() -> None:
    frames = tuple(Frame(f"/d/f{number}.py", number, "f", True) for number in range(10))
    found = told(an_incident(cause=RootCause("E", "", frames=frames)))
    assert [place.line for place in found.places] == [9, 8, 7, 6, 5, 4]
    assert found.more_places == 4


def test_file_and_function_of_a_frame_are_redacted() -> None:
    frames = (Frame(f"/d/{SECRET}.py", 1, f"f_{SECRET}", True),)
    assert SECRET not in repr(told(an_incident(cause=RootCause("E", "", frames=frames))))


def test_the_log_starts_a_few_lines_before_the_first_that_counts() -> None:
    context = tuple((number, f"line {number}") for number in range(1, 12))
    cause = RootCause("E", "", context=context)
    found = told(an_incident(cause=cause, judgement=Judgement(Verdict.CODE, 0.6, "r", ("L9", "L10"))))
    assert [(line.label, line.rests) for line in found.lines] == [
        ("6", False), ("7", False), ("8", False), ("9", True), ("10", True), ("11", False)
    ]  # fmt: skip


def test_what_airflow_folds_away_and_where_a_worker_keeps_a_bundle_is_left_out_of_the_log() -> None:
    file = 'File "/opt/airflow/bundles/shop/versions/40cd1e12/dags/shop.py", line 3'
    context = ((7, "Filling up the DagBag"), (8, "::endgroup::"), (9, "2 rows"), (10, file), (10, "KeyError: 1"))
    cause = RootCause("KeyError: 1", "", context=context)
    found = told(an_incident(cause=cause, judgement=Judgement(Verdict.CODE, 0.6, "r", ("L10",))))
    assert [line.text for line in found.lines] == ["2 rows", 'File "dags/shop.py", line 3', "KeyError: 1"]


def test_lines_behind_what_was_not_read_are_counted_from_the_end() -> None:
    look = LogLook(size=5_000_000_000, before_gap=100, lines=300)
    cause = RootCause("E", "", context=((99, "a"), (300, "b"), (299, "c")))
    found = told(an_incident(cause=cause, judgement=Judgement(Verdict.CODE, 0.6, "r")), look)
    assert [line.label for line in found.lines] == ["99", "-1", "-2"]
    assert found.log is not None
    assert found.log.startswith("Of 5.0 GB of log the first and last 2 MB were read")


def test_a_log_that_did_not_come_in_time_is_said_to_be() -> None:
    assert "did not come in time" in (told(an_incident(), LogLook(out_of_time=True)).log or "")
    assert told(an_incident()).log is None


def test_who_failed_before_it_is_named() -> None:
    assert told(an_incident(first_failed=("extract",))).blame == ("extract",)
    assert told(an_incident()).blame == ()


def test_the_owner_that_the_dag_names_is_named_and_the_default_is_none() -> None:
    dag = an_incident().dag
    assert told(an_incident(dag=replace(dag, owners=("ann", "ben")))).whose.endswith("(the DAG's owner: ann, ben)")
    infra = an_incident(dag=replace(dag, owners=("ann",)), judgement=Judgement(Verdict.INFRA, 0.9, "r"))
    assert told(infra).whose.endswith(". The DAG's owner, who waits for it: ann"), "who is asked to act is somebody else"
    assert "airflow" not in told(an_incident(dag=replace(dag, owners=("airflow",)))).whose


def test_how_many_indexes_failed_is_told() -> None:
    earlier = Circumstances(earlier=EarlierRuns(mapped=115, mapped_failed=3))
    assert told(an_incident(circumstances=earlier)).mapped == "3 of 115 instances of this mapped task failed in this run."


# --- the picture ------------------------------------------------------------------------------------------------------


def test_a_picture_shows_what_is_missing_and_who_waits_for_it() -> None:
    orders = AssetFacts("orders", "s3://o", "2026-11-20T00:00:00Z", producers=((REF.dag_id, "load"), ("hidden", "x")))
    lines = Lineage(inlets=(AssetFacts("raw"),), outlets=(orders,), stale=("a", "hidden", "b", "hidden2"))
    incident = an_incident(circumstances=Circumstances(lineage=lines, gaps=("assets: no right", "what changed: x")))
    shown = lineage.picture(incident, may_read=lambda dag_id: "hidden" not in dag_id)
    assert (shown.stale, shown.hidden) == (("a", "b"), 2)
    assert shown.updates[0].by == (f"{REF.dag_id} / load",)
    assert shown.gaps == ("assets: no right",)
    assert "hidden" not in repr(shown).replace("hidden=2", "")


def test_rights_are_asked_for_a_bounded_number_of_dags() -> None:
    asked: list[str] = []
    lines = Lineage(stale=tuple(f"dag{number}" for number in range(1000)))
    shown = lineage.picture(
        an_incident(circumstances=Circumstances(lineage=lines)), may_read=lambda dag_id: asked.append(dag_id) is None
    )
    assert len(asked) == lineage.ASKED_ABOUT
    assert len(shown.stale) + shown.hidden == 1000


def test_a_task_without_data_has_an_empty_picture() -> None:
    assert lineage.picture(an_incident(victims=()), may_read=lambda _: True).is_empty


# --- the plot ---------------------------------------------------------------------------------------------------------


def run(run_id: str, duration: float | None, state: str | None = "success") -> tuple[str, TaskFacts]:
    return run_id, TaskFacts("t", -1, 1, state, duration=duration)


def test_bars_are_the_oldest_first_and_as_high_as_the_runs_took() -> None:
    plot = durations.plot([run("new", 10.0, "failed"), run("old", 5.0)], this="new")
    assert [(bar.run_id, bar.height, bar.tone, bar.is_this) for bar in plot.bars] == [
        ("old", durations.HEIGHT / 2, "good", False), ("new", durations.HEIGHT, "bad", True)
    ]  # fmt: skip
    assert plot.said == (
        "In its newest 2 runs the task failed once. It usually takes 5.0 s (5.0 s to 5.0 s); this one took 10 s, "
        "2.0\N{MULTIPLICATION SIGN} slower than usual."
    )


@pytest.mark.parametrize("history", [[], [run("only", None, None)], [run("a", 0.0), run("b", None, "failed")]])
def test_runs_without_a_duration_are_drawn_all_the_same(history: durations.History) -> None:
    plot = durations.plot(history, this="only")
    assert len(plot.bars) == len(history)
    assert plot.said


# --- the offers -------------------------------------------------------------------------------------------------------


def offered(*layers: Layer, user_id: str = "anna", purse: Purse | None = None) -> offers.Offered:
    fit = offers.Fit(Autonomy.RERUN)
    return offers.offered(combine(layers), purse=purse or Purse(5.0, 50.0), user_id=user_id, fit=fit)


@pytest.mark.parametrize(("autonomy", "number"), list(zip(Autonomy, (1, 2, 3, 3), strict=True)))
def test_only_what_policy_allows_is_offered(autonomy: Autonomy, number: int) -> None:
    found = offered(Layer("x", autonomy=autonomy))
    assert len(found.possible) == number
    assert all(offer.why_not and "x" in offer.why_not for offer in found.refused)


@pytest.mark.parametrize(
    "layer", [Layer("x", allow_unreviewed_reruns=True), Layer("x", approve_before=())], ids=["waived", "not named"]
)
def test_code_that_nobody_reviews_is_what_the_button_that_reruns_says_yes_to(layer: Layer) -> None:
    (rerun,) = (offer for offer in offered(layer).possible if offer.autonomy == "rerun")
    assert rerun.unreviewed
    assert "nobody has reviewed runs in this run, with its production connections" in (rerun.approves or "")


@pytest.mark.parametrize(
    ("kind", "allowed", "first"),
    [
        (Verdict.CODE, Autonomy.RECOVER, "rerun"),
        (Verdict.CODE, Autonomy.PROPOSE, "propose"),
        (Verdict.CODE, Autonomy.REPORT, "report"),
        (Verdict.DEPENDENCY, Autonomy.RERUN, "propose"),
        (Verdict.DATA, Autonomy.RERUN, "report"),
        (Verdict.CONFIG, Autonomy.RERUN, "report"),
        (Verdict.INFRA, Autonomy.RERUN, "report"),
        (Verdict.UNKNOWN, Autonomy.RERUN, "report"),
    ],
)
def test_what_fits_the_verdict_and_policy_allows_comes_first(kind: Verdict, allowed: Autonomy, first: str) -> None:
    fit = offers.fit(an_incident(judgement=Judgement(kind, 0.8, "data test failed: a data test failed (X)")))
    found = offers.offered(combine([Layer("x", autonomy=allowed)]), purse=Purse(5.0, 50.0), user_id="anna", fit=fit)
    assert found.offers[0].autonomy == first
    assert found.offers[0].why_not is None
    assert bool(fit.advice) is (kind is not Verdict.CODE)


@pytest.mark.parametrize(
    ("purse", "suffices"), [(Purse(None), True), (Purse(5.0, 5.0), True), (Purse(5.0, 4.99), False), (Purse(0.0, 9.0), False)]
)
def test_the_purse_says_whether_the_day_has_enough(purse: Purse, suffices: bool) -> None:
    assert purse.suffices is suffices
