"""The DAGs that fail for these tests, and what a scripted model says to each: one DAG and one run of its name for each story.

`light` and `dark` fail without a callback, so that a person starts what follows; the others are handed over by their callback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_agentfix.core.session import EventKind, Session
from tests.browser.hostile import HOSTILE, HOSTILE_LINE
from tests.e2e.production import Production, production
from tests.fakes.messages_api import Entry, MessagesApi, call, text

BY_HAND = ("light", "dark")
BY_CALLBACK = ("kept", "rejected", "stopped")
STORIES = (*BY_HAND, *BY_CALLBACK)
TASK = "halve"
SERVICE = "robot"
USERS = {"admin": "admin", SERVICE: "op", "vic": "viewer", "nora": ""}

_DAGS = f'''"""DAGs for airflow that fail of a misspelt name."""
from importlib import import_module

from airflow.sdk import DAG, task
from airflow_agentfix import agentfix_on_failure


def made(name, **defaults):
    with DAG(name, schedule=None, is_paused_upon_creation=False, default_args=dict(owner="sales-analytics", **defaults)):

        @task
        def halve() -> float:
            return import_module(f"shop.{{name}}").half(2)

        @task
        def publish(value: float) -> None:
            print(value)

        publish(halve())


for name in {BY_HAND!r}:
    made(name)
for name in {BY_CALLBACK!r}:
    made(name, on_failure_callback=agentfix_on_failure())
'''
_HOSTILE_DAG = f'''"""A DAG for airflow whose every word wants to be more than text."""
from airflow.sdk import DAG, task
from airflow_agentfix import agentfix_on_failure
from shop.hostile import half

HOSTILE = {HOSTILE!r}
callback = dict(on_failure_callback=agentfix_on_failure())

with DAG("hostile", dag_display_name={HOSTILE_LINE!r}, schedule=None, is_paused_upon_creation=False, default_args=callback):

    @task(task_id="halve", task_display_name={HOSTILE_LINE!r})
    def halve() -> float:
        print(HOSTILE)
        return half(HOSTILE)

    halve()
'''
FILES = {
    **{f"dags/shop/{name}.py": "def half(value: int) -> float:\n    return valeu / 2\n" for name in STORIES},
    "dags/stories.py": _DAGS,
    "dags/shop/hostile.py": "def half(value):\n    raise ValueError(value)\n",
    "dags/hostile.py": _HOSTILE_DAG,
    f"dags/shop/{HOSTILE_LINE.replace('/', '')}.py": "",
}


def _spells(name: str) -> list[Entry]:
    path = f"dags/shop/{name}.py"
    chain = [{"claim": "The parameter is called `value`.", "cites": [f"{path}:2"]}]
    return [
        [text("**A misspelt name.** I look at the file."), call("read_file", f"{name}0", path=path)],
        [
            text("`valeu` becomes `value`; nothing else changes."),
            call("change_files", f"{name}1", edits=[{"path": path, "old": "valeu", "new": "value"}]),
        ],
        [call("open_fix", f"{name}2", title="Spell value", summary="`half` misspelt its parameter.")],
        [call("rerun", f"{name}3")],
        [
            call(
                "submit_report",
                f"{name}4",
                verdict="code",
                root_cause="`half` returns a misspelt name",
                outcome="fixed",
                causal_chain=chain,
            )
        ],
    ]


_WORSE = [{"path": "dags/shop/hostile.py", "old": "raise ValueError(value)", "new": f"return {HOSTILE_LINE!r}"}]
_HOSTILE_REPORT = {
    "verdict": "code",
    "root_cause": HOSTILE,
    "outcome": "proposed",
    "causal_chain": [{"claim": HOSTILE, "cites": ["dags/shop/hostile.py:2"]}],
}
SCRIPTS: dict[str, list[Entry]] = {
    **{name: _spells(name) for name in STORIES},
    "hostile": [
        [text(HOSTILE), call("search_code", "h0", pattern=HOSTILE_LINE)],
        [text(HOSTILE), call("change_files", "h1", edits=_WORSE)],
        [call("open_fix", "h2", title=HOSTILE_LINE, summary=HOSTILE)],
        [call("pause_for_human", "h3", reason=HOSTILE_LINE, summary_for_human=HOSTILE, options=["Yes", HOSTILE_LINE])],
        [text(HOSTILE), call("submit_report", "h4", **_HOSTILE_REPORT)],
    ],
}


@dataclass(frozen=True)
class Shop:
    """The deployment; its runs, sessions and pages are asked for by a story's name."""

    here: Production

    @property
    def url(self) -> str:
        return self.here.deployment.standalone.url

    def session(self, name: str) -> Session:
        return self.here.session(name)

    def page(self, name: str) -> str:
        return f"/sessions/{self.session(name).id}"

    def until_asked(self, name: str) -> None:
        session = self.session(name)
        self.here.until(lambda: bool(self.here.events(session, EventKind.QUESTION)), f"{name} asks")

    def starts(self, name: str) -> None:
        self.here.until(lambda: self.here.is_parsed(name), f"{name} is parsed")
        self.here.deployment.airflow.trigger(name, run_id=name, conf={})

    def fails(self, name: str) -> None:
        self.here.until(lambda: self.here.run_state(name, name) == "failed", f"run {name} failed")


def task_tab(name: str, task: str = TASK) -> str:
    return f"/dags/{name}/runs/{name}/tasks/{task}/plugin/agentfix_task"


def run_tab(name: str) -> str:
    return f"/dags/{name}/runs/{name}/plugin/agentfix_run"


INBOX = "/plugin/agentfix"


@contextmanager
def shop(folder: Path, **airflow: Any) -> Iterator[Shop]:
    """A deployment on which each story's run has begun; sessions that a callback starts will ask."""
    with MessagesApi({f"/{name}/": script for name, script in SCRIPTS.items()}) as api:
        model = {"ANTHROPIC_API_KEY": api.key, "ANTHROPIC_BASE_URL": api.url}
        with production(folder, users=USERS, worker=SERVICE, files=FILES, environment=model, **airflow) as here:
            made = Shop(here)
            for name in SCRIPTS:
                made.starts(name)
            yield made
