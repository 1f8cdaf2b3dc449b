"""What each tool reads and changes, and what it needs for that. The table of docs/policy-and-safety.md is made of it.

Tests hold the tools to it: what changes nothing records a result and no more, what needs an autonomy is refused below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_agentfix.core.policy import Autonomy

NOTHING = "nothing"


@dataclass(frozen=True)
class Effect:
    """One tool's effect. `outside`: it changes the world outside the session, so its intent is written before it acts."""

    reads: str
    changes: str = NOTHING
    autonomy: Autonomy = Autonomy.REPORT
    needs: str = ""
    """beside the autonomy"""
    outside: bool = False


_TREE = "the working copy: the repository's tree at the base branch's head, with the session's changes"

EFFECT_OF: Mapping[str, Effect] = {
    "read_log": Effect("logs of the failed run's tasks, over Airflow's REST API"),
    "list_files": Effect(_TREE),
    "read_file": Effect(_TREE),
    "search_code": Effect(_TREE),
    "get_history": Effect("earlier runs of a task, over REST; commits since the last green run"),
    "load_skill": Effect("shipped, configured and the base branch's skills"),
    "change_files": Effect(_TREE, "the working copy, in a temporary folder", needs="every gate passed"),
    "open_fix": Effect(
        _TREE,
        "a new branch with one commit; a draft pull request on GitHub",
        Autonomy.PROPOSE,
        "a change, which passed every gate",
        outside=True,
    ),
    "rerun": Effect(
        "the fix and its base, which are imported and checked; then the rerun's tasks and their logs",
        "the failed run: its version and its failed tasks; the text of the fix's pull request, and whether it is a draft",
        Autonomy.RERUN,
        "the approval of this very commit",
        outside=True,
    ),
    "pause_for_human": Effect("the answer", "starts a run of `agentfix_ask`", outside=True),
    "submit_report": Effect(
        "what was shown, for the lines it cites", "ends the session", needs="an outcome that is what happened"
    ),
}
