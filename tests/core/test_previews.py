"""Names of previews: readable for our own branches, distinct and harmless for any."""

from __future__ import annotations

import re

import pytest

from airflow_agentfix.core.previews import branch_slug, commit_tag, loader_name, preview_id

HOSTILE = [
    "fix/../../etc",
    "fix/a b",
    "fix/$(touch x)",
    "fix/Ünï",
    "fix/a_b",
    "fix/a-B",
    "fix/\udcff",
    "fix/" + "x" * 300,
    "--",
    "'",
]


def test_a_branch_of_ours_is_readable_in_its_previews_names() -> None:
    assert (
        preview_id("shop_daily_revenue", "fix/shop-use-to-euros-a6593fa4") == "shop_daily_revenue.fix-shop-use-to-euros-a6593fa4"
    )
    assert loader_name("fix/shop-use-to-euros-a6593fa4") == "fix-shop-use-to-euros-a6593fa4.py"


@pytest.mark.parametrize("branch", HOSTILE)
def test_whatever_a_branch_is_called_its_names_are_harmless(branch: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*\.py", loader_name(branch))
    assert len(loader_name(branch)) <= 130
    assert re.fullmatch(r"[\w.-]{1,250}", preview_id("d" * 240, branch))


def test_two_branches_never_share_a_name() -> None:
    alike = ["fix/a-b", "fix/A-b", "fix/a/b", "fix/a--b", "fix-a-b", *HOSTILE]
    assert len({branch_slug(branch) for branch in alike}) == len(alike)
    assert preview_id("d" * 249, "fix/a") != preview_id("d" * 249, "fix/b")


def test_a_previews_tag_names_its_commit_within_what_a_tag_may_hold() -> None:
    assert commit_tag("c" * 40) == "agentfix:" + "c" * 40
    assert len(commit_tag("c" * 64)) <= 100
