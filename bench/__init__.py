"""Figures of AgentFix: every module here with a `measure()` is a benchmark; `python -m bench` runs them."""
