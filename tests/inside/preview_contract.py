"""What a preview's DAG is, as this Airflow loads it: over real trees, loader files and its own DagBag."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_agentfix.bundles import AgentFixPreviews
from airflow_agentfix.errors import ConfigurationError, RepositoryNotFound
from airflow_agentfix.previews import sdk
from tests.code.repos import git
from tests.previews.world import SECRET, SHOP, World

HEAD = "from airflow.sdk import DAG, Asset, AssetAlias, asset, dag, task, task_group, setup, teardown, BaseOperator\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path)


@pytest.fixture(autouse=True)
def _own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test is a process of its own, as far as imports and storage go."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    monkeypatch.setenv("AIRFLOW__AGENTFIX__SIGNING_KEY", SECRET)
    path, finders, modules = list(sys.path), list(sys.meta_path), set(sys.modules)
    yield
    sys.path[:], sys.meta_path[:] = path, finders
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and "pytest" in str(sys.modules[name].__file__):
            del sys.modules[name]


def bag_of(folder: Path) -> Any:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    return DagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)


def previews(world: World, **options: bool) -> Any:
    """Everything that is served, loaded in this one process."""
    world.shelf(**options).refresh()
    return bag_of(world.folder / "dags")


def preview(
    world: World, source: str, *, dag_id: str = "shop", files: Mapping[str, str | None] | None = None, **options: bool
) -> Any:
    """The one DAG of a fix that makes the DAG file say `source`."""
    world.fix("fix/one", {"dags/shop_dag.py": HEAD + source, **(files or {})}, dag_id=dag_id)
    bag = previews(world, **options)
    assert bag.import_errors == {}
    assert list(bag.dags) == [f"{dag_id}.fix-one"]
    return bag.dags[f"{dag_id}.fix-one"]


def run(dag: Any, task_id: str = "total") -> Any:
    """What the task's function gives."""
    return dag.get_task(task_id).python_callable()


@contextmanager
def task_process(dag_id: str) -> Iterator[None]:
    """As on a worker: the process is for one task of this DAG."""
    os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = dag_id
    try:
        yield
    finally:
        del os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"]


def serialized(dag: Any) -> Mapping[str, Any]:
    module = importlib.import_module("airflow.serialization.serialized_objects")
    serializer = getattr(module, "DagSerialization", None) or module.SerializedDAG
    data: Mapping[str, Any] = serializer.to_dict(dag)["dag"]
    return data


# --- what it is ---


def test_a_preview_has_its_own_id_tags_and_no_schedule(world: World) -> None:
    commit = world.rate("fix/one", "1")
    dag = previews(world).dags["shop.fix-one"]
    assert dag.tags == {"sales", "agentfix", f"agentfix:{commit}"}
    assert (dag.schedule, type(dag.timetable).__name__) == (None, "NullTimetable")
    assert (dag.catchup, dag.is_paused_upon_creation, dag.dag_display_name) == (False, False, "shop.fix-one")
    assert f"at `{commit}`" in dag.doc_md
    assert {task.dag_id for task in dag.tasks} == {"shop.fix-one"}


def test_a_preview_is_stored_as_what_it_is(world: World) -> None:
    world.rate("fix/one", "1")
    data = serialized(previews(world).dags["shop.fix-one"])
    assert data["dag_id"] == "shop.fix-one"
    assert str(data["timetable"]["__type"]).endswith("NullTimetable")
    assert data["relative_fileloc"] == "fix-one.py"
    assert data["is_paused_upon_creation"] is False


