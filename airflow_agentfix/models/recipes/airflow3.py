"""What Airflow 3 removed or moved, still used by a DAG written for Airflow 2: ruff's AIR rules know the new place.

ruff reads the one failing file from standard input and rewrites it as text; nothing of the repository is executed. Its rewrite
is taken only where what failed is gone from it.
"""

from __future__ import annotations

import ast
import re
import subprocess

from ruff import find_ruff_bin

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.models.recipes.base import Claim, Edit, Fix, NoFix, Recipe, Repo, Steps, Unreadable
from airflow_agentfix.models.recipes.source import Source
from airflow_agentfix.models.recipes.spot import Spot, exception_name, exception_text, find_spot, log_cites

_RULES = "AIR301,AIR302"
_SECONDS = 30
_MODULE = re.compile(r"No module named '(airflow(?:\.\w+)*)'")
_NAME = re.compile(r"cannot import name '(\w+)' from '(airflow(?:\.\w+)*)' \([^()]*\)(?:\. Did you mean: '\w+'\?)?")
_KEYWORD = re.compile(r"DAG\.__init__\(\) got an unexpected keyword argument '(\w+)'(?:\. Did you mean '\w+'\?)?")


def _failing(incident: Incident) -> re.Match[str] | None:
    text, name = exception_text(incident), exception_name(incident)
    by_type = {"ModuleNotFoundError": (_MODULE,), "ImportError": (_NAME,), "TypeError": (_KEYWORD,)}
    return next((match for regex in by_type.get(name, ()) if (match := regex.fullmatch(text))), None)


def _matches(incident: Incident) -> bool:
    return _failing(incident) is not None


def _attempt(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    failing = _failing(incident)
    spot = yield from find_spot(incident, repo, in_user_code=False)
    if isinstance(spot, NoFix) or failing is None:
        return spot if isinstance(spot, NoFix) else NoFix("no Airflow name is missing")
    if not _uses(spot.source, failing):
        return NoFix(f"{spot.path} does not itself use what Airflow 3 does not have")
    text = _rewritten(spot.source)
    rewritten = Source.parse(spot.path, text) if text != spot.source.text else None
    rewritten = _without_unused(rewritten, failing) if rewritten else None
    if rewritten is None or _uses(rewritten, failing):
        return NoFix(f"ruff's rules for Airflow 3 know no one replacement for what {spot.cite} uses; a person must choose")
    return _fix(incident, spot, rewritten.text, failing)


def _uses(source: Source, failing: re.Match[str]) -> bool:
    """Whether the file still asks Airflow for what it does not have."""
    return any(_asks(node, failing) for node in ast.walk(source.tree))


def _asks(node: ast.AST, failing: re.Match[str]) -> bool:
    if failing.re is _KEYWORD:
        if not isinstance(node, ast.Call) or ast.unparse(node.func).rsplit(".", 1)[-1] not in ("DAG", "dag"):
            return False
        return any(keyword.arg == failing[1] for keyword in node.keywords)
    if failing.re is _NAME:
        return isinstance(node, ast.ImportFrom) and node.module == failing[2] and failing[1] in {a.name for a in node.names}
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    return any(f"{module}.".startswith(f"{failing[1]}.") for module in modules)


def _rewritten(source: Source) -> str:
    command = [find_ruff_bin(), "check", "--isolated", "--no-cache", "--quiet", "--exit-zero", "--select", _RULES]
    command += ["--fix", "--unsafe-fixes", "--stdin-filename", "dag.py", "-"]
    try:
        done = subprocess.run(command, input=source.text, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unreadable(f"ruff did not answer: {error}") from error
    return done.stdout


def _without_unused(source: Source, failing: re.Match[str]) -> Source | None:
    """Without the import that failed, where ruff left it behind and nothing uses it any more."""
    left = [node for node in ast.walk(source.tree) if isinstance(node, ast.ImportFrom) and _asks(node, failing)]
    used = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    for node in left:
        if used & {alias.asname or alias.name for alias in node.names} or node not in source.tree.body:
            return source
    gone = {line for node in left for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    kept = [line for number, line in enumerate(source.text.split("\n"), 1) if number not in gone]
    return Source.parse(source.path, "\n".join(kept))


def _fix(incident: Incident, spot: Spot, text: str, failing: re.Match[str]) -> Fix:
    what = f"{failing[2]}.{failing[1]}" if failing.re is _NAME else failing[1]
    said = f"{exception_name(incident)}: {exception_text(incident)}"
    return Fix(
        title=f"Move {spot.path.rsplit('/', 1)[-1]} from Airflow 2's {what} to Airflow 3",
        cause=f"{spot.cite} uses `{what}`, which Airflow 3 removed or moved: {said}",
        change=f"What Airflow 3 moved is taken from its new place in {spot.path}, as ruff's rules {_RULES} write it.",
        why_this_one=f"ruff's Airflow 3 rules have one replacement, and with it {spot.path} does not use `{what}` any more. "
        "A provider package that the new place belongs to must be installed on the workers.",
        edits=(Edit(spot.path, spot.source.text, text),),
        claims=(Claim(f"The task failed with {said}", log_cites(incident)), Claim(f"The code uses `{what}`", (spot.cite,))),
    )


RECIPE = Recipe("Airflow 2 code on Airflow 3", _matches, _attempt)
