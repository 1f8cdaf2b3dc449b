"""What a file says is to be installed: requirements, TOML, YAML and INI manifests, images, install commands.

Each reader gives names: a package with its extras, and its source where that is not the usual index. A file that does not
parse names nothing; the static checks judge it.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from airflow_agentfix.code import plain_yaml

_COMMENT = re.compile(r"(?:^|\s)#.*")
_HASH = re.compile(r"\s--hash[= ]\S+")
_INSTALL = re.compile(
    r"(?:\b(?:pip[\d.]*|pipx|uv(?: pip| tool)?|poetry|conda|mamba|micromamba"
    r"|apt|apt-get|apk|dnf|yum|microdnf|brew|npm|yarn|gem|cargo)"
    r"(?: -\S+)* +(?:install|add|i) |_PIP_ADDITIONAL_REQUIREMENTS[\"']?\s*[:=])([^\n;&|]*)"
)
_WITH_VALUE = frozenset(
    {"-r", "-c", "-i", "-f", "-e", "--index-url", "--extra-index-url", "--find-links", "--requirement", "--channel"}
)
_FROM = re.compile(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+)")
_SOURCES = ("git", "url", "path", "source", "file", "registry", "index")


def requirements(text: str, *, pins_only: bool = False) -> Iterator[str]:
    """Of a requirements file; options (another index, another file) count. `pins_only`: names and versions install nothing."""
    for line in text.replace("\\\n", " ").splitlines():
        said = _HASH.sub("", _COMMENT.sub("", line)).strip()
        name = " ".join(said.split()) if said.startswith("-") else package(said) if said else ""
        if name and not (pins_only and " @ " not in name and not name.startswith("-")):
            yield name


def package(text: str) -> str:
    """A requirement without its version."""
    try:
        found = Requirement(text)
    except InvalidRequirement:
        return text if re.search(r"[/@$]", text) else re.split(r"[=<>~!^ ]", text, maxsplit=1)[0]
    extras = f"[{','.join(sorted(found.extras))}]" if found.extras else ""
    return canonicalize_name(found.name) + extras + (f" @ {found.url}" if found.url else "")


def plain_names(text: str) -> Iterator[str]:
    """Packages of the operating system, one a line."""
    for line in text.splitlines():
        if said := _COMMENT.sub("", line).strip():
            yield package(said)


def installed(text: str) -> Iterator[str]:
    """What install commands in a shell text name."""
    for match in _INSTALL.finditer(text.replace("\\\n", " ")):
        words = iter(match[1].replace('"', " ").replace("'", " ").split())
        for word in words:
            if word in _WITH_VALUE:
                yield f"{word} {next(words, '')}"
            elif not word.startswith("-"):
                yield package(word)
            elif re.match(r"--[\w-]*(?:index|url|links)[\w-]*=", word):
                yield word


def of_image(text: str) -> Iterator[str]:
    """Base images, without their tag, and install commands."""
    for image in _FROM.findall(text):
        place, slash, name = image.rpartition("/")
        yield f"image {place}{slash}{re.split('[:@]', name)[0]}"
    yield from installed(text)


def of_toml(text: str) -> Iterator[str]:
    """pyproject.toml of any tool, Pipfile, lock files."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    project, tools = _table(data, "project"), _table(data, "tool")
    listed = [project.get("dependencies"), *_table(project, "optional-dependencies").values()]
    listed += [_table(data, "build-system").get("requires"), *_table(data, "dependency-groups").values()]
    listed += _table(_table(tools, "pdm"), "dev-dependencies").values()
    listed += [_table(tools, "uv").get("dev-dependencies")]
    for names in listed:
        yield from (package(name) for name in _list(names) if isinstance(name, str))
    poetry = _table(tools, "poetry")
    groups = [_table(group, "dependencies") for group in _table(poetry, "group").values()]
    for named in (_table(poetry, "dependencies"), _table(poetry, "dev-dependencies"), *groups, *_pipfile(data)):
        yield from (_named(name, how) for name, how in named.items())
    yield from (_named(str(one.get("name")), one) for one in _dicts(data.get("package")))  # a lock file's
    for sources in (_table(tools, "uv"), poetry, _table(tools, "pdm"), data):
        yield from (f"source {json.dumps(sources[name], sort_keys=True, default=str)}" for name in _PLACES if sources.get(name))


_PLACES = ("source", "sources", "index", "find-links", "index-url", "extra-index-url")


def _pipfile(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [_table(data, "packages"), _table(data, "dev-packages")]


def _named(name: str, how: Any) -> str:
    """A package as Poetry, Pipenv and lock files name it: the name, and a table with its source."""
    source = {key: value for key, value in how.items() if key in _SOURCES} if isinstance(how, dict) else {}
    extras = sorted(map(str, _list(how.get("extras")))) if isinstance(how, dict) else []
    with_extras = canonicalize_name(name) + (f"[{','.join(extras)}]" if extras else "")
    return with_extras + (f" @ {json.dumps(source, sort_keys=True, default=str)}" if source else "")


def _table(data: Any, name: str) -> dict[str, Any]:
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def of_setup_cfg(text: str) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for section in parser.sections():
        for key, value in parser[section].items():
            if section == "options.extras_require" or key in ("install_requires", "setup_requires", "tests_require"):
                yield from requirements(value)


def of_yaml(text: str) -> Iterator[str]:
    """dbt's packages and conda's environments."""
    try:
        data = plain_yaml.load(text)
    except ValueError:
        return
    if not isinstance(data, dict):
        return
    for one in _dicts(data.get("packages")):
        yield from (f"{kind} {one[kind]}" for kind in ("package", "git", "local", "tarball") if kind in one)
    yield from (f"channel {channel}" for channel in _list(data.get("channels")))
    for entry in _list(data.get("dependencies")):
        for name in _list(entry.get("pip")) if isinstance(entry, dict) else [entry]:
            yield from requirements(str(name))