SHAPES = {
    "with_dag": 'with DAG("shop", schedule="@daily"):\n    @task\n    def total(): ...\n    total()\n',
    "decorated": '@dag(dag_id="shop", schedule="@daily")\ndef made():\n    BaseOperator(task_id="x")\nmade()\n',
    "assigned": 'one = DAG("shop", schedule="@daily", auto_register=False)\ntask(dag=one)(lambda: 1)\n',
    "in_a_loop": "for name in ('a', 'shop', 'b'):\n    with DAG(name, schedule='@daily'):\n        BaseOperator(task_id='x')\n",
    "in_globals": "for name in ('a', 'shop'):\n    globals()[name] = DAG(name, schedule='@daily', auto_register=False)\n",
    "by_asset": "with DAG('shop', schedule=[Asset('in')]):\n    BaseOperator(task_id='x')\n",
    "asset": "@asset(schedule='@daily')\ndef shop(): ...\n",
    "asset_multi": "@asset.multi(schedule='@daily', outlets=[Asset('a'), Asset('b')])\ndef shop(): ...\n",
    "elsewhere": "from shop.makes import one\n",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_dags_are_found_however_they_are_made(world: World, shape: str) -> None:
    made = {"dags/shop/makes.py": "from airflow.sdk import DAG\none = DAG('shop', schedule='@daily')\n"}
    dag = preview(world, SHAPES[shape], files=made)
    assert (dag.dag_id, dag.schedule, type(dag.timetable).__name__) == ("shop.fix-one", None, "NullTimetable")


def test_groups_mapped_tasks_setup_and_teardown_are_as_the_branch_has_them(world: World) -> None:
    source = """
with DAG("shop"):
    @setup
    def up(): ...
    @task
    def part(x): ...
    @task_group
    def group(x):
        part.override(task_id="inner")(x)
    @teardown
    def down(): ...
    up() >> part.expand(x=[1, 2]) >> group.expand(x=[1, 2]) >> down()
"""
    dag = preview(world, source)
    assert sorted(dag.task_ids) == ["down", "group.inner", "part", "up"]
    assert (dag.get_task("up").is_setup, dag.get_task("down").is_teardown) == (True, True)
    assert dag.get_task("part").downstream_task_ids == {"group.inner"}
    assert serialized(dag)["dag_id"] == "shop.fix-one"


def test_a_dag_file_that_makes_only_the_asked_dag_is_asked_for_its_own(world: World) -> None:
    source = """
from airflow.sdk import get_parsing_context
asked = get_parsing_context().dag_id
for name in ("a", "shop", "b"):
    if asked in (None, name):
        DAG(name, auto_register=True).__enter__().__exit__(None, None, None)
"""
    world.fix("fix/one", {"dags/shop_dag.py": HEAD + source})
    with task_process("shop.fix-one"):
        assert list(previews(world).dags) == ["shop.fix-one"]
        assert os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] == "shop.fix-one"


def test_templates_are_found_beside_the_dag_file(world: World) -> None:
    source = """
class Ask(BaseOperator):
    template_fields, template_ext = ("sql",), (".sql",)
    def __init__(self, *, sql, **kwargs):
        super().__init__(**kwargs)
        self.sql = sql
with DAG("shop", template_searchpath="/nowhere"):
    Ask(task_id="ask", sql="ask.sql")
"""
    dag = preview(world, source, files={"dags/ask.sql": "SELECT 'branch'"})
    assert dag.get_task("ask").sql == "SELECT 'branch'"
    assert dag.template_searchpath[1:] == ["/nowhere"]


def test_a_dag_that_only_its_schedule_may_start_can_be_triggered(world: World) -> None:
    if not hasattr(__import__("airflow.sdk").sdk.DAG("x"), "allowed_run_types"):
        pytest.skip("this Airflow has no allowed_run_types")
    dag = preview(world, "with DAG('shop', schedule='@daily', allowed_run_types=['scheduled']): ...\n")
    assert not dag.allowed_run_types


# --- assets ---

OUTLETS = """
with DAG("shop", default_args={"outlets": [Asset("default")]}):
    @task(outlets=[Asset("one")])
    def one(): ...
    @task(outlets=[Asset("two"), AssetAlias("alias")])
    def two(x): ...
    @task_group
    def group(x):
        two(x)
    one() >> [two.expand(x=[1, 2]), group.expand(x=[1])]
"""


def test_tasks_of_a_preview_emit_no_asset_events(world: World) -> None:
    dag = preview(world, OUTLETS)
    assert {task.task_id: list(task.outlets) for task in dag.tasks} == {"one": [], "two": [], "group.two": []}
    assert "Asset" not in str(serialized(dag)["tasks"])


def test_the_asset_of_an_asset_function_is_not_emitted(world: World) -> None:
    dag = preview(world, SHAPES["asset"])
    assert [list(task.outlets) for task in dag.tasks] == [[]]


def test_outlets_stay_where_the_deployment_says_so(world: World) -> None:
    dag = preview(world, OUTLETS, mute_outlets=False)
    assert [outlet.name for outlet in dag.get_task("one").outlets] == ["one"]
    assert len(dag.get_task("two").outlets) == 2


# --- imports ---


def test_several_previews_in_one_process_have_each_their_own_modules(world: World) -> None:
    for name in ("one", "two", "three"):
        world.rate(f"fix/{name}", name)
    dags = previews(world).dags
    assert {name: run(dag) for name, dag in dags.items()} == {
        "shop.fix-one": "one", "shop.fix-two": "two", "shop.fix-three": "three",
    }  # fmt: skip


