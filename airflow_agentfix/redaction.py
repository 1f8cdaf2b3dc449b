"""Redaction as everyone calls it: the core's structural rules, the token formats that detect-secrets maintains, the
deployment's own patterns, and the values of the connections we use.

Only detect-secrets' patterns are used, not its scanner: those that know a format by its shape. Its entropy and keyword
guesses would eat commit ids and code. Invariants: redacting twice changes nothing more; the number of lines stays.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import regex

from airflow_agentfix.core import redact as structural
from airflow_agentfix.core.known_values import KnownValues
from airflow_agentfix.core.secret_names import is_secret_name
from airflow_agentfix.errors import ConfigurationError
from airflow_agentfix.settings import redact_patterns

PASSES = 5
"""One mask may uncover the edge of the next secret; passes end as soon as one changes nothing."""
PATTERN_SECONDS = 2.0
"""that a deployment's own patterns may take on one text; what they could not look at by then is masked whole"""

# Not here: npm and OpenAI (quadratic on long lines; the core knows their prefixes), basic auth, private keys, JWT
# (the core's rules keep lines and hosts), IBM's (they read any `key=` as theirs).
# (module, detector, texts one of which its tokens hold)
_DETECTORS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("artifactory", "ArtifactoryDetector", ("AKC", "AP")),
    ("aws", "AWSKeyDetector", ("A3T", "ABIA", "ACCA", "AKIA", "ASIA", "aws", "AWS", "Aws")),
    ("azure_storage_key", "AzureStorageKeyDetector", ("AccountKey",)),
    ("discord", "DiscordBotTokenDetector", (".",)),
    ("github_token", "GitHubTokenDetector", ("gh",)),
    ("gitlab_token", "GitLabTokenDetector", ("gl", "GR1348941")),
    ("mailchimp", "MailchimpDetector", ("-us",)),
    ("pypi_token", "PypiTokenDetector", ("pypi-",)),
    ("sendgrid", "SendGridDetector", ("SG.",)),
    ("slack", "SlackDetector", ("xox", "hooks.slack.com")),
    ("softlayer", "SoftlayerDetector", ("oftlayer", "OFTLAYER", "sl_", "sl-", "SL_")),
    ("square_oauth", "SquareOAuthDetector", ("sq0",)),
    ("stripe", "StripeDetector", ("k_live_",)),
    ("telegram_token", "TelegramBotTokenDetector", (":",)),
    ("twilio", "TwilioKeyDetector", ("AC", "SK")),
)


class Redactor:
    """Redaction with a deployment's own patterns and known values."""

    def __init__(self, patterns: Sequence[str] = (), *, known: KnownValues | None = None) -> None:
        self._own = [regex.compile(pattern, regex.MULTILINE) for pattern in patterns]
        self._known = known or KnownValues()

    def redact(self, text: str) -> str:
        """Untrusted text for a reader: no invisible character, no HTML comment, every secret found replaced by `***`."""
        return self.redact_code(structural.without_comments(text))

    def redact_code(self, text: str) -> str:
        """The same, but HTML comments stay: of code that is edited, what is shown has to be what is there."""
        text, settled = structural.visible(text), set[str]()
        for _ in range(PASSES):
            before, text = text, self._once(text, settled)
            if text == before:
                break
        return text

    def _once(self, text: str, settled: set[str]) -> str:
        text = structural.redact(self._known.mask(text), settled)
        for markers, pattern in _vendors():
            if any(marker in text for marker in markers):
                text = pattern.sub(_mask, text)
        return self._without_own(text) if self._own else text

    def _without_own(self, text: str) -> str:
        """Line by line, so that no pattern takes lines away."""
        ends = time.monotonic() + PATTERN_SECONDS
        return "\n".join([self._own_masked(line, ends) for line in text.split("\n")])

    def _own_masked(self, line: str, ends: float) -> str:
        try:
            for pattern in self._own:
                line = pattern.sub(_mask_own, line, timeout=max(ends - time.monotonic(), 0.001))
        except TimeoutError:
            return structural.MASK
        return line


