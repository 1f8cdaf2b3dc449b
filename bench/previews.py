"""Previews of 50 open fix branches of a 500 MB repository: refreshing them when nothing changed, and what each takes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figure import Figure, of_samples
from bench.fresh import last_line, runs
from tests.fakes.git_http import GitHttpServer
from tests.previews.world import BASE, World

BRANCHES = 50
REFRESHES = 10
MB = 1_000_000
HISTORY_MB, TREE_MB = 490, 10

LOAD = """
import json, os, resource, sys
from pathlib import Path
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

files = sorted(Path(os.environ["LOADERS"]).glob("*.py"))
def load(some):
    return [DagBag(dag_folder=str(file), bundle_path=file.parent, load_op_links=False).dags for file in some]
kept = load(files[:5])
before = resident()
kept += load(files[5:])
assert sum(map(len, kept)) == len(files), kept
print(json.dumps((resident() - before) / (len(files) - 5) / 1e6))
"""


def measure() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="agentfix-bench-") as folder:
        world = _world(Path(folder))
        with GitHttpServer(Path(folder)) as server:
            shelf = world.shelf(url=server.url("acme/dags.git"))
            first = _seconds(shelf.refresh)
            again = [_seconds(shelf.refresh) for _ in range(REFRESHES)]
        assert len(world.served()) == BRANCHES
        what = f"{BRANCHES} fix branches of a {HISTORY_MB + TREE_MB} MB repository over HTTP on loopback"
        yield of_samples("refresh of previews, nothing changed", again, by="max", unit="s", aim=2, how=f"Shelf.refresh(), {what}")
        yield Figure("first refresh of previews", round(first, 1), "s", 60, 1, f"fetch and check out {what}")
        trees = _size(world.folder / "trees") / MB / BRANCHES
        rest = (_size(world.folder) - _size(world.folder / "trees")) / MB / BRANCHES
        yield Figure(
            "disk per preview, its tree", round(trees, 2), "MB", TREE_MB * 1.2, 1, f"of {TREE_MB} MB that the branch has"
        )
        yield Figure(
            "disk per preview, the rest", round(rest, 2), "MB", 1, 1, "fetched objects, loader file and state, by preview"
        )
        (done,) = runs(LOAD, times=1, environ={"LOADERS": str(world.folder / "dags"), "PYTHONPATH": os.getcwd()})
        how = f"growth of resident memory by preview, {BRANCHES - 5} loaded in one process after 5 others"
        yield Figure("memory per loaded preview", round(json.loads(last_line(done)), 2), "MB", 2, 1, how)


def _world(folder: Path) -> World:
    world = World.make(folder, {**BASE, **{f"data/{n}.txt": os.urandom(MB // 2).hex() for n in range(TREE_MB)}})
    _age(world)
    for number in range(BRANCHES):
        world.rate(f"fix/shop-n{number}", str(number))
    return world


def _age(world: World) -> None:
    """A history of files that are no more, on a branch of its own that main had merged."""
    main = world.base

    def stream() -> Iterator[bytes]:
        yield b"reset refs/heads/history\n"
        for number in range(HISTORY_MB):
            yield b"commit refs/heads/history\ncommitter A <a@b.c> %d +0000\ndata 1\nx" % (1_500_000_000 + number)
            yield b"\nM 100644 inline old.bin\ndata %d\n" % MB + os.urandom(MB) + b"\n"

    command = ["git", "-c", "core.compression=0", "fast-import", "--quiet"]
    with subprocess.Popen(command, cwd=world.origin, stdin=subprocess.PIPE) as importing:
        assert importing.stdin is not None
        for piece in stream():
            importing.stdin.write(piece)
    merge = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", "commit-tree", f"{main}^{{tree}}", "-p", main, "-p", "history"]
    made = subprocess.run([*merge, "-m", "x"], cwd=world.origin, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "update-ref", "refs/heads/main", made], cwd=world.origin, check=True)
    subprocess.run(["git", "update-ref", "-d", "refs/heads/history"], cwd=world.origin, check=True)


def _seconds(act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _size(folder: Path) -> int:
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*"))