def test_a_module_that_a_branch_adds_is_no_other_branchs(world: World) -> None:
    world.fix("fix/a", {"dags/helper.py": "RATE = 'a'\n", "dags/shop_dag.py": SHOP.replace("shop.money", "helper")})
    world.fix("fix/b", {"dags/shop_dag.py": SHOP.replace("shop.money", "helper")})
    bag = previews(world)
    assert list(bag.dags) == ["shop.fix-a"]
    assert "No module named 'helper'" in bag.import_errors["fix-b.py"]


def test_production_and_its_preview_in_one_process_do_not_see_each_other(world: World) -> None:
    world.rate("fix/one", "branch")
    production = bag_of_path(world.work / "dags")
    assert run(previews(world).dags["shop.fix-one"]) == "branch"
    assert run(production.dags["shop"]) == "base"
    assert "shop.money" in sys.modules
    assert "work" in str(sys.modules["shop.money"].__file__)
    again = importlib.reload(importlib.import_module("shop.money"))
    assert again.RATE == "base"


def bag_of_path(folder: Path) -> Any:
    """As Airflow's own commands do: the bundle's folder is put on the path for good."""
    sys.path.append(str(folder))
    return bag_of(folder)


def test_on_a_worker_the_trees_modules_replace_productions_for_good(world: World) -> None:
    world.fix("fix/one", {
        "dags/shop/money.py": "RATE = 'branch'\n",
        "dags/shop/late.py": "RATE = 'late branch'\n",
        "dags/shop_dag.py": SHOP.replace("return RATE", "from shop.late import RATE; return RATE"),
    })  # fmt: skip
    (world.work / "dags/shop/late.py").write_text("RATE = 'late base'\n")
    bag_of_path(world.work / "dags")
    with task_process("shop.fix-one"):
        dag = previews(world).dags["shop.fix-one"]
        assert run(dag) == "late branch"
        assert importlib.import_module("shop.late").RATE == "late branch"
        assert sys.path[0].endswith("/dags")


def test_in_a_command_that_loads_many_files_nothing_of_a_tree_stays(world: World) -> None:
    world.rate("fix/one", "1")
    path, finders = list(sys.path), list(sys.meta_path)
    previews(world)
    assert (sys.path, sys.meta_path) == (path, finders)
    assert not [name for name, module in sys.modules.items() if "/trees/" in str(getattr(module, "__file__", ""))]


def test_folders_without_init_are_the_trees_alone(world: World) -> None:
    """Python joins such folders of one name from all over its path."""
    world.fix("fix/one", {
        "dags/shop/money.py": None,
        "dags/shop/rates.py": "RATE = 1\n",
        "dags/shop_dag.py": SHOP.replace("import RATE", "import RATE  # gone"),
    })  # fmt: skip
    world.fix("fix/two", {"dags/shop/deep/er/money.py": "RATE = 2\n", "dags/shop_dag.py": SHOP.replace("shop.", "shop.deep.er.")})
    sys.path.insert(0, str(world.work / "dags"))
    bag = previews(world)
    assert "No module named 'shop.money'" in bag.import_errors["fix-one.py"]
    assert run(bag.dags["shop.fix-two"]) == 2


def test_other_bundles_are_no_place_to_import_from(world: World) -> None:
    bundle = sdk.bundles_folder() / "shop" / "tracking" / "dags"
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "left_over.py").write_text("RATE = 'other bundle'\n")
    sys.path.append(str(bundle))
    importlib.import_module("left_over")
    world.fix("fix/one", {"dags/shop_dag.py": SHOP.replace("shop.money", "left_over")})
    assert "No module named 'left_over'" in previews(world).import_errors["fix-one.py"]
    assert sys.modules["left_over"].RATE == "other bundle"


def test_a_dag_file_named_as_a_package_is_not_taken_for_it(world: World) -> None:
    names = ("github", "email", "statistics", "airflow", "colorsys")
    files = {f"dags/{name}.py": "raise RuntimeError('a DAG file')\n" for name in names}
    sys.modules.pop("colorsys", None)
    dag = preview(world, "import github, email, statistics, airflow.sdk, colorsys\nwith DAG('shop'): ...\n", files=files)
    assert dag.dag_id == "shop.fix-one"


