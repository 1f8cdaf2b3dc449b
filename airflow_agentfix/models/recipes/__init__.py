"""The recipes of the offline model, one family of failures per file, in the order they are tried."""

from __future__ import annotations

from airflow_agentfix.models.recipes import (
    airflow3,
    attributes,
    columns,
    data_tests,
    frames,
    imports,
    keys,
    keywords,
    packages,
    variables,
)
from airflow_agentfix.models.recipes.base import Recipe

RECIPES: tuple[Recipe, ...] = (
    attributes.RECIPE,
    variables.RECIPE,
    imports.NAME,
    imports.MODULE,
    keywords.RECIPE,
    frames.RECIPE,
    keys.RECIPE,
    columns.RECIPE,
    data_tests.RECIPE,
    airflow3.RECIPE,
    packages.RECIPE,
)
