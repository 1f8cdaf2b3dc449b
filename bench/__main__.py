"""`python -m bench [NAME…]`: run benchmarks, all unless named; one JSON object on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import platform
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

import bench
from bench.figure import Figure


def main() -> None:
    benchmarks = _benchmarks()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures of AgentFix, as JSON.")
    parser.add_argument("name", nargs="*", help=f"what to measure (default: all): {', '.join(benchmarks)}")
    parser.add_argument("--list", action="store_true", help="print the names and what each measures, and end")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.name) - set(benchmarks)):
        parser.error(f"no benchmark {', '.join(map(repr, unknown))}; there are {', '.join(benchmarks)}")
    if asked.list:
        for name, module in benchmarks.items():
            print(f"{name}: {(module.__doc__ or '').splitlines()[0]}")
        return
    figures = [figure.to_json() for name in asked.name or benchmarks for figure in _measured(name, benchmarks[name])]
    print(json.dumps({**_where(), "figures": figures}, indent=2))


def _benchmarks() -> dict[str, ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name[0] != "_")
    modules = {name: import_module(f"bench.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "measure")}


def _measured(name: str, benchmark: ModuleType) -> Iterator[Figure]:
    print(f"{name} …", file=sys.stderr, flush=True)
    start = time.monotonic()
    for figure in benchmark.measure():
        print(f"  {figure}", file=sys.stderr, flush=True)
        yield figure
    print(f"  took {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def _where() -> dict[str, object]:
    """Figures mean little without the machine and the versions they were taken on."""
    versions = {name: version(name) for name in ("apache-airflow", "airflow-provider-agentfix")}
    return {"python": platform.python_version(), **versions, "system": platform.platform(), "cores": os.cpu_count()}


if __name__ == "__main__":
    main()
