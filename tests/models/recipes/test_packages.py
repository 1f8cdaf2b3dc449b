"""A package the worker does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.conversation import converse, fail, failed, write

DAG = "def task():\n    import {}\n\ntask()\n"


@pytest.mark.parametrize(
    ("module", "line"), [("polars", "polars"), ("sklearn.linear_model", "scikit-learn"), ("cv2", "opencv-python-headless")]
)
def test_a_known_package_is_added_and_proposed_without_a_rerun(tmp_path: Path, module: str, line: str) -> None:
    write(tmp_path, dags__dag_py=DAG.format(module), requirements_txt="pandas-gbq==0.1\npandas==2.0\n")
    story = converse(tmp_path, fail(tmp_path))
    assert story.outcome == "proposed", story.report["root_cause"]
    assert story.changed == {"requirements.txt": f"pandas-gbq==0.1\npandas==2.0\n{line}\n"}
    assert "rerun" not in story.tools
    assert story.report["verdict"] == "dependency"
    assert "rebuild the workers' image" in story.report["owner_action"]


def test_the_requirements_nearest_above_the_dag_are_taken(tmp_path: Path) -> None:
    write(tmp_path, dags__dag_py=DAG.format("polars"), requirements_txt="pandas\n", dags__requirements_txt="numpy\n")
    assert converse(tmp_path, fail(tmp_path)).changed == {"dags/requirements.txt": "numpy\npolars\n"}


@pytest.mark.parametrize(
    ("module", "files"),
    [
        pytest.param("pandass", {"requirements_txt": "numpy\n"}, id="a_name_nobody_vetted"),
        pytest.param("acme_internal", {"requirements_txt": "numpy\n"}, id="a_private_package"),
        pytest.param("polars", {}, id="no_requirements_file"),
        pytest.param(
            "polars", {"a__requirements_txt": "x\n", "b__requirements_txt": "y\n"}, id="two_requirements_files_beside_the_dag"
        ),
        pytest.param("polars", {"requirements_txt": "numpy\nPolars>=1  # fast\n"}, id="named_already"),
        pytest.param("cv2", {"requirements_txt": "opencv_python_headless==4\n"}, id="named_already_in_another_spelling"),
        pytest.param("polars", {"requirements_txt": "numpy==1 --hash=sha256:00\n"}, id="locked_by_hashes"),
        pytest.param("polars", {"requirements_txt": "-r base.txt\n"}, id="made_of_other_files"),
        pytest.param("polars", {"requirements_txt": "numpy\n", "lib__polars_py": "X = 1\n"}, id="a_module_of_the_repository"),
        pytest.param("polars", {"requirements-dev_txt": "pytest\n"}, id="only_other_requirements"),
    ],
)
def test_what_is_not_certain_is_not_added(tmp_path: Path, module: str, files: dict[str, str]) -> None:
    write(tmp_path, dags__dag_py=DAG.format(module), **files)
    story = converse(tmp_path, fail(tmp_path))
    assert (story.outcome, story.changed) == ("reported", {})


def test_a_package_without_a_name_in_the_message_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, dags__dag_py="", requirements_txt="numpy\n")
    assert converse(tmp_path, failed(tmp_path, "ModuleNotFoundError", "polars is gone")).outcome == "reported"
