"""ModuleNotFoundError for a well-known package that no requirements file names: the line is added, the image must be rebuilt.

Only packages in the table are ever added: a distribution's name is not guessed from a module's (typosquats wait for that).
"""

from __future__ import annotations

import re

from airflow_agentfix.core.incident import Incident, Verdict
from airflow_agentfix.models.recipes.base import Claim, Edit, Fix, NoFix, Recipe, Repo, Steps
from airflow_agentfix.models.recipes.spot import exception_name, exception_text, log_cites

_MISSING = re.compile(r"No module named '(\w+)(?:\.[\w.]+)?'")
DISTRIBUTIONS = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "git": "GitPython",
    "PIL": "Pillow",
    "psycopg2": "psycopg2-binary",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    **{
        name: name
        for name in (
            *("boto3", "duckdb", "fastavro", "gspread", "httpx", "jinja2", "jsonschema", "lightgbm", "lxml", "matplotlib"),
            *("numpy", "openpyxl", "pandas", "pandera", "paramiko", "polars", "psycopg", "pyarrow", "pydantic", "pymongo"),
            *("pymysql", "pyodbc", "pyspark", "redis", "requests", "scipy", "seaborn", "simplejson", "sqlalchemy", "statsmodels"),
            *("tenacity", "tqdm", "xgboost", "xlrd", "xlsxwriter"),
        )
    },
}
"""module -> distribution, each looked up once by a person"""
_WHY_NO_RERUN = (
    "The package must be installed before a rerun can prove anything: rebuild the workers' image with the new requirements."
)


def _matches(incident: Incident) -> bool:
    found = _MISSING.fullmatch(exception_text(incident))
    return exception_name(incident) == "ModuleNotFoundError" and found is not None and found[1] != "airflow"


def _attempt(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    module = re.split(r"['.]", exception_text(incident))[1]
    distribution = DISTRIBUTIONS.get(module)
    if distribution is None:
        return NoFix(f"{module!r} is no package known here; which distribution it comes from is not guessed")
    own = yield from repo.paths(f"**/{module}.py")
    package = yield from repo.paths(f"**/{module}/**")
    if own or package:
        return NoFix(f"{(own + package)[0]} in the repository has that name too; it may be what is meant")
    path = yield from _requirements(repo, incident.dag.fileloc or incident.dag.file)
    if isinstance(path, NoFix):
        return path
    text = yield from repo.read(path)
    known = _named(text, distribution)
    if known:
        return NoFix(f"{path}:{known} names {distribution} already; the workers' image is older than it, or another one is used")
    if re.search(r"(?m)--hash=|^\s*-[rc]\b", text):
        return NoFix(f"{path} is locked by hashes or made of other files; add {distribution} where it is made from")
    return _fix(incident, module, distribution, path, text)


def _requirements(repo: Repo, dag_file: str) -> Steps[str | NoFix]:
    """The requirements file nearest above the DAG; one file where several stand side by side is a person's choice."""
    paths = [path for path in (yield from repo.paths("**/requirements*.txt")) if path.endswith("requirements.txt")]
    dag = yield from repo.locate(dag_file)
    above = [path for path in paths if (dag or "").startswith(path[: -len("requirements.txt")])]
    if not above and len(paths) == 1:
        return paths[0]
    if not above:
        return NoFix(f"{len(paths)} files are called requirements.txt and none stands above the DAG; exactly one was expected")
    return max(above, key=len)


def _named(text: str, distribution: str) -> int | None:
    """The line that names the distribution already."""
    wanted = re.sub(r"[-_.]+", "-", distribution).lower()
    for number, line in enumerate(text.split("\n"), 1):
        name = re.match(r"\s*([\w.-]+)", line)
        if name and re.sub(r"[-_.]+", "-", name[1]).lower() in (wanted, wanted.removesuffix("-binary"), f"{wanted}-binary"):
            return number
    return None


def _fix(incident: Incident, module: str, distribution: str, path: str, text: str) -> Fix:
    last = len(text.split("\n")) - 1
    return Fix(
        title=f"Add {distribution} to {path.rsplit('/', 1)[-1]}",
        cause=f"The task imports `{module}`, which is not installed on the worker: {incident.cause.message.strip()}",
        change=f"`{distribution}` is added to {path}, without a version: pin it as your other packages are.",
        why_this_one=f"`{module}` is what the distribution {distribution} installs, and {path} does not name it.",
        edits=(Edit(path, text, f"{text}{distribution}\n"),),
        claims=(
            Claim(f"The task failed with: {incident.cause.line}", log_cites(incident)),
            Claim(f"{path} does not name {distribution}", (f"{path}:{max(last, 1)}",)),
        ),
        verdict=Verdict.DEPENDENCY,
        why_no_rerun=_WHY_NO_RERUN,
    )


RECIPE = Recipe("a missing package", _matches, _attempt)
