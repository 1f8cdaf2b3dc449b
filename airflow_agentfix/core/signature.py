"""What tells a fix of this deployment from text that anyone could write: HMACs with the deployment's key.

A fix's commit is signed when it is made (trailer `Agentfix-Sig`), over its tree, DAG, DAG file and session. That it may be run is
a second word, given after the approval: a ref that names the commit, which no branch's owner can make up.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable

TRAILER = "Agentfix-Sig"
APPROVED = "refs/agentfix/approved/"
_APPROVAL = re.compile(rf"{APPROVED}([0-9a-f]{{40}}|[0-9a-f]{{64}})/([0-9a-f]{{64}})")


def sign_fix(key: bytes, *, tree: str, dag_id: str, file: str, session_id: str) -> str:
    """The value of the trailer: 64 hexadecimal digits."""
    return _mac(key, "fix", tree, dag_id, file, session_id)


def is_fix(signature: str, keys: Iterable[bytes], *, tree: str, dag_id: str, file: str, session_id: str) -> bool:
    """Whether one of the keys made the signature of this very fix."""
    return any(_same(signature, sign_fix(key, tree=tree, dag_id=dag_id, file=file, session_id=session_id)) for key in keys)


def sign_approval(key: bytes, commit: str) -> str:
    """The deployment's word that the commit may be run."""
    return _mac(key, "approved", commit)


def approval_ref(commit: str, signature: str) -> str:
    """The ref that carries an approval; it points to the commit."""
    return f"{APPROVED}{commit}/{signature}"


def approved_by(ref: str, keys: Iterable[bytes]) -> str | None:
    """The commit that a ref says may be run, None where no key of ours says so."""
    found = _APPROVAL.fullmatch(ref)
    if found is None:
        return None
    commit, signature = found.groups()
    return commit if any(_same(signature, sign_approval(key, commit)) for key in keys) else None


def _mac(key: bytes, *parts: str) -> str:
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def _same(given: str, made: str) -> bool:
    return hmac.compare_digest(given.encode(), made.encode())
