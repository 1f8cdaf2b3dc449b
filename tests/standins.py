"""What others made that our fakes are held against, as `make standins` fetches it; not in the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / ".standins"
GITHUB_OPENAPI = FOLDER / "api.github.com.json"
EMULATE = FOLDER / "node_modules" / ".bin" / "emulate"


def needed(file: Path) -> Path:
    """The file; where it is not there the test is skipped, and in CI, which fetches it, it fails."""
    if not file.exists():
        told = f"{file.name} is not in {FOLDER.name}/; fetch it with: make standins (needs npm)"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    return file
