"""Where the shipped DAGs and skills are: inside the wheel (`_dags`, `_skills`) or, in a checkout, beside the package."""

from __future__ import annotations

from pathlib import Path

from airflow_agentfix.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent


def dags_folder() -> Path:
    """The folder of the shipped DAG files."""
    return _shipped("dags", witness="agentfix_ask.py")


def skills_folder() -> Path:
    """The folder of the shipped skills, one folder each."""
    return _shipped("skills", witness="fix-and-rerun-dag/SKILL.md")


def _shipped(name: str, *, witness: str) -> Path:
    """The first place that holds `witness`: beside an installed package there may be an unrelated folder of that name."""
    places = (_PACKAGE / f"_{name}", _PACKAGE.parent / name)
    for place in places:
        if (place / witness).is_file():
            return place
    raise ConfigurationError(
        f"The shipped {name} are in neither {str(places[0])!r} nor {str(places[1])!r}; expected {witness!r} there. "
        "Install airflow-provider-agentfix again."
    )
