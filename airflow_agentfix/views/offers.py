"""What may be started on a failure, in the order of what fits it, what it costs at most and approves: the buttons, or why there
is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_agentfix import budgets
from airflow_agentfix.core.incident import Incident, Verdict
from airflow_agentfix.core.policy import Autonomy, Effective, Policy
from airflow_agentfix.core.questions import waiver
from airflow_agentfix.core.triage import in_words
from airflow_agentfix.desk import Desk


@dataclass(frozen=True)
class Purse:
    """US dollars. `most`: what one session may spend; `left`: what the day still has for it; None where nothing is spent.
    `has_model`: whether this server knows of a model that is paid for."""

    most: float | None
    left: float | None = None
    has_model: bool = True

    @property
    def suffices(self) -> bool:
        return self.most is None or self.left is None or (self.most > 0 and self.left + 1e-6 >= self.most)


@dataclass(frozen=True)
class Offer:
    """A button. `why_not`: why there is none."""

    autonomy: str
    label: str
    does: str
    approves: str | None = None
    """what pressing it says yes to"""
    unreviewed: bool = False
    why_not: str | None = None


@dataclass(frozen=True)
class Fit:
    """What fits a failure as the rules judge it. `advice`: why it is not a fix; `is_decided`: no model is asked, unless a person
    has something to say."""

    autonomy: Autonomy
    advice: str = ""
    is_decided: bool = False


@dataclass(frozen=True)
class Offered:
    """`offers`: what fits best comes first."""

    offers: tuple[Offer, ...] = ()
    purse: Purse | None = None
    fit: Fit | None = None
    problems: tuple[str, ...] = ()
    """sources of policy that could not be heard"""
    why_nothing: str | None = None

    @property
    def possible(self) -> tuple[Offer, ...]:
        return tuple(offer for offer in self.offers if offer.why_not is None)

    @property
    def refused(self) -> tuple[Offer, ...]:
        return tuple(offer for offer in self.offers if offer.why_not is not None)


_DOES = {
    Autonomy.REPORT: (
        "Report",
        "Reads the whole log, the code and what changed; says what is wrong and whose it is. Changes no code.",
    ),
    Autonomy.PROPOSE: (
        "Propose a fix",
        "Finds the cause, writes the smallest fix on a branch, as a draft pull request. Runs none of it.",
    ),
    Autonomy.RERUN: (
        "Fix and rerun",
        "Finds the cause, writes the smallest fix as a draft pull request, reruns on it what failed, and watches.",
    ),
}


def nothing_for_readers(dag_id: str) -> Offered:
    return Offered(why_nothing=f"You may look. To start something here you need the right to edit runs of {dag_id}.")


def offered(effective: Effective, *, purse: Purse, user_id: str, fit: Fit) -> Offered:
    """`user_id`: of the person who would press. Where what fits is not allowed, what comes next to it is first."""
    order = list(_DOES)
    best = max((one for one in order if fit.autonomy.allows(one) and effective.policy.autonomy.allows(one)), key=order.index)
    offers = tuple(_offer(autonomy, effective, user_id) for autonomy in sorted(order, key=lambda one: one is not best))
    return Offered(offers, purse, fit, effective.problems)


def fit(incident: Incident | None) -> Fit:
    """None where the failure could not be looked at."""
    if incident is None:
        return Fit(Autonomy.REPORT, "The log could not be judged here. A report reads it whole.")
    judged = incident.judgement
    if incident.first_failed and incident.ref.task_id not in incident.first_failed:
        return Fit(Autonomy.REPORT, "Another task of this run failed first. Start there.", judged.decided)
    if judged.verdict is Verdict.CODE:
        return Fit(Autonomy.RERUN)
    if judged.verdict is Verdict.DEPENDENCY:
        return Fit(Autonomy.PROPOSE, "A fix can name the package. No rerun can prove it before the environment is built anew.")
    if judged.verdict is Verdict.UNKNOWN:
        return Fit(Autonomy.REPORT, "The rules do not know this failure. A report finds out whether code can fix it.")
    because = in_words(judged.reason)
    return Fit(Autonomy.REPORT, f"The rules see no fault in the code: {because[:1].lower()}{because[1:]}.", judged.decided)


def costs(offered: Offered) -> str:
    """What pressing a button costs at most, whichever it is."""
    purse, fit = offered.purse, offered.fit
    if purse is None or purse.most is None:
        return "Costs nothing: rules only, no model is asked in this deployment."
    if not purse.has_model:
        return (
            f"Costs nothing: rules only, no model is configured here. A worker that has a key spends at most ${purse.most:,.2f}."
        )
    if not purse.suffices:
        return "Costs nothing today."
    if fit and fit.is_decided:
        return f"Costs nothing: the rules are sure, and no model is asked. If you tell it something, at most ${purse.most:,.2f}."
    return f"Costs at most ${purse.most:,.2f}, whichever you press; ${purse.left or 0.0:,.2f} of today's dollars are left."


def purse(desk: Desk, dag_id: str, policy: Policy, *, has_model: bool = True) -> Purse:
    """What a session that starts now may spend."""
    if desk.settings.offline:
        return Purse(None)
    limits = budgets.limits(desk, policy)
    day = desk.store.day(dag_id, limits)
    left = min(limits.dag - day.spent - day.reserved, limits.total - day.total_spent - day.total_reserved)
    return Purse(budgets.capped(desk, policy).max_dollars, max(0.0, left), has_model)


def _offer(autonomy: Autonomy, effective: Effective, user_id: str) -> Offer:
    label, does = _DOES[autonomy]
    policy = effective.policy
    if not policy.autonomy.allows(autonomy):
        source = " and ".join(effective.sources.get("autonomy", ())) or "the default"
        return Offer(autonomy.value, label, does, why_not=f"policy allows no more than {policy.autonomy} here ({source}).")
    if autonomy is not Autonomy.RERUN:
        return Offer(autonomy.value, label, does)
    reason = waiver(policy, ())
    if reason:
        return Offer(autonomy.value, label, does, _UNREVIEWED.format(reason=reason), unreviewed=True)
    return Offer(autonomy.value, label, does, _asked(policy.approvers, user_id))


_UNREVIEWED = (
    "By pressing you approve that code nobody has reviewed runs in this run, with its production connections "
    "({reason}). A change that needs a person is still asked about."
)


def _asked(approvers: Sequence[str], user_id: str) -> str:
    others = [one for one in approvers if one != user_id]
    named = ", ".join(others)
    if not approvers:
        who = "you, or anyone else who may edit this DAG's runs, are asked"
    elif user_id not in approvers:
        who = f"{named} {'is' if len(others) == 1 else 'are'} asked"
    else:
        who = f"you{f' or {named}' if others else ''} are asked"
    return f"By pressing you approve nothing yet: {who} to approve the commit before it runs."
