"""The few files of our pages, each at an address that changes with its content, so that browsers keep it for good."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter  # noqa: TID253 - the API server only
from fastapi.responses import FileResponse, Response  # noqa: TID253 - as above

from airflow_agentfix.web.declared import Right, page

FOLDER = Path(__file__).parents[1] / "static"
FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}

router = APIRouter()


def address_of(name: str) -> str:
    """Below our root. KeyError for a file that is not there."""
    return f"/static/{_digests()[name]}/{name}"


@router.get("/static/{digest}/{name:path}", **page(Right.NONE, reads="the file"))
def static(digest: str, name: str) -> Response:
    """No login is asked for: they are the same for everybody."""
    if _digests().get(name) != digest:
        return Response(status_code=404)
    return FileResponse(FOLDER / name, headers=FOR_GOOD)


@lru_cache(maxsize=1)
def _digests() -> dict[str, str]:
    files = (path for path in FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}
