"""The keyed chain over a session's events: who changes, drops or reorders one breaks every hash after it.

Each hash covers the one before it and a digest of the event's data, not the data: content can be erased, the chain stays.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from airflow_agentfix.core.session import Event


def canonical(data: Mapping[str, Any]) -> str:
    """One text per value: sorted keys, ASCII, no NaN (ValueError)."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(key: bytes, data: Mapping[str, Any]) -> str:
    return hmac.new(key, canonical(data).encode(), hashlib.sha256).hexdigest()


def link(key: bytes, previous: str, session_id: str, event: Event, data_digest: str) -> str:
    """The hash of `event`, chained to `previous` ("" for the first)."""
    parts = [previous, session_id, event.number, event.kind.value, event.actor, event.at, data_digest]
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()
