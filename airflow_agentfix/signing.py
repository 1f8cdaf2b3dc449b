"""The deployment's key for signatures: the same in the API server, which signs, and wherever previews are served."""

from __future__ import annotations

import hashlib

from airflow_agentfix.settings import Settings


def signing_keys(settings: Settings) -> tuple[bytes, ...]:
    """[agentfix] signing_key, else [core] fernet_key, which every Airflow process has: the first one signs, all are known (keys
    that are being rotated). Empty where there is none: nothing can be signed then."""
    from airflow.configuration import conf

    secrets = settings.signing_key or conf.get("core", "fernet_key", fallback="") or ""
    return tuple(hashlib.sha256(f"agentfix-sig:{one.strip()}".encode()).digest() for one in secrets.split(",") if one.strip())
