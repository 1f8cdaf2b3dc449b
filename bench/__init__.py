"""Figures of AgentFix. `python -m bench` prints them as JSON; every module with a `measure()` is one."""
