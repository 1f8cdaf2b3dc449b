"""The recipes of the offline model, one family of failures per file, in the order they are tried."""

from __future__ import annotations

from airflow_agentfix.models.recipes import attributes, keys
from airflow_agentfix.models.recipes.base import Recipe

RECIPES: tuple[Recipe, ...] = (attributes.RECIPE, keys.RECIPE)
