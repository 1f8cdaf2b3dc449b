"""What others made that our fakes are held against, as `make standins` fetches it; not in the repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

FOLDER = Path(__file__).parent.parent / ".standins"
GITHUB_OPENAPI = FOLDER / "api.github.com.json"
EMULATE = FOLDER / "node_modules" / ".bin" / "emulate"


def needed(file: Path) -> Path:
    """The file; where it is not there the test is skipped, and in CI, which fetches it, it fails."""
    if not file.exists():
        missing(f"{file.name} is not in {FOLDER.name}/; fetch it with: make standins (needs npm)")
    return file


def missing(told: str) -> NoReturn:
    """Skip the test, or fail it in CI, which has everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)
