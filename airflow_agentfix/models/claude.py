"""Claude over the Messages API: one streamed call per turn, cached prefix, errors mapped once.

Facts this rests on (anthropic 2.12): a stream that ends early but cleanly raises nothing and leaves `stop_reason` None; raw
httpx2 errors can escape from a broken stream; thinking blocks are bound to the conversation, so content is kept verbatim.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import anthropic  # noqa: TID253 - this module is the adapter; wiring.py alone imports it
import httpx2
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from airflow_agentfix.errors import ConfigurationError, ModelError, ModelKeyError, ModelUnavailable
from airflow_agentfix.models.prices import dollars
from airflow_agentfix.ports import Json, ModelRequest, Turn
from airflow_agentfix.settings import Price, Settings

log = logging.getLogger(__name__)

MAX_OUTPUT_TOKENS = 32_000
SDK_RETRIES = 4
"""of a call that was not answered (408, 409, 429, 5xx, connection), honouring retry-after"""
CUT_STREAM_ATTEMPTS = 3
CACHE = {"type": "ephemeral"}
USAGE_KEYS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
CHARS_PER_TOKEN = 4
PASSING = frozenset({"overloaded_error", "rate_limit_error", "timeout_error", "api_error"})
"""errors of the API that trying again may mend"""
FOREIGN = (anthropic.AnthropicError, httpx2.TransportError)


class ClaudeModel:
    """ports.Model over an `anthropic` client: first-party, Bedrock, Vertex, Foundry or a gateway."""

    costs = True

    def __init__(self, client: Any, *, model: str, effort: str, prices: Sequence[Price] = (), max_wait: float = 20.0) -> None:
        self.name = model
        self._client = client.with_options(max_retries=SDK_RETRIES)
        self._effort = effort
        self._prices = prices
        self._max_wait = max_wait

    def reply(self, request: ModelRequest) -> Turn:
        """One turn. A stream cut half-way is asked for again; a turn that was cut is never acted on, and paid for all the same:
        the turn, or the error where there is none, has the usage of all attempts."""
        retrying = Retrying(
            retry=retry_if_exception_type(ModelUnavailable),
            stop=stop_after_attempt(CUT_STREAM_ATTEMPTS),
            wait=wait_random_exponential(max=self._max_wait),
            reraise=True,
        )
        cut: list[Json] = []
        try:
            turn = retrying(self._stream, request, cut)
        except ModelError as error:
            error.usage, error.dollars = _sum(cut) if cut else None, self._dollars(*cut)
            raise
        return replace(turn, usage=_sum([*cut, turn.usage]), dollars=self._dollars(*cut, turn.usage))

    def _stream(self, request: ModelRequest, cut: list[Json]) -> Turn:
        """One attempt; one that gave no turn adds to `cut` what it used."""
        with mapped_errors(self.name), self._client.messages.stream(**self._body(request)) as stream:
            try:
                message = stream.get_final_message()
            except FOREIGN:
                cut.extend(_used_by_cut(stream))
                raise
        if message.stop_reason is None:
            cut.extend(_used_by_cut(stream))
            raise ModelUnavailable(f"The stream of {self.name!r} ended before the turn was complete. Trying again may help.")
        if message.stop_reason == "refusal":
            log.warning("%s refused: %s", self.name, getattr(message, "stop_details", None))
        content = tuple(block.to_dict(mode="json") for block in message.content)
        return Turn(content, message.stop_reason, message.model, _usage(message))

    def _dollars(self, *usages: Json) -> float:
        return sum(dollars(self.name, usage, self._prices) for usage in usages)

    def _body(self, request: ModelRequest) -> Json:
        tools = [{"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in request.tools]
        if tools:
            tools[-1] = {**tools[-1], "cache_control": CACHE}
        return {
            "model": self.name,
            "max_tokens": MAX_OUTPUT_TOKENS,
            "system": [{"type": "text", "text": request.system, "cache_control": CACHE}],
            "tools": tools,
            "messages": with_cache_point(request.messages),
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": self._effort},
        }


def _usage(message: Any) -> Json:
    return {key: getattr(message.usage, key, None) or 0 for key in USAGE_KEYS}


def _used_by_cut(stream: Any) -> list[Json]:
    """What a stream used that broke off. The API tells the input at its start and the output at its end alone: of the output it
    is what arrived, roughly, and at least what was told."""
    message = None
    with suppress(AssertionError):  # the SDK's own: nothing had come
        message = stream.current_message_snapshot
    if message is None:
        return []
    blocks = [block.to_dict(mode="json") for block in message.content]
    arrived = sum(len(str(block.get(name) or "")) for block in blocks for name in ("text", "thinking", "input"))
    usage = _usage(message)
    return [{**usage, "output_tokens": max(usage["output_tokens"], arrived // CHARS_PER_TOKEN)}]


def _sum(usages: Sequence[Json]) -> Json:
    return {key: sum(usage[key] for usage in usages) for key in USAGE_KEYS}


def with_cache_point(messages: Sequence[Json]) -> list[Json]:
    """The messages with the cache point on the last block of the last one; the messages given stay as they are."""
    *earlier, last = messages
    content = [{"type": "text", "text": last["content"]}] if isinstance(last["content"], str) else list(last["content"])
    return [*earlier, {**last, "content": [*content[:-1], {**content[-1], "cache_control": CACHE}]}]


@contextmanager
def mapped_errors(model: str) -> Iterator[None]:
    """Turn every error of the SDK and of its transport into one of ours."""
    try:
        yield
    except (anthropic.AuthenticationError, anthropic.PermissionDeniedError) as error:
        raise ModelKeyError(
            f"The model's key was refused ({error.status_code}). Expected a key that may use {model!r}: check the connection "
            "or ANTHROPIC_API_KEY, or set [agentfix] offline = True."
        ) from error
    except anthropic.CredentialsError as error:
        raise ModelKeyError(f"No usable key for the model: {error}. Set the connection or ANTHROPIC_API_KEY.") from error
    except anthropic.NotFoundError as error:
        raise ConfigurationError(f"Model {model!r} is not known to the API. Set [agentfix] model to one that is.") from error
    except (
        anthropic.RateLimitError,
        anthropic.InternalServerError,
        anthropic.RequestTimeoutError,
        anthropic.ConflictError,
        anthropic.RetryableError,
        anthropic.APIConnectionError,
        httpx2.TransportError,
    ) as error:
        raise _unavailable(model, error) from error
    except anthropic.AnthropicError as error:
        if getattr(error, "type", None) in PASSING:  # told half-way in a stream, under the status 200 it began with
            raise _unavailable(model, error) from error
        raise ModelError(f"{model!r} gave no usable answer: {_reason(error)}") from error


def _unavailable(model: str, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(f"{model!r} did not answer: {_reason(error)}. Trying again may help.")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {getattr(error, 'message', None) or error}"[:500]


def build_claude(settings: Settings, *, find_connection: Callable[[str], Any | None]) -> ClaudeModel | None:
    """Claude from the Anthropic connection, else from ANTHROPIC_API_KEY; None where there is neither.

    `find_connection` gives an Airflow connection or None. The connection's own model wins over [agentfix] model.
    """
    connection = find_connection(settings.anthropic_conn_id)
    if connection is not None:
        from airflow.providers.anthropic.hooks.anthropic import AnthropicHook

        client: Any = AnthropicHook(conn_id=settings.anthropic_conn_id).get_conn()
        model = connection.extra_dejson.get("model") or settings.model
        return ClaudeModel(client, model=model, effort=settings.effort, prices=settings.prices)
    if os.environ.get("ANTHROPIC_API_KEY"):
        return ClaudeModel(anthropic.Anthropic(), model=settings.model, effort=settings.effort, prices=settings.prices)
    return None
