"""Redaction as everyone calls it: structural rules of the core and the token formats that detect-secrets maintains.

Only detect-secrets' patterns are used, not its scanner: those that know a format by its shape. Its entropy and keyword
guesses would eat commit ids and code. Invariants: redacting twice changes nothing more; the number of lines stays.
"""

from __future__ import annotations

import re
from functools import lru_cache

from airflow_agentfix.core import redact as structural

PASSES = 5
"""One mask may uncover the edge of the next secret; passes end as soon as one changes nothing."""

# Not here: npm and OpenAI (quadratic on long lines; the core knows their prefixes), basic auth, private keys, JWT
# (the core's rules keep lines and hosts), IBM's (they read any `key=` as theirs).
_DETECTORS = {
    "artifactory": "ArtifactoryDetector",
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "mailchimp": "MailchimpDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "softlayer": "SoftlayerDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}


def redact(text: str) -> str:
    """`text` without invisible characters and with every secret found replaced by `***`."""
    text = structural.visible(text)
    for _ in range(PASSES):
        before, text = text, _once(text)
        if text == before:
            break
    return text


def _once(text: str) -> str:
    text = structural.redact(text)
    for pattern in _patterns():
        text = pattern.sub(_mask, text)
    return text


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], ...]:
    from importlib import import_module  # detect-secrets imports requests: 0.15 s that DAG parsing must not pay

    detectors = (getattr(import_module(f"detect_secrets.plugins.{module}"), name) for module, name in _DETECTORS.items())
    return tuple(pattern for detector in detectors for pattern in detector.denylist)


def _mask(match: re.Match[str]) -> str:
    """The part that is the secret: the last group if it is long enough to be one, else the whole match."""
    whole = match.group(0)
    secret = match.group(match.lastindex) if match.lastindex else ""
    if secret and len(secret) >= 16:
        return whole.replace(secret, structural.MASK)
    stripped = whole.strip(" \t\r\n=:\"'")
    return whole.replace(stripped, structural.MASK)
