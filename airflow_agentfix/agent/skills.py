"""Skills: folders with a SKILL.md that say how to do a piece of work. Names and descriptions first, bodies and files on demand.

Sources, later ones winning on a name: shipped, configured (`[agentfix] skills`), the DAG repository's `.agentfix/skills/`, read
from the base branch's tree only, since a skill instructs the agent and a branch anyone pushed may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_agentfix.errors import SkillError, ToolRefused

FILE = "SKILL.md"
LEADING = "fix-and-rerun-dag"
REPOSITORY_FOLDER = ".agentfix/skills"
BODY_LINES = 500
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TEXT_LIMITS = {"description": 1024, "compatibility": 500}
_KEYS = frozenset({"name", "description", "license", "compatibility", "metadata", "allowed-tools"})


@dataclass(frozen=True)
class Skill:
    """One skill; `folder` holds its companion files."""

    name: str
    description: str
    body: str
    folder: Path

    def companions(self) -> list[str]:
        """Relative paths of the files beside SKILL.md, at most one folder deep."""
        files = (*self.folder.glob("*"), *self.folder.glob("*/*"))
        own = (path for path in files if path.name != FILE and _is_own(path, self.folder))
        return sorted(path.relative_to(self.folder).as_posix() for path in own)


def _is_own(path: Path, folder: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder.resolve()) and not path.name.startswith(".")


@dataclass(frozen=True)
class Skills:
    """All skills of a session, by name."""

    by_name: Mapping[str, Skill] = field(default_factory=dict)

    @property
    def leading(self) -> Skill | None:
        """The skill whose body is in the system prompt from the start."""
        return self.by_name.get(LEADING)

    def catalogue(self) -> str:
        """One line per skill: what load_skill can be asked for."""
        return "\n".join(f"- {name}: {skill.description}" for name, skill in sorted(self.by_name.items()))

    def load(self, name: str, file: str | None = None) -> str:
        """A skill's body, or the text of one of its files."""
        skill = self.by_name.get(name)
        if skill is None:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise ToolRefused(f"There is no skill {name!r}. There are: {known}.")
        if file is None:
            companions = skill.companions()
            listed = f"\n\nFiles of this skill (load_skill with file): {', '.join(companions)}" if companions else ""
            return skill.body + listed
        if file not in skill.companions():
            raise ToolRefused(f"Skill {name!r} has no file {file!r}. It has: {', '.join(skill.companions()) or 'none'}.")
        return _text(skill.folder / file)


def load_skills(*, shipped: Path, configured: Iterable[str | Path] = (), tree: Path | None = None) -> Skills:
    """Every skill of the three sources. `tree` is the repository's tree at the base branch's commit, unchanged."""
    folders = [shipped, *(Path(folder) for folder in configured)]
    for folder in folders[1:]:
        if not folder.is_dir():
            raise SkillError(f"[agentfix] skills names {str(folder)!r}, which is no folder; expected one that holds skills.")
    if tree is not None and _inside(tree / REPOSITORY_FOLDER, tree):
        folders.append(tree / REPOSITORY_FOLDER)
    return Skills({skill.name: skill for folder in folders for skill in _skills_in(folder)})


def _inside(folder: Path, tree: Path) -> bool:
    return folder.is_dir() and folder.resolve().is_relative_to(tree.resolve())


def _skills_in(folder: Path) -> list[Skill]:
    """The folder itself if it is a skill, else each skill folder in it."""
    if (folder / FILE).is_file():
        return [read_skill(folder)]
    return [read_skill(child) for child in sorted(folder.iterdir()) if child.is_dir() and (child / FILE).is_file()]


def read_skill(folder: Path) -> Skill:
    """Read and check one SKILL.md. SkillError names the file, what was found and what is expected."""
    import frontmatter  # parses YAML: 30 ms that only a worker pays
    import yaml

    file = folder / FILE
    if not _is_own(file, folder):
        raise SkillError(f"{file}: leads out of its skill's folder; expected a plain file.")
    text = _text(file)
    if not text.startswith("---"):
        raise SkillError(f"{file}: starts with {text[:20]!r}; expected front matter between two lines of '---'.")
    try:
        post = frontmatter.loads(text)
    except yaml.YAMLError as error:
        raise SkillError(f"{file}: the front matter is no YAML: {error}") from error
    found: dict[str, Any] = post.metadata
    _check(file, found, folder.name)
    if not post.content.strip() or len(post.content.splitlines()) > BODY_LINES:
        raise SkillError(f"{file}: the body has {len(post.content.splitlines())} lines; expected 1 to {BODY_LINES}.")
    return Skill(found["name"], " ".join(found["description"].split()), post.content, folder)


def _check(file: Path, found: Mapping[str, Any], folder: str) -> None:
    if unknown := sorted(set(map(str, found)) - _KEYS):
        raise SkillError(f"{file}: front matter has {', '.join(unknown)}; expected only {', '.join(sorted(_KEYS))}.")
    name = found.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 64:
        raise SkillError(f"{file}: name is {name!r}; expected 1 to 64 lower-case letters, digits and single hyphens.")
    if name != folder:
        raise SkillError(f"{file}: name is {name!r} but the folder is {folder!r}; expected the same.")
    for key, limit in _TEXT_LIMITS.items():
        value = found.get(key)
        if value is None and key != "description":
            continue
        if not isinstance(value, str) or not value.strip() or len(value) > limit:
            raise SkillError(f"{file}: {key} is {str(value)[:60]!r}; expected text of 1 to {limit} characters.")
    metadata = found.get("metadata", {})
    if not isinstance(metadata, dict) or not all(isinstance(part, str) for pair in metadata.items() for part in pair):
        raise SkillError(f"{file}: metadata is {metadata!r}; expected a mapping of text to text.")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SkillError(f"{file}: cannot be read as UTF-8 text ({error}).") from error
