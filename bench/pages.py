"""Pages with 10,000 sessions and 500,000 events behind them, on SQLite and on Postgres: queries, server time, weight."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from airflow_agentfix.core.groups import Group
from airflow_agentfix.core.incident import Verdict
from airflow_agentfix.store.listing import Filter, Listing, Place
from bench.figure import Figure, of_samples
from bench.filled import LATE, LONG, LONG_RUN, NOW, RUN, SHORT, fill, first_dag
from tests.fakes.api_server import COOKIE, ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import Server

TIMES, WARM = 40, 3
PER_PAGE = 50
WANTED: Mapping[str, Filter] = {
    "everything": Filter(),
    "one state": Filter(group=Group.UNSOLVED),
    "one verdict": Filter(verdict=Verdict.DATA),
    "one DAG": Filter(dag_id=first_dag()),
    "a week": Filter(since=NOW.date().isoformat()),
    "search, some fit": Filter(search="KEYerror"),
    "search, one fits": Filter(search="(batch 9971)"),
    "search, none fits": Filter(search="no such thing"),
    "search, all fit": Filter(search="pipeline"),
}
CUTS: Mapping[str, Mapping[str, Place]] = {"first page": {}, "late page": {"after": LATE}, "page before it": {"before": LATE}}
OF = "10,000 sessions, 500,000 events, 200 DAGs"
LEVEL = 5
"""of gzip, as Airflow's middleware has it"""


def measure() -> Iterator[Figure]:
    for kind in ("sqlite", "postgres"):
        with TemporaryDirectory(prefix="agentfix-bench-") as folder, _filled(kind, Path(folder)) as server:
            yield _inbox_query(kind, server)
            with ApiServer(server.service) as api:
                yield from _pages(kind, api)


@contextmanager
def _filled(kind: str, folder: Path) -> Iterator[Server]:
    server = Server(new_database(kind, folder))
    fill(server.store.engine)
    server.clock.now = NOW
    server.airflow.rights |= {("anna", dag_id): "edit" for dag_id in server.store.dag_ids()}
    for run_id in (RUN, LONG_RUN):
        server.airflow.fail(first_dag(), run_id, "load_0")
    yield server
    server.close()


def _inbox_query(kind: str, server: Server) -> Figure:
    """The slowest of all filters: the first page, a late one, and the one before that."""
    listing, readable = Listing(server.store.engine), server.store.dag_ids()
    measured = {}
    for name, wanted in WANTED.items():
        for page, cut in CUTS.items():
            measured[f"{name}, {page}"] = _times(lambda w=wanted, c=cut: _look(listing, readable, w, c))  # type: ignore[misc]  # bound now
    slowest = max(measured, key=lambda name: sorted(measured[name])[-3])
    told = f"{kind}: the page, the numbers of its groups, failures of each row; slowest of {len(measured)}: {slowest}; {OF}"
    return of_samples(f"inbox query, {kind}", measured[slowest], by="p95", unit="ms", aim=50, how=told)


def _look(listing: Listing, readable: Collection[str], wanted: Filter, cut: Mapping[str, Place]) -> None:
    found = listing.look(readable, wanted, **cut, limit=PER_PAGE + 1)
    listing.failures([one.session.id for one in found.page])


def _pages(kind: str, api: ApiServer) -> Iterator[Figure]:
    browser = requests.Session()
    browser.cookies.set(COOKIE, "anna")
    key = {"dag_id": first_dag(), "run_id": RUN, "task_id": "load_0"}
    pages: Mapping[str, tuple[str, Mapping[str, str]]] = {
        "inbox": ("/", {}),
        "inbox, searched": ("/", {"q": "keyerror"}),
        "run tab": ("/run", {"dag_id": first_dag(), "run_id": RUN}),
        "run tab, session of 2,000 events": ("/run", {"dag_id": first_dag(), "run_id": LONG_RUN}),
        "task tab": ("/task", key),
        "session of 50 events": (f"/sessions/{SHORT}", {}),
        "session of 2,000 events": (f"/sessions/{LONG}", {}),
    }
    root = f"{api.url}/agentfix"
    for name, (path, params) in pages.items():
        ask = lambda headers=None, path=path, params=params: _asked(browser, f"{root}{path}", params, headers)  # noqa: E731 - bound now
        answer = ask()
        how = f"{kind}: over HTTP on 127.0.0.1, the client's share too; rights answer at once; {OF}"
        yield of_samples(f"{name}, {kind}", _times(ask), by="p95", unit="ms", aim=150, how=how)
        if kind == "sqlite":
            yield _weight(name, browser, api.url, answer.text)
        if polled := _poll(answer.text, api.url):
            yield _polled(f"{name}, {kind}", browser, *polled)


def _asked(
    browser: requests.Session, url: str, params: Mapping[str, str], headers: Mapping[str, str] | None
) -> requests.Response:
    answer = browser.get(url, params=params, headers=headers, timeout=30)
    if answer.status_code not in (200, 304):
        raise RuntimeError(f"{url} answers {answer.status_code}: {answer.text[:300]}")
    return answer


def _poll(text: str, url: str) -> tuple[str, str] | None:
    """What the page asks for every two seconds, and the tag it sends."""
    for tag in re.findall(r"<\w+[^>]*data-etag=[^>]*>", text):
        address, etag = (re.search(pattern, tag) for pattern in (r'hx-get="([^"]+)"', r"data-etag='([^']+)'"))
        if address and etag:
            return f"{url}{_unescaped(address[1])}", _unescaped(etag[1])
    return None


def _polled(name: str, browser: requests.Session, address: str, etag: str) -> Figure:
    headers = {"HX-Request": "true", "If-None-Match": etag}
    status = _asked(browser, address, {}, headers).status_code
    samples = _times(lambda: _asked(browser, address, {}, headers))
    how = f"a poll while nothing changes, which answers {status}; {OF}"
    return of_samples(f"{name}: poll", samples, by="p95", unit="ms", aim=150, how=how)


def _weight(name: str, browser: requests.Session, url: str, text: str) -> Figure:
    files = sorted(set(re.findall(r'(?:href|src)="([^"]*/static/[^"]+)"', text)))
    sizes = {file: _zipped(browser.get(f"{url}{file}", timeout=30).content) for file in files}
    page = _zipped(text.encode())
    how = f"page {page / 1000:.1f} KB and {len(files)} files, each by gzip {LEVEL}; later pages take the files from the cache"
    return Figure(f"{name}: weight", round((page + sum(sizes.values())) / 1000, 1), "KB", 150, 1, how)


def _zipped(content: bytes) -> int:
    return len(gzip.compress(content, LEVEL))


def _unescaped(text: str) -> str:
    return text.replace("&amp;", "&").replace("&#34;", '"')


def _times(call: Callable[[], object]) -> list[float]:
    for _ in range(WARM):
        call()
    return [_milliseconds(call) for _ in range(TIMES)]


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000
