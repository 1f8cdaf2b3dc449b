"""`python -m bench [NAME…]`: run the measurements, all unless named, and print one JSON object."""

from __future__ import annotations

import json
import pkgutil
import sys
from importlib import import_module

import bench


def main() -> None:
    names = sys.argv[1:] or sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name[0] != "_")
    modules = {name: import_module(f"bench.{name}") for name in names}
    figures = {name: module.measure() for name, module in modules.items() if hasattr(module, "measure")}
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
