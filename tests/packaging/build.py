"""Building the distribution and installing it apart from the checkout, without a network.

hatchling builds and installer installs, both from the test environment, so that no index is asked and nothing is skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installed:
    """A virtual environment with our wheel; everything else it sees is the test environment's."""

    home: Path

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    @property
    def site(self) -> Path:
        return self.home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def python(self, code: str) -> str:
        return run(str(self.bin / "python"), "-c", code, home=self.home)


def run(*command: str, home: Path, cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed, started away from the checkout."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environ = {**clean, "AIRFLOW_HOME": str(home / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(command, cwd=cwd or home, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def build(source: Path, into: Path, *, target: str) -> Path:
    """The wheel or sdist that hatchling makes of `source`."""
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into), home=into, cwd=source)
    (made,) = into.iterdir()
    return made


def install(wheel: Path, home: Path) -> Installed:
    """A line of a .pth file adds the test environment's folder without reading the .pth files in it: the editable install of
    the checkout, which is one of those, stays hidden."""
    run(sys.executable, "-m", "venv", "--without-pip", str(home), home=home.parent)
    installed = Installed(home)
    (installed.site / "test_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(str(installed.bin / "python"), "-m", "installer", str(wheel), home=home)
    return installed
