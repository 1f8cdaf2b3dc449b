"""Skills: sources, format, disclosure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import skills_ref
import typer

from airflow_agentfix.agent.skills import LEADING, load_skills, read_skill
from airflow_agentfix.cli.app import app
from airflow_agentfix.errors import SkillError, ToolRefused
from airflow_agentfix.resources import skills_folder

GOOD = "name: cooking\ndescription: Cook a meal."


def a_skill(folder: Path, front: str = GOOD, *, body: str = "Boil water.", name: str = "cooking") -> Path:
    target = folder / name
    target.mkdir(parents=True)
    (target / "SKILL.md").write_text(f"---\n{front}\n---\n{body}\n")
    return target


def test_the_shipped_skills_are_valid_by_the_formats_own_library_and_by_ours() -> None:
    folders = [path.parent for path in skills_folder().glob("*/SKILL.md")]
    assert [folder.name for folder in folders] == [LEADING]
    for folder in folders:
        assert skills_ref.validate(folder) == []
        assert len(read_skill(folder).body) < 4 * 5_000
        for companion in read_skill(folder).companions():
            assert companion in read_skill(folder).body


@pytest.mark.parametrize(
    ("front", "named"),
    [
        ("name: cooking", "description is 'None'"),
        ("name: Cooking\ndescription: x", "name is 'Cooking'"),
        ("name: a--b\ndescription: x", "name is 'a--b'"),
        ("name: baking\ndescription: x", "but the folder is 'cooking'"),
        ("name: cooking\ndescription: ''", "description is ''"),
        (f"name: cooking\ndescription: {'x' * 1025}", "1 to 1024"),
        (f"{GOOD}\ncompatibility: {'x' * 501}", "1 to 500"),
        (f"{GOOD}\nmodel: opus", "front matter has model"),
        (f"{GOOD}\nmetadata: {{a: 1}}", "metadata is"),
        ("name: [", "no YAML"),
    ],
)
def test_a_malformed_skill_names_file_finding_and_expectation(tmp_path: Path, front: str, named: str) -> None:
    folder = a_skill(tmp_path, front)
    with pytest.raises(SkillError) as error:
        read_skill(folder)
    assert named in str(error.value)
    assert str(folder / "SKILL.md") in str(error.value)
    assert skills_ref.validate(folder) != [] or "metadata" in named


def test_a_skill_without_front_matter_or_body_is_refused(tmp_path: Path) -> None:
    empty = a_skill(tmp_path / "a", body="")
    plain = a_skill(tmp_path / "b")
    (plain / "SKILL.md").write_text("# Cooking")
    for folder, named in ((empty, "the body has 0 lines"), (plain, "expected front matter")):
        with pytest.raises(SkillError, match=named):
            read_skill(folder)


def test_every_command_the_skill_names_is_one_the_command_line_has() -> None:
    group = typer.main.get_command(app)
    text = (skills_folder() / LEADING / "references" / "command-line.md").read_text()
    rows = [row for row in text.splitlines() if "`agentfix " in row]
    for row in rows:
        verb = re.findall(r"`agentfix ([\w-]+)", row)[-1]
        options = {option for parameter in group.commands[verb].params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", row)) <= options, row
    assert len(rows) > 6


def test_configured_and_repository_skills_join_the_shipped_ones(tmp_path: Path) -> None:
    a_skill(tmp_path / "team")
    a_skill(tmp_path / "tree" / ".agentfix" / "skills", "name: brewing\ndescription: Brew.", name="brewing")
    skills = load_skills(shipped=skills_folder(), configured=[tmp_path / "team"], tree=tmp_path / "tree")
    assert sorted(skills.by_name) == ["brewing", "cooking", LEADING]
    assert "- cooking: Cook a meal." in skills.catalogue()
    assert "Boil water." not in skills.catalogue()


def test_a_configured_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SkillError, match="nowhere"):
        load_skills(shipped=skills_folder(), configured=[tmp_path / "nowhere"])


def test_bodies_and_companions_are_read_on_demand_and_nothing_outside_the_folder(tmp_path: Path) -> None:
    folder = a_skill(tmp_path)
    (folder / "references").mkdir()
    (folder / "references" / "soup.md").write_text("Soup.")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    skills = load_skills(shipped=folder)
    assert skills.load("cooking") == "Boil water.\n\nFiles of this skill (load_skill with file): references/soup.md"
    assert skills.load("cooking", "references/soup.md") == "Soup."
    for path in ("../secret.txt", "link.txt", str(tmp_path / "secret.txt"), "references/../../secret.txt"):
        with pytest.raises(ToolRefused, match="has no file"):
            skills.load("cooking", path)


def test_a_repository_folder_that_links_out_of_the_tree_is_not_read(tmp_path: Path) -> None:
    a_skill(tmp_path / "elsewhere")
    tree = tmp_path / "tree"
    (tree / ".agentfix").mkdir(parents=True)
    (tree / ".agentfix" / "skills").symlink_to(tmp_path / "elsewhere")
    assert "cooking" not in load_skills(shipped=skills_folder(), tree=tree).by_name