def test_code_sees_its_own_place(world: World) -> None:
    source = "from pathlib import Path\nRATE = Path(__file__).with_name('rate.txt').read_text()\n"
    world.fix("fix/one", {"dags/shop/money.py": source, "dags/shop/rate.txt": "0.19"})
    assert run(previews(world).dags["shop.fix-one"]) == "0.19"


def test_a_repository_without_subdir_is_imported_from_its_top(world: World) -> None:
    world.fix("fix/one", {"dags/shop_dag.py": SHOP.replace("from shop.", "from dags.shop.")})
    world.shelf(subdir="").refresh()
    assert run(bag_of(world.folder / "dags").dags["shop.fix-one"]) == "base"


# --- the bundle, as the DAG processor and workers call it ---


def bundle_of(world: World, **options: Any) -> AgentFixPreviews:
    """A new object, as every process has; its folder is the storage's."""
    bundle = AgentFixPreviews(name="previews", repo_url=str(world.origin), subdir="dags", **options)
    world.folder = bundle.base_dir
    return bundle


def test_the_dag_processor_serves_a_branch_at_the_next_refresh_after_its_approval(world: World) -> None:
    bundle = bundle_of(world)
    bundle.initialize()
    assert list(bundle.path.iterdir()) == []
    world.rate("fix/one", "1")
    bundle.refresh()
    assert run(bag_of(bundle.path).dags["shop.fix-one"]) == "1"
    assert (bundle.supports_versioning, bundle.get_current_version()) == (False, None)


def test_a_worker_that_has_tree_and_loader_asks_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.rate("fix/one", "1")
    bundle_of(world).refresh()
    world.origin.rename(world.origin.with_name("away.git"))
    monkeypatch.setenv("PATH", "/nowhere")  # no git either
    with task_process("shop.fix-one"):
        bundle = bundle_of(world)
        bundle.initialize()
        assert run(bag_of(bundle.path).dags["shop.fix-one"]) == "1"


def test_a_worker_that_does_not_have_the_dag_fetches_it(world: World) -> None:
    world.rate("fix/one", "1")
    with task_process("shop.fix-one"):
        bundle_of(world).initialize()
        assert list(world.served()) == ["fix-one.py"]
    world.rate("fix/two", "2")
    with task_process("shop.fix-two"):
        bundle_of(world).initialize()
        assert list(world.served()) == ["fix-one.py", "fix-two.py"]
    assert set(bag_of(world.folder / "dags").dags) == {"shop.fix-one", "shop.fix-two"}


def test_a_worker_without_the_dag_says_why_it_cannot_get_it(world: World) -> None:
    world.origin.rename(world.origin.with_name("away.git"))
    with task_process("shop.fix-one"), pytest.raises(RepositoryNotFound, match="Check the repository's URL"):
        bundle_of(world).initialize()


def test_a_machine_that_nobody_refreshes_looks_again_after_an_hour_and_survives_an_outage(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first = world.rate("fix/one", "1")
    bundle_of(world).refresh()
    world.delete("fix/one")
    world.withdraw(first)
    world.rate("fix/one", "2")
    for hours, rate in ((0, "1"), (2, "2")):
        age(world, hours)
        with task_process("shop.fix-one"):
            bundle_of(world).initialize()
        assert run(bag_of(world.folder / "dags").dags["shop.fix-one"]) == rate
    world.origin.rename(world.origin.with_name("away.git"))
    age(world, 2)
    with task_process("shop.fix-one"):
        bundle_of(world).initialize()
        assert "serves what it has" in caplog.text
        caplog.clear()
        bundle_of(world).initialize()
        assert "serves what it has" not in caplog.text  # asked again in an hour, not at the next task


def age(world: World, hours: float) -> None:
    asked = world.folder / "asked"
    os.utime(asked, (asked.stat().st_mtime - hours * 3600,) * 2)


def test_tasks_that_start_at_once_fetch_once_and_all_find_it(world: World) -> None:
    """A thread with a bundle of its own takes the lock as a process does: by a file it opens itself."""
    world.rate("fix/one", "1")
    bundles = [bundle_of(world) for _ in range(4)]
    with task_process("shop.fix-one"), ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda bundle: bundle.initialize(), bundles))
    assert [(bundle.path / "fix-one.py").is_file() for bundle in bundles] == [True] * 4
    assert len(list((world.folder / "repository.git/objects/pack").glob("*.pack"))) == 1


@pytest.mark.parametrize("options", [{}, {"git_conn_id": "not_there"}])
def test_a_bundle_without_repository_says_what_to_configure(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"airflow connections add (not_there|git_default)"):
        AgentFixPreviews(name="previews", **options).initialize()


