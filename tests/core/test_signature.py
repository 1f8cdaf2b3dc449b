"""Signatures: a fix is known by its tree, DAG, file and session, an approved commit by its ref."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_agentfix.core.signature import approval_ref, approved_by, is_fix, sign_approval, sign_fix

KEY, OLD_KEY = b"key", b"older key"
FIX: dict[str, Any] = {"tree": "a" * 40, "dag_id": "orders", "file": "dags/orders.py", "session_id": "s1"}
COMMIT = "c" * 40


def test_a_fix_is_known_by_any_of_the_keys_in_force() -> None:
    assert is_fix(sign_fix(OLD_KEY, **FIX), (KEY, OLD_KEY), **FIX)
    assert not is_fix(sign_fix(OLD_KEY, **FIX), (KEY,), **FIX)


@pytest.mark.parametrize("part", FIX)
def test_a_signature_holds_for_nothing_else(part: str) -> None:
    assert not is_fix(sign_fix(KEY, **FIX), (KEY,), **{**FIX, part: FIX[part][:-1] + "x"})


@pytest.mark.parametrize("text", ["", "é", "0" * 64, "'; drop"])
def test_text_that_anyone_could_write_is_no_signature(text: str) -> None:
    assert not is_fix(text, (KEY,), **FIX)


def test_parts_that_run_into_each_other_are_told_apart() -> None:
    assert sign_fix(KEY, **{**FIX, "dag_id": "a", "file": "bc"}) != sign_fix(KEY, **{**FIX, "dag_id": "ab", "file": "c"})


def test_an_approval_is_of_its_commit_and_says_so_as_a_ref() -> None:
    ref = approval_ref(COMMIT, sign_approval(KEY, COMMIT))
    assert approved_by(ref, (OLD_KEY, KEY)) == COMMIT
    assert approved_by(ref, (OLD_KEY,)) is None
    assert approved_by(approval_ref("d" * 40, sign_approval(KEY, COMMIT)), (KEY,)) is None
    assert approved_by(f"{ref}/more", (KEY,)) is None


def test_the_signature_of_a_fix_is_no_approval() -> None:
    assert approved_by(approval_ref(COMMIT, sign_fix(KEY, **FIX)), (KEY,)) is None
