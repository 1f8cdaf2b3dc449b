"""What a fix's preview is called: its DAG, its loader file, and the tag that names its commit.

Invariant: two branches never share a name, whatever characters they are made of, and every name is one that Airflow and a file
system accept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

TAG = "agentfix"
BRANCHES = "fix/"
"""the branches that may be previews begin with it"""
_PLAIN = re.compile(r"fix/[a-z0-9]+(-[a-z0-9]+)*")
LONGEST = 250
"""of a DAG id"""
_SLUG = 120


def branch_slug(branch: str) -> str:
    """The branch as part of a name: `fix/a-b` is `fix-a-b`; one that is no plain name of ours ends in a hash of itself."""
    slug = re.sub(r"[^a-z0-9]+", "-", branch.lower()).strip("-")
    if _PLAIN.fullmatch(branch) and len(slug) <= _SLUG:
        return slug
    return f"{slug[: _SLUG - 14].rstrip('-') or 'x'}--{_short(branch)}"  # two hyphens: no plain name has them


def preview_id(dag_id: str, branch: str) -> str:
    """The DAG id of a branch's preview: `<dag_id>.<branch slug>`, at most 250 characters."""
    whole = f"{dag_id}.{branch_slug(branch)}"
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 13]}-{_short(whole)}"


def loader_name(branch: str) -> str:
    """The file that serves a branch's preview, relative to the bundle."""
    return f"{branch_slug(branch)}.py"


def commit_tag(commit: str) -> str:
    """The DAG tag by which the API server knows which commit a preview is of."""
    return f"{TAG}:{commit}"


def is_preview(tags: Iterable[str]) -> bool:
    """Whether a DAG with these tags is the preview of a fix."""
    return any(tag.startswith(f"{TAG}:") for tag in tags)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
