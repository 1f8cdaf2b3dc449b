"""Importing a DAG file in a child: what it gives, and what it cannot reach."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from airflow_agentfix.code.child import without_network
from airflow_agentfix.code.import_check import ImportResult, import_shape

DAG = """
from airflow.sdk import dag, task, task_group, setup, teardown
from shop_names import QUEUE
print("noise")

@dag(schedule=None)
def shop():
    @setup
    def up(): ...
    @task(queue=QUEUE)
    def part(x): ...
    @task
    def each(x): ...
    @task_group
    def g(x):
        each(x)
    @teardown
    def down(): ...
    up() >> part.expand(x=[1, 2]) >> g.expand(x=[1, 2, 3]) >> down()

shop()
"""


def imported(tmp_path: Path, source: str, *, dag_id: str = "shop", timeout: float = 60) -> ImportResult:
    """Import `source` as dags/sales/shop.py of a repository whose bundle root is dags/."""
    folder = tmp_path / "dags" / "sales"
    folder.mkdir(parents=True)
    (folder / "shop.py").write_text(source)
    (tmp_path / "dags" / "shop_names.py").write_text('QUEUE = "big"\n')
    return import_shape(tmp_path, dag_file="sales/shop.py", dag_id=dag_id, subdir="dags", timeout=timeout)


def probe(tmp_path: Path, expression: str) -> str:
    """What the child sees; it tells by failing."""
    source = f"import airflow, os  # dag\nseen = {expression}\nraise RuntimeError('<' + str(seen) + '>')\n"
    error = imported(tmp_path, source).error
    assert error is not None
    return error.rpartition("RuntimeError: <")[2].partition(">")[0]


def test_a_dag_that_imports_gives_its_shape(tmp_path: Path) -> None:
    result = imported(tmp_path, DAG)
    assert result.error is None
    assert result.shape is not None
    tasks, groups = result.shape["tasks"], result.shape["groups"]
    assert {name: entry["downstream"] for name, entry in tasks.items()} == {
        "up": ["part"], "part": ["g.each"], "g.each": ["down"], "down": [],
    }  # fmt: skip
    assert tasks["part"]["mapped"] == {"kind": "dict-of-lists", "over": {"x": "2 values"}}
    assert tasks["part"]["attributes"]["queue"] == "big"
    assert groups == {"g": {"group": None, "mapped": {"kind": "dict-of-lists", "over": {"x": "3 values"}}}}
    assert (tasks["up"]["setup"], tasks["down"]["teardown"], tasks["g.each"]["group"]) == (True, True, "g")


def test_importing_leaves_the_tree_as_it_was(tmp_path: Path) -> None:
    imported(tmp_path, DAG)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["dags/sales/shop.py", "dags/shop_names.py"]


def test_an_import_error_says_why_with_paths_of_the_repository(tmp_path: Path) -> None:
    result = imported(tmp_path, DAG.replace("import QUEUE", "import QUEUES as QUEUE"))
    assert result.shape is None
    assert "cannot import name 'QUEUES'" in str(result.error)
    assert str(tmp_path) not in str(result.error)


def test_a_secret_in_an_import_error_is_masked(tmp_path: Path) -> None:
    token = "ghp_" + "a1B2" * 9
    error = str(imported(tmp_path, f"import airflow  # dag\nraise RuntimeError('refused: {token}')").error)
    assert "RuntimeError: refused: ***" in error
    assert token not in error


def test_a_dag_id_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    assert imported(tmp_path, DAG, dag_id="shops").error == "sales/shop.py has no DAG 'shops'; it has ['shop']."


def test_a_missing_file_is_an_answer(tmp_path: Path) -> None:
    result = import_shape(tmp_path, dag_file="nope.py", dag_id="shop")
    assert result == ImportResult(None, "There is no file nope.py.")


def test_an_import_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    body = f"""
import airflow, subprocess, time  # dag
child = subprocess.Popen(['sleep', '300'])
open({str(pid)!r}, 'w').write(str(child.pid))
time.sleep(300)
"""
    started = time.monotonic()
    result = imported(tmp_path, body, timeout=20)  # Airflow is imported in it first
    assert "did not end within 20 s" in str(result.error)
    assert time.monotonic() - started < 120
    with pytest.raises(ProcessLookupError):
        _wait_for_end(int(pid.read_text()))


def _wait_for_end(pid: int) -> None:
    for _ in range(50):
        os.kill(pid, 0)
        if (state := Path(f"/proc/{pid}/stat")).is_file() and " Z " in state.read_text():
            raise ProcessLookupError  # ended, and not yet collected by its new parent
        time.sleep(0.1)


def test_an_import_that_ends_its_process_is_an_answer(tmp_path: Path) -> None:
    result = imported(tmp_path, "import airflow, os, sys  # dag\nprint('last words', file=sys.stderr, flush=True)\nos._exit(7)")
    assert "last words" in str(result.error)
    assert "exit code 7" in str(result.error)


def test_the_child_has_no_token_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-nothing")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://dwh")
    seen = probe(tmp_path, "sorted(name for name in os.environ if 'ANTHROPIC' in name or 'CONN' in name)")
    assert seen == "[]"


def test_the_child_is_away_from_home_and_airflow_home(tmp_path: Path) -> None:
    home, airflow_home = probe(tmp_path, "os.environ['HOME'] + ' ' + os.environ['AIRFLOW_HOME']").split()
    assert home != os.environ.get("HOME")
    assert airflow_home == f"{home}/airflow"
    assert not Path(home).exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the platform shows descriptors another way")
def test_the_child_inherits_no_descriptor(tmp_path: Path) -> None:
    theirs, ours = os.pipe()
    os.set_inheritable(ours, True)
    try:
        assert probe(tmp_path, "os.readlink('/proc/self/fd/0')") == "/dev/null"
        assert probe(tmp_path / "again", f"os.path.exists('/proc/self/fd/{ours}') and os.readlink('/proc/self/fd/{ours}')") != (
            os.readlink(f"/proc/self/fd/{ours}")
        )
    finally:
        os.close(theirs)
        os.close(ours)


@pytest.mark.skipif(not without_network(), reason="the kernel allows no network namespace")
def test_the_child_has_no_network(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        address = listener.getsockname()
        socket.create_connection(address).close()
        assert probe(tmp_path, f"__import__('socket').socket().connect_ex({address!r}) != 0") == "True"


def test_a_deployments_default_retries_are_those_of_the_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TASK_RETRIES", "4")
    result = imported(tmp_path, DAG)
    assert result.shape is not None
    assert result.shape["tasks"]["up"]["attributes"]["retries"] == 4


def test_a_dag_that_needs_a_variable_does_not_import_and_says_so(tmp_path: Path) -> None:
    result = imported(tmp_path, "from airflow.sdk import Variable, DAG\nDAG(Variable.get('shop_id'), schedule=None)")
    assert result.shape is None
    assert "shop_id" in str(result.error)
