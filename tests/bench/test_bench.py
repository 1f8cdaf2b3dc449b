"""`python -m bench` as `make bench` calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.figure import Figure, of_samples, spread_of

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_the_list_names_every_benchmark_with_what_it_measures_and_runs_none():
    done = run("--list")
    assert done.returncode == 0, done.stderr
    described = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert {"approval", "callback", "demo", "imports", "schemas"} <= set(described)
    assert described["schemas"] == "What the tools' schemas cost in every request to the model."


def test_standard_output_is_one_json_object_and_progress_goes_to_standard_error():
    done = run("schemas")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {"python", "apache-airflow", "airflow-provider-agentfix", "system", "cores", "figures"} == set(answer)
    (figure,) = answer["figures"]
    assert set(figure) == {"name", "value", "unit", "aim", "reached", "n", "how", "spread"}
    assert (figure["name"], figure["unit"], figure["aim"], figure["n"]) == ("tool schemas", "tokens", 1500, 1)
    assert figure["reached"] == (figure["value"] <= 1500)
    assert "tool schemas" in done.stderr


def test_an_unknown_name_is_refused_with_those_there_are():
    done = run("schemata")
    assert done.returncode == 2
    assert "no benchmark 'schemata'; there are approval, callback" in done.stderr
    assert done.stdout == ""


def test_a_figure_over_its_aim_is_not_reached_and_one_at_its_aim_is():
    assert not Figure("f", 20.1, "ms", 20, 1, "").reached
    assert Figure("f", 20, "ms", 20, 1, "").reached


def test_the_95th_percentile_is_a_sample_that_was_seen_and_never_the_worst_of_twenty():
    samples = [float(number) for number in range(20, 0, -1)]
    assert spread_of(samples) == {"min": 1, "median": 10.5, "p95": 19, "max": 20}
    assert spread_of([3.0]) == {"min": 3, "median": 3, "p95": 3, "max": 3}


@pytest.mark.parametrize(("by", "value"), [("median", 2), ("p95", 9)])
def test_a_figure_of_samples_counts_the_one_it_is_told_to(by: str, value: float):
    figure = of_samples("f", [1, 2, 9], by=by, unit="ms", aim=20, how="so")
    assert (figure.value, figure.n, figure.how) == (value, 3, f"{by} of 3: so")
