"""Which repository paths are no fix's business, whatever a policy allows.

Paths are git's: relative, with forward slashes. `unsafe` is about paths that are not inside the repository at all,
`denial` about files in it that steer machines or AgentFix itself.
"""

from __future__ import annotations

import re
import unicodedata

_PATH_CHARS = 1_000
_NAME_CHARS = 200
LFS_HEADER = "version https://git-lfs.github.com/spec/"

_CI_FOLDERS = frozenset(
    {
        ".github",
        ".gitlab",
        ".circleci",
        ".ci",
        ".buildkite",
        ".azure-pipelines",
        ".azuredevops",
        ".drone",
        ".tekton",
        ".forgejo",
        ".semaphore",
        ".gitea",
        ".cirrus",
        ".husky",
        ".jenkins",
        ".teamcity",
    }
)
_CI_FILES = frozenset(
    {
        ".gitlab-ci.yml",
        ".gitlab-ci.yaml",
        ".travis.yml",
        ".drone.yml",
        ".woodpecker.yml",
        ".appveyor.yml",
        ".cirrus.yml",
        ".pre-commit-config.yaml",
        "lefthook.yml",
        "appveyor.yml",
        "azure-pipelines.yml",
        "azure-pipelines.yaml",
        "bitbucket-pipelines.yml",
        "buildspec.yml",
        "buildspec.yaml",
        "cloudbuild.yaml",
        "jenkinsfile",
    }
)
_AGENT_FILES = frozenset(
    {"skill.md", "agents.md", "agents.override.md", "claude.md", "claude.local.md", "gemini.md", "copilot-instructions.md"}
    | {".cursorrules", ".windsurfrules", ".clinerules", ".mcp.json", ".aider.conf.yml"}
)
_AGENT_FOLDERS = frozenset(
    {".claude", ".agents", ".codex", ".gemini", ".cursor", ".windsurf", ".clinerules", ".continue"}
    | {".vscode", ".idea", ".devcontainer"}  # tasks that start when the folder is opened
)
_OWN_FILES = frozenset({".agentfix.yaml", ".agentfix.yml"})
_GIT_FILES = frozenset({".gitattributes", ".gitmodules", ".gitconfig", ".gitignore", ".lfsconfig", ".mailmap"})
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(?:\..*)?")


def unsafe(path: str) -> str | None:
    """Why `path` cannot name a file of a repository, None if it can."""
    parts = path.split("/")
    if len(path) > _PATH_CHARS or any(len(part) > _NAME_CHARS for part in parts):
        return f"it is longer than any file system takes; expected at most {_NAME_CHARS} characters between two slashes"
    if not path or any(part in ("", ".") for part in parts):
        return "it has an empty or '.' part; expected a path relative to the repository's top, such as 'dags/shop.py'"
    if path.startswith("~") or "\\" in path or ":" in parts[0] or not path.isprintable():
        return "it has a character that no repository path needs ('~' first, backslash, drive colon, a control or invisible one)"
    if ".." in parts:
        return "'..' leads out of the folder; expected a path inside the repository"
    if any(_is_git_folder(part) for part in parts):
        return "it is inside git's own folder"
    return None


def not_everywhere(path: str) -> str | None:
    """Why a new file may not have this name: some system would open another file under it, or a device. None if none would."""
    for part in path.split("/"):
        if _RESERVED.fullmatch(part):
            return f"{part!r} is a device on Windows"
        if part.endswith((".", " ")) or ":" in part:
            return f"{part!r} is another name on Windows, which cuts dots and spaces at the end and what follows a colon"
        if unicodedata.normalize("NFKC", part).isascii() and not part.isascii():
            return f"{part!r} looks like {unicodedata.normalize('NFKC', part)!r}, and some systems take it for that"
    return None


def denial(path: str) -> str | None:
    """Why a fix may never touch `path`, None if nothing here forbids it. Names count as any system may read them."""
    parts = [_plain(part) for part in path.split("/")]
    name = parts[-1]
    if parts[0] in _CI_FOLDERS or name in _CI_FILES:
        return "it is CI configuration, which runs with the repository's secrets"
    if name in _OWN_FILES or ".agentfix" in parts[:-1]:
        return "it is AgentFix's own policy"
    if parts[0] == "skills" or name in _AGENT_FILES or _AGENT_FOLDERS.intersection(parts[:-1]):
        return "it instructs agents (a skill or its like)"
    if name in _GIT_FILES:
        return "it is git's configuration"
    if name == ".airflowignore":
        return "it hides DAGs from Airflow"
    if name == "codeowners":
        return "it names who must review"
    return None


def is_lfs_pointer(text: str | None) -> bool:
    """Whether the text is a Git LFS pointer and not the file's content."""
    return text is not None and text.startswith(LFS_HEADER)


def _is_git_folder(part: str) -> bool:
    # Windows and macOS open .git under these names too; git itself refuses them for that reason
    return _plain(part) in (".git", "git~1")


def _plain(part: str) -> str:
    return unicodedata.normalize("NFKC", part).casefold().partition(":")[0].rstrip(" .")
