"""The working copy: edits stay inside the tree, touch only what they name, and can be undone and rebuilt."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from airflow_agentfix.code.working_copy import SEARCHED_BYTES, WorkingCopy
from airflow_agentfix.errors import EditRefused, ToolRefused
from airflow_agentfix.ports import FileChange


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "dags" / "lib").mkdir(parents=True)
    (root / "dags" / "shop.py").write_bytes(b"import lib\r\nx = 1\r\n")
    (root / "dags" / "lib" / "prices.py").write_bytes(b"def total(price):\n    return price")
    (root / "README.md").write_text("# Shop\n")
    (root / "logo.png").write_bytes(b"\x89PNG\0\1")
    (root / "latin.txt").write_bytes(b"caf\xe9\n")
    (root / "inside").symlink_to("README.md")
    (root / "outside").symlink_to(tmp_path)
    (tmp_path / "secret.txt").write_text("secret\n")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("x\n")
    return root


def test_files_are_listed_sorted_without_git_and_without_what_is_outside(root: Path) -> None:
    copy = WorkingCopy(root)
    assert copy.list_files() == ["README.md", "dags/lib/prices.py", "dags/shop.py", "inside", "latin.txt", "logo.png"]
    assert copy.list_files("*.py") == ["dags/lib/prices.py", "dags/shop.py"]
    assert copy.list_files("dags/*.py") == ["dags/shop.py"]
    assert copy.list_files("dags/**") == ["dags/lib/prices.py", "dags/shop.py"]
    assert copy.list_files("*.sql") == []


def test_a_missing_file_names_near_ones(root: Path) -> None:
    copy = WorkingCopy(root)
    with pytest.raises(EditRefused, match=r"Did you mean 'dags/lib/prices\.py'"):
        copy.read("lib/prices.py")
    with pytest.raises(EditRefused, match=r"Did you mean 'dags/shop\.py'"):
        copy.read("dags/shopp.py")
    with pytest.raises(EditRefused, match="list_files"):
        copy.read("zzzzzzzz")


@pytest.mark.parametrize(("path", "said"), [("logo.png", "binary"), ("latin.txt", "not UTF-8"), ("dags", "is a folder")])
def test_what_is_no_text_is_refused_with_its_reason(root: Path, path: str, said: str) -> None:
    with pytest.raises(EditRefused, match=said):
        WorkingCopy(root).read(path)
    with pytest.raises(EditRefused, match=said):
        WorkingCopy(root).edit(path, "a", "b")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.txt", "dags/../../secret.txt", "outside/secret.txt", ".git/config", "", "a\0b"]
)
def test_nothing_outside_the_tree_is_read_or_written(root: Path, path: str) -> None:
    copy = WorkingCopy(root)
    for act in (
        lambda: copy.read(path),
        lambda: copy.edit(path, "secret", "x"),
        lambda: copy.create(path, "x"),
        lambda: copy.delete(path),
    ):
        with pytest.raises(EditRefused):
            act()
    assert (root.parent / "secret.txt").read_text() == "secret\n"
    assert sorted(file.name for file in root.parent.iterdir()) == ["secret.txt", "tree"]
    with pytest.raises(EditRefused):
        WorkingCopy(root, files={path: "x"})


def test_a_link_inside_can_be_read_and_is_never_written_through(root: Path) -> None:
    copy = WorkingCopy(root)
    assert copy.read("inside") == "# Shop\n"
    for act in (lambda: copy.edit("inside", "Shop", "x"), lambda: copy.delete("inside"), lambda: copy.create("inside/x", "y")):
        with pytest.raises(EditRefused, match=r"symbolic link|folder"):
            act()


def test_an_edit_changes_only_what_it_names(root: Path) -> None:
    copy = WorkingCopy(root)
    copy.edit("dags/shop.py", "import lib\nx = 1", "import lib\nx = 2")
    copy.edit("dags/lib/prices.py", "return price", "return price * 2")
    assert (root / "dags/shop.py").read_bytes() == b"import lib\r\nx = 2\r\n"
    assert (root / "dags/lib/prices.py").read_bytes() == b"def total(price):\n    return price * 2"
    assert copy.changes() == (
        FileChange("dags/lib/prices.py", b"def total(price):\n    return price * 2"),
        FileChange("dags/shop.py", b"import lib\r\nx = 2\r\n"),
    )


def test_the_mode_of_an_edited_file_stays(root: Path) -> None:
    (root / "README.md").chmod(0o755)
    WorkingCopy(root).edit("README.md", "Shop", "Store")
    assert (root / "README.md").stat().st_mode & 0o777 == 0o755


def test_a_new_file_is_created_once_and_a_deleted_one_is_gone(root: Path) -> None:
    copy = WorkingCopy(root)
    copy.create("dags/new/a.py", "a = 1\n")
    copy.delete("dags/lib/prices.py")
    assert copy.patch() == [
        {"path": "dags/lib/prices.py", "before": "def total(price):\n    return price", "after": None},
        {"path": "dags/new/a.py", "before": None, "after": "a = 1\n"},
    ]
    with pytest.raises(EditRefused, match="exists already"):
        copy.create("dags/new/a.py", "b")
    assert not (root / "dags/lib").exists()


@pytest.mark.parametrize("path", ["readme.md", "DAGS/other.py", "dags/Shop.py"])
def test_a_name_that_differs_only_in_case_is_refused(root: Path, path: str) -> None:
    with pytest.raises(EditRefused, match="only in case"):
        WorkingCopy(root).create(path, "x")


def test_a_new_file_has_a_name_that_is_no_other_files_on_any_system(root: Path) -> None:
    (root / "aux.py").write_text("x = 1\n")
    copy = WorkingCopy(root)
    with pytest.raises(EditRefused, match="a device on Windows"):
        copy.create("dags/aux.py", "x")
    copy.edit("aux.py", "1", "2")  # one that is there is nobody's fault


def test_a_file_where_a_folder_would_be_needed_is_refused(root: Path) -> None:
    with pytest.raises(EditRefused):
        WorkingCopy(root).create("README.md/x.py", "x")


def test_a_submodule_is_another_repository(root: Path) -> None:
    (root / ".gitmodules").write_text('[submodule "lib"]\n\tpath = vendor/lib\n\turl = https://example.com/lib\n')
    for path in ("vendor/lib", "vendor/lib/a.py"):
        with pytest.raises(EditRefused, match="submodule"):
            WorkingCopy(root).create(path, "x")
    WorkingCopy(root).create("vendor/library.py", "x")


def test_a_change_taken_back_is_no_change(root: Path) -> None:
    copy = WorkingCopy(root)
    copy.edit("README.md", "Shop", "Store")
    copy.edit("README.md", "Store", "Shop")
    assert copy.changes() == ()
    assert copy.diff() == ""
    assert copy.revision == 2


def test_restore_undoes_everything_since_the_snapshot(root: Path) -> None:
    copy = WorkingCopy(root)
    copy.edit("README.md", "Shop", "Store")
    snapshot = copy.snapshot()
    copy.edit("README.md", "Store", "Other")
    copy.create("a/b.py", "b")
    copy.delete("dags/shop.py")
    copy.restore(snapshot)
    assert copy.revision == snapshot.revision == 1
    assert [file["path"] for file in copy.patch()] == ["README.md"]
    assert copy.read("README.md") == "# Store\n"
    assert (root / "dags/shop.py").read_bytes() == b"import lib\r\nx = 1\r\n"
    assert not (root / "a").exists()


def test_the_patch_rebuilds_the_same_copy_elsewhere(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["cp", "-a", str(root), str(other)], check=True)
    copy = WorkingCopy(root)
    copy.edit("dags/shop.py", "x = 1", "x = 2")
    copy.create("dags/new.py", "n\n")
    copy.delete("README.md")
    rebuilt = WorkingCopy(other, files={file["path"]: file["after"] for file in copy.patch()})
    assert rebuilt.changes() == copy.changes()
    assert rebuilt.diff() == copy.diff()


def test_the_diff_is_one_git_applies(root: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    subprocess.run(["cp", "-a", str(root), str(before)], check=True)
    subprocess.run(["rm", "-rf", str(before / ".git")], check=True)
    subprocess.run(["git", "init", "-q"], cwd=before, check=True)
    copy = WorkingCopy(root)
    copy.edit("dags/shop.py", "x = 1", "x = 2")
    copy.create("dags/new.py", "no end")
    copy.delete("dags/lib/prices.py")
    subprocess.run(["git", "apply", "-"], cwd=before, input=copy.diff().encode(), check=True)
    assert (before / "dags/shop.py").read_bytes() == b"import lib\r\nx = 2\r\n"
    assert WorkingCopy(before).list_files("dags/**") == WorkingCopy(root).list_files("dags/**")


def test_search_gives_path_number_and_line_and_passes_over_what_is_no_text(root: Path) -> None:
    (root / "big.txt").write_text("price\n" * (SEARCHED_BYTES // 6 + 1))
    copy = WorkingCopy(root)
    assert copy.search(r"\bprice\b") == [
        ("dags/lib/prices.py", 1, "def total(price):"),
        ("dags/lib/prices.py", 2, "    return price"),
    ]
    assert copy.search("^x = 1$", "*.py") == [("dags/shop.py", 2, "x = 1")]
    assert copy.search("x", "*.sql") == []
    assert copy.search("secret") == []


@pytest.mark.parametrize(
    ("regex", "said"), [("(", "no regular expression"), ("x" * 201, "201 characters"), ("(a+)+$", "repeats a group")]
)
def test_a_regex_that_cannot_be_run_is_refused(root: Path, regex: str, said: str) -> None:
    with pytest.raises(ToolRefused, match=said):
        WorkingCopy(root).search(regex)


@pytest.mark.parametrize("glob", ["\\", "*a*a*a*a*a*b", "**/" * 9 + "x", "x" * 201])
def test_a_glob_that_cannot_be_run_or_never_ends_is_refused(root: Path, glob: str) -> None:
    with pytest.raises(ToolRefused, match="glob"):
        WorkingCopy(root).list_files(glob)


def test_links_that_lead_to_themselves_and_overlong_names_are_refused_not_stumbled_over(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    (root / "here").symlink_to("there")
    (root / "there").symlink_to("here")
    copy = WorkingCopy(root)
    for path in ("loop", "here/x", "a" * 300, "a/" * 2000 + "x", "caf\udce9.py"):
        with pytest.raises(EditRefused):
            copy.read(path)
        with pytest.raises(EditRefused):
            copy.create(path, "x\n")
    assert "loop" not in copy.list_files()
