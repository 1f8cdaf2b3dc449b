"""Secrets whose values are known: wherever one occurs it is masked, in whatever form, however it is called there."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from airflow_agentfix.core.secret_names import MASK

SHORTEST = 6
"""A shorter value occurs by chance."""
LONG_LINE = 16
"""of a value of many lines, such as a private key: each is masked by itself, so that the number of lines stays"""
FRAME = "-----"
"""begins the lines around a key; they are no secret, and masked they would hide that another key stands between them"""
EVERYBODY_KNOWS = frozenset(
    {"airflow", "anonymous", "changeme", "default", "docker", "example", "github", "localhost", "password", "postgres", "public"}
    | {"secret", "testing", "x-access-token", "username", "standalone"}
)
"""Masking these would hide nothing and eat what a text is about."""


class KnownValues:
    """The values, in every form in which they may be written. Adding is safe while another thread masks."""

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"KnownValues({len(self._forms)} forms)"

    def add(self, value: str | None) -> bool:
        """Whether it is masked from now on: short values and such as everybody knows are not."""
        if not value or len(value.strip()) < SHORTEST or value.strip().lower() in EVERYBODY_KNOWS:
            return False
        forms = {*self._forms, *_forms(value.strip())}
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        return True

    def mask(self, text: str) -> str:
        """`text` without any of them; longest first, so that none is left in part."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text


def _forms(value: str) -> Iterator[str]:
    written = (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
    encoded = (quote(value), quote(value, safe=""), quote_plus(value), html.escape(value))
    data = value.encode()
    for form in (*written, *encoded, base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
        if "\n" not in form:
            yield form
            yield form.rstrip("=")
    if "\n" in value:
        lines = (line.strip() for line in value.split("\n"))
        yield from (line for line in lines if len(line) >= LONG_LINE and not line.startswith(FRAME))
