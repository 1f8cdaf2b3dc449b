"""Whom a repository's CODEOWNERS names for changed files."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from codeowners import CodeOwners

from airflow_agentfix.errors import ToolRefused
from airflow_agentfix.patterns import glob_spec

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""where GitHub looks; the first one that is there counts"""
MAX_BYTES = 512 * 1024
_BLANK = re.compile(r"(?<!\\)\s+")

log = logging.getLogger(__name__)


def owners_of(tree: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Logins, and teams as ORG/TEAM, that own one of the paths in this tree; nobody where there is no such file.

    An owner named by an e-mail address is left out: nobody can be asked by it.
    """
    file = next((tree / place for place in PLACES if (tree / place).is_file()), None)
    if file is None:
        return ()
    if file.stat().st_size > MAX_BYTES:
        log.warning("%s has more than %d bytes; nobody is asked for it", file.name, MAX_BYTES)
        return ()
    known = CodeOwners("\n".join(_usable(file.read_text(errors="replace"))))
    found = [name.removeprefix("@") for path in paths for kind, name in known.of(path) if kind != "EMAIL"]
    return tuple(dict.fromkeys(found))


def _usable(text: str) -> Iterator[str]:
    """The lines whose pattern is one; the others are told of, as GitHub skips them too."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            glob_spec(_BLANK.split(line.strip())[0])
            CodeOwners(line)
        except (ToolRefused, ValueError, re.error) as error:
            log.warning("Line %d of CODEOWNERS is left out: %s", number, error)
        else:
            yield line
