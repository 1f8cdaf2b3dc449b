"""Who may do what over the API: the facts that rights_contract.py proves, and docs/policy-and-safety.md shows."""

from __future__ import annotations

ACTIONS = ("read", "start", "answer", "approve", "stop", "erase")
ALL = frozenset(ACTIONS)

BY_ROLE: dict[str | None, frozenset[str]] = {
    None: frozenset(),
    "viewer": frozenset({"read"}),
    "user": ALL,
    "op": ALL,
    "admin": ALL,
}
"""by role of the simple auth manager, no approvers named; None is a login that has none"""

BY_DAG: dict[str, frozenset[str]] = {
    "": frozenset(),
    "read": frozenset({"read"}),
    "edit": ALL,
}
"""by the right on the DAG that failed, where the auth manager has rights on single DAGs"""

NAMED: dict[str, frozenset[str]] = {
    "named": ALL,
    "not named": ALL - {"approve"},
}
"""of two who may edit, where `[agentfix] approvers` names one"""

WORKER = ALL - {"approve"}
"""the login that a session's worker uses"""
