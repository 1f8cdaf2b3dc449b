"""`python -m bench._visitors URL PATH TOKEN PAGES`: so many open pages, each polling as agentfix.js does, until told to stop.

Prints one JSON object then: how many polls were answered how.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections import Counter
from html import unescape

import httpx

BEATS = {"agentfix:poll": 2.0, "agentfix:slow": 15.0, "agentfix:minute": 60.0}
_TAG = re.compile(r"<[a-z]+ [^>]*hx-trigger=[^>]*agentfix:[^>]*>")
_ATTRIBUTE = re.compile(r"""([\w-]+)=(?:"([^"]*)"|'([^']*)')""")


def polls_of(html: str) -> dict[str, dict[str, str]]:
    """The attributes of each element that polls, by its id."""
    tags = [{name: unescape(one or other) for name, one, other in _ATTRIBUTE.findall(tag)} for tag in _TAG.findall(html)]
    return {tag.get("id", tag["hx-get"]): tag for tag in tags if "hx-get" in tag}


async def visit(client: httpx.AsyncClient, path: str, *, phase: float, seen: Counter[str]) -> None:
    """One page: opened, then kept alive, each element at its own beat. `phase`: from 0 to 1, so that many pages are as those that
    were opened at any time."""
    await asyncio.sleep(2 * phase)
    page = await client.get(path)
    seen[f"page {page.status_code}"] += 1
    parts = polls_of(page.text)
    await asyncio.gather(*(_keep(client, part, parts, phase, seen) for part in list(parts)))


async def _keep(client: httpx.AsyncClient, part: str, parts: dict[str, dict[str, str]], phase: float, seen: Counter[str]) -> None:
    await asyncio.sleep(_beat(parts[part]) * phase)
    while part in parts:
        shown = parts[part]
        known = {"If-None-Match": shown["data-etag"]} if shown.get("data-etag") else {}
        answer = await client.get(shown["hx-get"], headers={"HX-Request": "true", **known})
        seen[f"poll {answer.status_code}"] += 1
        if answer.status_code == 200:
            parts.update({name: one for name, one in polls_of(answer.text).items() if name in parts})
        await asyncio.sleep(_beat(parts[part]))


def _beat(shown: dict[str, str]) -> float:
    return next(seconds for name, seconds in BEATS.items() if name in shown["hx-trigger"])


async def main(url: str, path: str, token: str, pages: int) -> None:
    seen: Counter[str] = Counter()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    limits = httpx.Limits(max_connections=pages, max_keepalive_connections=pages)
    async with httpx.AsyncClient(base_url=url, cookies={"_token": token}, timeout=30, limits=limits) as client:
        visits = [asyncio.create_task(visit(client, path, phase=one / pages, seen=seen)) for one in range(pages)]
        await stop.wait()
        for one in visits:
            one.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
