"""What may be started on a failure, what each costs at most and approves: the buttons, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_agentfix import budgets
from airflow_agentfix.core.policy import Autonomy, Effective, Policy
from airflow_agentfix.core.questions import waiver
from airflow_agentfix.desk import Desk


@dataclass(frozen=True)
class Purse:
    """US dollars. `most`: what one session may spend; `left`: what the day still has for it; None where nothing is spent."""

    most: float | None
    left: float | None = None

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
class Offered:
    offers: tuple[Offer, ...] = ()
    purse: Purse | None = None
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
    Autonomy.REPORT: ("Report", "Reads the whole log, the code and what changed; says what is wrong and whose it is."),
    Autonomy.PROPOSE: ("Propose a fix", "The same; puts the smallest fix on a branch, as a draft pull request. Runs nothing."),
    Autonomy.RERUN: ("Fix and rerun", "The same; runs what failed again on the fix, and watches it."),
}


def nothing_for_readers(dag_id: str) -> Offered:
    return Offered(why_nothing=f"You may look. To start something here you need the right to edit runs of {dag_id}.")


def offered(effective: Effective, *, purse: Purse, user_id: str) -> Offered:
    """`user_id`: of the person who would press."""
    offers = tuple(_offer(autonomy, effective, user_id) for autonomy in _DOES)
    return Offered(offers, purse, effective.problems)


def purse(desk: Desk, dag_id: str, policy: Policy) -> Purse:
    """What a session that starts now may spend."""
    if desk.settings.offline:
        return Purse(None)
    limits = budgets.limits(desk, policy)
    day = desk.store.day(dag_id, limits)
    left = min(limits.dag - day.spent - day.reserved, limits.total - day.total_spent - day.total_reserved)
    return Purse(budgets.capped(desk, policy).max_dollars, max(0.0, left))


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
