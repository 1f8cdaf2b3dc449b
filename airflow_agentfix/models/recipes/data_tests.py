"""A dbt data test that found rows: let it warn up to what was found and fail beyond. This silences a data check.

It is always a person's decision: the diff gate marks it, and the title and the summary say it first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_agentfix.core.incident import Incident, Verdict
from airflow_agentfix.models.recipes.base import Claim, Edit, Fix, LogLine, NoFix, Recipe, Repo, Steps
from airflow_agentfix.models.recipes.dbt_yaml import DataTest, data_tests, with_threshold

_GOT = re.compile(r"Got (\d+) results?, configured to fail if != 0\s*$")
_FAILED = re.compile(r"Failure in test (\w+) \(([^()]+)\)\s*$")
_LOG = r"Failure in test |Got \d+ results?, configured to fail if|Completed with "
_OTHER = re.compile(r"Completed with (?!1 error\b)(\d+) error")


def _matches(incident: Incident) -> bool:
    texts = (incident.cause.message, incident.cause.line, *(text for _, text in incident.cause.context))
    return any("results, configured to fail if" in text or "result, configured to fail if" in text for text in texts)


@dataclass(frozen=True)
class _Failure:
    """What dbt said about the one test that failed."""

    name: str
    path: str
    count: int
    cites: tuple[str, ...]


def _attempt(_incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    failure = _failure((yield from repo.log(_LOG)))
    if isinstance(failure, NoFix):
        return failure
    if not failure.path.endswith((".yml", ".yaml")):
        return NoFix(f"{failure.path} is a singular data test; what it may let pass is for its author to say")
    paths = [path for path in (yield from repo.paths(f"**/{failure.path}")) if f"/{path}".endswith(f"/{failure.path}")]
    if len(paths) != 1:
        return NoFix(f"{len(paths)} files of the repository are {failure.path}; exactly one was expected")
    text = yield from repo.read(paths[0])
    tests = [test for test in data_tests(text) if test.full_name == failure.name]
    if len(tests) != 1:
        return NoFix(f"{paths[0]} has {len(tests)} data tests that dbt calls {failure.name}; exactly one was expected")
    if tests[0].configured:
        return NoFix(f"{paths[0]}:{tests[0].line} already says how severe {failure.name} is")
    after = with_threshold(text, tests[0], failure.count)
    if after is None:
        return NoFix(f"{paths[0]}:{tests[0].line} is written in a way that cannot be edited with certainty")
    return _fix(failure, tests[0], Edit(paths[0], text, after))


def _failure(lines: tuple[LogLine, ...]) -> _Failure | NoFix:
    """The one failure the log tells of; with several, or a test that errs, silencing one proves nothing."""
    failed = {(match[1], match[2]): line.cite for line in lines if (match := _FAILED.search(line.text))}
    counted = {match[1]: line.cite for line in lines if (match := _GOT.search(line.text))}
    if len(failed) != 1 or len(counted) != 1 or any(_OTHER.search(line.text) for line in lines):
        return NoFix(f"the log names {len(failed)} failed data tests without a threshold; exactly one was expected")
    (((name, path), where),) = failed.items()
    ((count, how_many),) = counted.items()
    return _Failure(name, path, int(count), (where, how_many))


def _fix(failure: _Failure, test: DataTest, edit: Edit) -> Fix:
    rows = f"{failure.count} row{'s' * (failure.count != 1)}"
    place = f"{edit.path}:{test.line}"
    return Fix(
        title=f"Silences a data check: {failure.name} warns up to {rows}",
        warning="This silences a data check. It repairs no data: approve it only if these rows may pass.",
        cause=f"dbt's data test {failure.name} ({place}) found {rows} where it allows none.",
        change=f"{failure.name} warns from the first row on and fails from row {failure.count + 1} on; all other tests stay.",
        why_this_one="The threshold is what was found now, so nothing worse passes, and the test still warns. "
        "If the rows are wrong, reject this and repair the data or the model.",
        edits=(edit,),
        claims=(
            Claim(f"dbt says that {failure.name} found {rows}", failure.cites),
            Claim("The test allows none", (place,)),
        ),
        verdict=Verdict.DATA,
    )


RECIPE = Recipe("a dbt data test", _matches, _attempt)
