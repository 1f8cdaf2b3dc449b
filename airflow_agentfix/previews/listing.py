"""What a repository's refs say of previews. Pure; any line of it may be anyone's, so only our keys' word counts.

Invariant: a branch is approved only where the commit at its end is, so moving a branch takes its preview away.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airflow_agentfix.core.previews import BRANCHES
from airflow_agentfix.core.signature import APPROVED, approved_by

_HEADS = "refs/heads/"
PATTERNS = (f"{_HEADS}{BRANCHES}*", f"{APPROVED}*")
"""what `git ls-remote` is asked for; it may answer with more, since it matches from the end of a ref's name"""


@dataclass(frozen=True, order=True)
class Tip:
    """A branch and the commit at its end."""

    branch: str
    commit: str


@dataclass(frozen=True)
class Listing:
    """The fix branches by whether the deployment said that their commit may run; both in the order of their names."""

    approved: tuple[Tip, ...]
    unapproved: tuple[Tip, ...]


def read(answer: bytes, keys: Iterable[bytes]) -> Listing:
    """The answer of `git ls-remote` for PATTERNS."""
    refs = [line.split("\t", 1) for line in os.fsdecode(answer).split("\n") if "\t" in line]
    tips = sorted(Tip(ref.removeprefix(_HEADS), commit) for commit, ref in refs if ref.startswith(f"{_HEADS}{BRANCHES}"))
    approved = _approved(refs, {tip.commit for tip in tips}, tuple(keys))
    return Listing(
        approved=tuple(tip for tip in tips if tip.commit in approved),
        unapproved=tuple(tip for tip in tips if tip.commit not in approved),
    )


def _approved(refs: Iterable[Sequence[str]], tips: set[str], keys: tuple[bytes, ...]) -> set[str]:
    """Only approvals of a branch's end that point to what they name: the others are history, or made up."""
    return {commit for commit, ref in refs if ref.startswith(APPROVED) and commit in tips and approved_by(ref, keys) == commit}