def redact(text: str) -> str:
    """`text` for a reader, as `Redactor.redact`, with this process's patterns and known values."""
    return _of_this_process().redact(text)


def redact_code(text: str) -> str:
    """The same for code that is edited: HTML comments stay."""
    return _of_this_process().redact_code(text)


def told(error: Exception) -> str:
    """An error's words, redacted. Patterns that cannot be read do not keep what is wrong with them from being told."""
    try:
        return redact(str(error))
    except ConfigurationError as broken:
        return str(broken)


_KNOWN = KnownValues()


def _of_this_process() -> Redactor:
    """One for the process, as Airflow's own masker is: what is secret is secret whichever part of it writes the text."""
    return _configured("airflow.configuration" in sys.modules)


@lru_cache(maxsize=2)
def _configured(_: bool) -> Redactor:
    """Built anew once Airflow is loaded, for then its configuration counts, not the environment alone."""
    return Redactor(redact_patterns(), known=_KNOWN)


# --- values of our own connections -----------------------------------------------------------------------------------


OWN_VARIABLES = (
    *("AGENTFIX_AIRFLOW_PASSWORD", "AGENTFIX_AIRFLOW_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    *("GITHUB_TOKEN", "GITHUB_API_TOKEN"),
)
"""where the environment holds a login of ours"""


def learn(*values: str | None) -> None:
    """Mask these values from now on in all that is redacted, and in the logs of a task, which Airflow masks."""
    airflow_log = sys.modules.get("airflow.sdk.log")  # not loaded, there is no log of Airflow's to mask
    for value in values:
        if _KNOWN.add(value) and airflow_log is not None:
            airflow_log.mask_secret(value)


def learn_login(user: str | None, password: str | None) -> None:
    """Mask a password, and its pair with the user as basic authentication encodes it. One that is the user's name is none."""
    from base64 import b64encode

    if password != user:
        learn(password)
    if user and password:
        _KNOWN.add(b64encode(f"{user}:{password}".encode()).decode())


def learn_connection(connection: Any) -> Any:
    """Mask what an Airflow connection keeps secret: its password, and the extras whose names say so. Gives it back."""
    if connection is not None:
        learn_login(getattr(connection, "login", None), getattr(connection, "password", None))
        learn(*_secret_parts(getattr(connection, "extra_dejson", None) or {}))
    return connection


def _secret_parts(value: Any, *, secret: bool = False) -> Iterable[str]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _secret_parts(part, secret=secret or is_secret_name(str(name)))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _secret_parts(part, secret=secret)
    elif isinstance(value, str) and secret:
        yield value


# --- one match -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _vendors() -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    from importlib import import_module  # detect-secrets imports requests: 0.15 s that DAG parsing must not pay

    detectors = (
        (markers, getattr(import_module(f"detect_secrets.plugins.{module}"), name)) for module, name, markers in _DETECTORS
    )
    return tuple((markers, pattern) for markers, detector in detectors for pattern in detector.denylist)


def _mask(match: re.Match[str]) -> str:
    """The part that is the secret: the last group if it is long enough to be one, else the whole match."""
    whole = match.group(0)
    secret = match.group(match.lastindex) if match.lastindex else ""
    if secret and len(secret) >= 16:
        return whole.replace(secret, structural.MASK)
    stripped = whole.strip(" \t\r\n=:\"'")
    return whole.replace(stripped, structural.MASK)


def _mask_own(match: regex.Match[str]) -> str:
    """The first group where the pattern has one, else all of it."""
    secret = match.group(1) if match.re.groups else match.group()
    if not secret or not secret.strip("*"):
        return match.group()
    begin, end = (at - match.start() for at in match.span(1 if match.re.groups else 0))
    whole = match.group()
    return whole[:begin] + structural.MASK + whole[end:]
