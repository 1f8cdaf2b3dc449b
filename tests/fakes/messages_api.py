"""A small Messages API over real HTTP: scripted turns, faults, and the checks the real one makes on a conversation.

Refuses with 400 what Anthropic refuses: a history that was changed, tool calls left unanswered, sampling parameters, forced
tool choice, and turns made by another model or on other tools or instructions: thinking is bound to those. `script` entries:
a list of content blocks (a turn), a callable taking the request, or a `Fault`. Several conversations at once, each with a script
of its own, are told apart by the phrase that their first message has first.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

Block = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """An answer that is no turn: an error status, or a stream that ends half-way (`cut`), after it `said` something, cleanly or
    with the connection (`broken`) or by an error event (`overloaded`)."""

    status: int = 200
    kind: str = "overloaded_error"
    cut: bool = False
    said: str = ""
    broken: bool = False
    overloaded: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A turn that stopped for another reason than end_turn or tool_use."""

    stop_reason: str
    content: tuple[Block, ...] = ()


Entry = list[Block] | Callable[[dict[str, Any]], list[Block]] | Fault | Refusal


def text(value: str) -> Block:
    return {"type": "text", "text": value}


def call(name: str, call_id: str | None = None, /, **arguments: Any) -> Block:
    return {"type": "tool_use", "id": call_id or f"toolu_{name}", "name": name, "input": arguments}


@dataclass
class Conversation:
    """What is still to be said in it, and what it was asked."""

    script: list[Entry]
    requests: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, body: dict[str, Any]) -> Fault | Refusal | list[Block] | str:
        """The next entry of the script, or the reason for a 400."""
        if reason := complaint(body, self.requests[-1] if self.requests else None):
            return reason
        if not self.script:
            return "the script has no further turn"
        entry = self.script.pop(0)
        if not isinstance(entry, Fault):
            self.requests.append(body)
        return entry(body) if callable(entry) else entry


class MessagesApi:
    """Use as a context manager; `url` is the base URL for the SDK, `requests` what it was asked.

    `script` is the one conversation's, or one by phrase for several; `conversations` has them then.
    """

    def __init__(self, script: list[Entry] | Mapping[str, list[Entry]], *, key: str = "test-key") -> None:
        several = script if isinstance(script, Mapping) else {"": script}
        self.conversations = {phrase: Conversation(list(entries)) for phrase, entries in several.items()}
        self.key = key
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def script(self) -> list[Entry]:
        return self.conversations[""].script

    @property
    def requests(self) -> list[dict[str, Any]]:
        return self.conversations[""].requests

    def __enter__(self) -> MessagesApi:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, body: dict[str, Any], headers: dict[str, str]) -> Fault | Refusal | list[Block] | str:
        """The conversation's answer, or the reason for a 400/401."""
        with self._lock:
            if self.key not in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")):
                return "401"
            first = _first_message(body)
            found = sorted((first.index(phrase), phrase) for phrase in self.conversations if phrase in first)
            return self.conversations[found[0][1]].answer(body) if found else f"no conversation is about {first[:200]!r}"


def _first_message(body: dict[str, Any]) -> str:
    """As far as the request has one; what it lacks is complained about later."""
    block = (body.get("messages") or [{"content": ""}])[0]["content"]
    text = block if isinstance(block, str) else block[0].get("text", "")
    return str(text)


def complaint(body: dict[str, Any], before: dict[str, Any] | None) -> str | None:
    """What the real API would refuse in this request, None if nothing."""
    if missing := {"model", "max_tokens", "messages"} - body.keys():
        return f"missing: {sorted(missing)}"
    if extra := {"temperature", "top_p", "top_k"} & body.keys():
        return f"not supported: {sorted(extra)}"
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        return "forced tool_choice is not supported"
    messages = [_plain(message) for message in body["messages"]]
    if before and _bound_to(before) != _bound_to(body):
        if any(message["role"] == "assistant" for message in messages):
            return "thinking of another conversation: its model, tools or system prompt were others"
    elif before and messages[: len(before["messages"])] != [_plain(message) for message in before["messages"]]:
        return "the history before this turn was changed"
    return _unanswered(messages)


def _bound_to(body: dict[str, Any]) -> tuple[Any, ...]:
    return body["model"], body.get("tools"), body.get("system")


def _unanswered(messages: list[dict[str, Any]]) -> str | None:
    if messages[0]["role"] != "user" or messages[-1]["role"] != "user":
        return "messages must start and end with role user"
    for one, following in pairwise(messages):
        calls = {block["id"] for block in one["content"] if block["type"] == "tool_use"}
        results = {block["tool_use_id"] for block in following["content"] if block["type"] == "tool_result"}
        if calls != results:
            return f"tool_use ids {sorted(calls)} are answered by {sorted(results)}"
    return None


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {"role": message["role"], "content": [{k: v for k, v in b.items() if k != "cache_control"} for b in blocks]}


def _half(fault: Fault, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The first half of a stream."""
    events = list(_events([text(fault.said)], "end_turn", model))
    yield from events[: 3 if fault.said else 2]
    if fault.overloaded:
        yield "error", {"type": "error", "error": {"type": fault.kind, "message": "scripted fault"}}


def _events(content: list[Block], stop_reason: str, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    usage = {"input_tokens": 900, "output_tokens": 1, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None}
    yield "message_start", {"type": "message_start", "message": {**message, "stop_sequence": None, "usage": usage}}
    for index, block in enumerate(content):
        empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
        delta = (
            {"type": "text_delta", "text": block["text"]}
            if block["type"] == "text"
            else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        )
        yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 120}}
    yield "message_stop", {"type": "message_stop"}


def _handler(api: MessagesApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = api.answer(body, {key.lower(): value for key, value in self.headers.items()})
            if answer == "401":
                self._error(401, "authentication_error", "invalid x-api-key")
            elif isinstance(answer, str):
                self._error(400, "invalid_request_error", answer)
            elif isinstance(answer, Fault) and answer.status != 200:
                self._error(answer.status, answer.kind, "scripted fault", answer.headers)
            elif isinstance(answer, Fault):
                self._stream(_half(answer, body["model"]), missing=answer.broken)
            elif isinstance(answer, Refusal):
                self._stream(_events(list(answer.content), answer.stop_reason, body["model"]))
            else:
                stop = "tool_use" if any(block["type"] == "tool_use" for block in answer) else "end_turn"
                self._stream(_events(answer, stop, body["model"]))

        def _error(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
            data = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, events: Iterator[tuple[str, dict[str, Any]]], *, missing: bool = False) -> None:
            data = "".join(f"event: {name}\ndata: {json.dumps(value)}\n\n" for name, value in events).encode()
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(data) + missing))
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = missing

    return Handler