# --- what does not load ---


def error_of(world: World, files: Mapping[str, str | None], *, dag_id: str = "shop", subdir: str = "dags") -> str:
    """The import error of a broken branch, which leaves another alone."""
    world.fix("fix/broken", files, dag_id=dag_id)
    world.rate("fix/sound", "1")
    world.shelf(subdir=subdir).refresh()
    bag = bag_of(world.folder / "dags")
    if subdir == "dags":
        assert list(bag.dags) == ["shop.fix-sound"]
        assert list(bag.import_errors) == ["fix-broken.py"]
    return str(bag.import_errors["fix-broken.py"])


def test_a_branch_that_does_not_import_shows_its_own_error(world: World) -> None:
    said = error_of(world, {"dags/shop/money.py": "RATES = 1\n"})
    assert "cannot import name 'RATE' from 'shop.money'" in said
    assert "preview of DAG 'shop' as branch 'fix/broken' has it in 'dags/shop_dag.py'" in said
    assert "AgentFix session 5e55" in said


def test_a_syntax_error_names_file_and_line(world: World) -> None:
    said = error_of(world, {"dags/shop_dag.py": "from airflow.sdk import DAG\ndef broken(:\n"})
    assert "shop_dag.py" in said
    assert "line 2" in said


def test_a_dag_id_that_is_not_there_is_named_with_those_that_are(world: World) -> None:
    said = error_of(world, {"dags/shop_dag.py": SHOP.replace('"shop"', '"shops"')})
    assert "dags/shop_dag.py has no DAG 'shop' on this branch; it has ['shops']." in said


def test_a_dag_id_that_is_there_twice_is_an_error(world: World) -> None:
    said = error_of(world, {"dags/shop_dag.py": SHOP + SHOP.replace("total", "sum_up")})
    assert "makes 2 DAGs of the id 'shop'" in said


def test_a_deleted_dag_file_is_an_error(world: World) -> None:
    assert "The branch has no file 'dags/shop_dag.py'" in error_of(world, {"dags/shop_dag.py": None})


def test_a_missing_subdir_is_an_error(world: World) -> None:
    assert "no folder 'code', the subdir" in error_of(world, {"x.txt": "x"}, subdir="code")


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_link_that_leads_out_of_the_tree_is_not_followed(world: World, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "out.py").write_text(SHOP)
    links = {"dags/out.py": str(outside / "out.py")} if where == "file" else {"dags/to": str(outside)}
    file = "dags/out.py" if where == "file" else "dags/to/out.py"
    tree = _tree_with(world, links)
    world.commit(world.signed(tree=tree, file=file), branch="fix/x", files={"x.txt": "x"}, links=links)
    bag = previews(world)
    assert bag.dags == {}
    assert f"{file!r} leads out of the branch's tree" in bag.import_errors["fix-x.py"]


def _tree_with(world: World, links: Mapping[str, str]) -> str:
    git("checkout", "-q", "-B", "hand", "main", cwd=world.work)
    (world.work / "x.txt").write_text("x")
    for path, target in links.items():
        (world.work / path).symlink_to(target)
    git("add", "-A", cwd=world.work)
    tree = git("write-tree", cwd=world.work)
    git("reset", "-q", "--hard", "main", cwd=world.work)
    return tree


def test_a_failed_load_leaves_the_process_as_it_was(world: World) -> None:
    world.fix("fix/broken", {"dags/shop_dag.py": SHOP + "\nraise RuntimeError('at the end')\n"})
    path, finders = list(sys.path), list(sys.meta_path)
    with task_process("shop.fix-broken"):
        assert "at the end" in previews(world).import_errors["fix-broken.py"]
    assert (sys.path, sys.meta_path) == (path, finders)
    assert not any("/trees/" in str(getattr(module, "__file__", "")) for module in _modules())


def _modules() -> list[ModuleType]:
    return list(sys.modules.values())


def test_private_names_that_loading_needs_are_there() -> None:
    from airflow.sdk.definitions import context
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    assert isinstance(DagContext.autoregistered_dags, set)
    assert hasattr(DagContext, "current_autoregister_module_name")
    assert context._AIRFLOW_PARSING_CONTEXT_DAG_ID in ("_AIRFLOW_PARSING_CONTEXT_DAG_ID",)
    assert sdk.module_name(Path("/x/y.py")).endswith("_y")
    processor = Path(str(importlib.import_module("airflow.dag_processing.processor").__file__)).read_text()
    assert 'os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "client"' in processor
