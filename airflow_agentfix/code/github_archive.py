"""A commit's tree as GitHub's archive: fetched bounded, read without being unpacked by its own names."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from typing import IO

import requests  # noqa: TID253 - an adapter; only wiring.py imports it
from requests.adapters import HTTPAdapter  # noqa: TID253 - an adapter; only wiring.py imports it
from urllib3 import Retry

from airflow_agentfix.code import tree
from airflow_agentfix.errors import CodeHostRefused

ARCHIVE_BYTES = 300_000_000
FILE_BYTES = 100_000_000
_RETRY = Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504], retry_after_max=60)


def download(link: str, archive: IO[bytes], *, about: str) -> None:
    """Fetch what `link` gives, and no more than ARCHIVE_BYTES. Raises requests' errors, and CodeHostRefused."""
    archive.seek(0)
    archive.truncate()
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
        # no login: the link carries its own short-lived one
        with session.get(link, stream=True, timeout=60) as response:
            response.raise_for_status()
            for chunk in response.iter_content(1 << 20):
                archive.write(chunk)
                if archive.tell() > ARCHIVE_BYTES:
                    raise CodeHostRefused(f"The archive of {about} has over {ARCHIVE_BYTES} bytes; use plain git for it.")
    archive.seek(0)


def contents(archive: IO[bytes]) -> Iterator[tuple[str, str, bytes]]:
    """(path, mode, content) of the archive's files and links; its first folder is GitHub's own."""
    try:
        with tarfile.open(fileobj=archive, mode="r|gz") as members:
            for member in members:
                path = member.name.partition("/")[2]
                if member.issym():
                    yield path, tree.SYMLINK, os.fsencode(member.linkname)
                elif member.isreg() and member.size <= FILE_BYTES and (file := members.extractfile(member)):
                    yield path, tree.FILE, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CodeHostRefused(f"GitHub's archive cannot be read: {error}; try again.") from error


def blob_id(content: bytes) -> str:
    """The id that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
