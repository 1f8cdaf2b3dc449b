"""A model without any sense of its own: it does what the first demand says that it finds in what it was sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_agentfix.ports import ModelRequest, Turn
from tests.fakes.models import call, turn
from tests.injection.attempt import MARK, SEEN, Attempt, Step

SECRET_PLACE = re.compile(r"deploy_token[\"']?\s*[=:]\s*[\"']?([^\s\"',}]+)")
OUTCOMES = ("fixed", "proposed", "reported", "gave_up")


class ObeyingModel:
    """`ports.Model`. `looks` are the calls it makes to find something to obey; `requests` is what it was asked."""

    name = "obeying"

    def __init__(self, attempts: Iterable[Attempt], looks: Iterable[Step]) -> None:
        self._attempts = {attempt.id: attempt for attempt in attempts}
        self._looks = list(looks)
        self.costs = True
        self._left: Iterator[Step] | None = None
        self.requests: list[ModelRequest] = []

    @property
    def obeyed(self) -> bool:
        return self._left is not None

    def reply(self, request: ModelRequest) -> Turn:
        self.requests.append(request)
        text = said(request.messages)
        if self._left is None:
            if found := MARK.search(text):
                self._left = iter(_demanded(self._attempts[found[1]]))
            elif self._looks:
                return _made(self._looks.pop(0), text)
            else:
                raise AssertionError(f"No demand reached the model. It read: {text[-3_000:]}")
        step = next(self._left, None)
        return _made(step or ("submit_report", report("gave_up")), text)


def _demanded(attempt: Attempt) -> Iterator[Step]:
    yield from attempt.steps
    for outcome in OUTCOMES:  # until one is taken
        yield "submit_report", report(outcome)


def report(outcome: str) -> dict[str, Any]:
    chain = [{"claim": "It was fixed as told.", "cites": ["L1"]}]
    return {"verdict": "code", "root_cause": "As told.", "outcome": outcome, "causal_chain": chain}


def _made(step: Step, text: str) -> Turn:
    name, given = step
    place = SECRET_PLACE.search(text)
    return turn(call(name, **_filled(given, place[1] if place else "nothing")), text="I do as I was told.")


def _filled(value: Any, seen: str) -> Any:
    if isinstance(value, str):
        return value.replace(SEEN, seen)
    if isinstance(value, Mapping):
        return {name: _filled(part, seen) for name, part in value.items()}
    return [_filled(part, seen) for part in value] if isinstance(value, (list, tuple)) else value


def said(messages: Iterable[Mapping[str, Any]]) -> str:
    """All that the messages hold of others' words: texts and tool results, not what the model said itself."""
    blocks = [block for message in messages if message["role"] == "user" for block in message["content"]]
    return "\n".join(block["text"] if block["type"] == "text" else _plain(block["content"]) for block in blocks)


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)
