"""Reading a repository's history without a tree, on every host alike."""

from __future__ import annotations

import pytest

from airflow_agentfix.errors import CommitNotFound
from tests.code.conftest import Place
from tests.code.repos import push


def test_commits_are_those_that_touch_a_path_newest_first(place: Place) -> None:
    base = place.base
    shop = push(place.folder, "dags/shop.py", "s\n")
    other = push(place.folder, "dags/other.py", "o\n")
    again = push(place.folder, "dags/shop.py", "t\n")
    host = place.host()
    assert host.commits(again, paths=["dags/shop.py"], limit=10) == [again, shop, base]
    assert set(host.commits(again, paths=["dags/shop.py", "dags/other.py"], limit=10)) == {again, other, shop, base}
    assert host.commits(again, paths=["dags/*.py"], limit=10) == []
    assert host.commits(again, limit=2) == [again, other]


def test_the_commit_of_a_moment_is_the_newest_one_from_before_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
    first = push(place.folder, "dags/a.py", "a\n")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:02Z")
    second = push(place.folder, "dags/b.py", "b\n")
    assert place.host().commits(second, until="2020-01-01T00:00:01+00:00", limit=1) == [first]
    assert place.host().commits(second, until="2001-01-01T00:00:00Z", limit=1) == []


def test_files_and_their_content_are_those_of_the_commit(place: Place) -> None:
    old = place.base
    new = push(place.folder, "dags/shop.py", "new = 1\n")
    host = place.host()
    assert {"dags/shop.py", "dags/nö end.py", "run.sh"} <= set(host.files(new))
    assert host.read(new, "dags/shop.py") == b"new = 1\n"
    assert host.read(old, "dags/shop.py") == b"x = 1\r\ny = 2\r\n"
    assert host.read(old, "dags/nö end.py") == "# ü\nz = 3".encode()
    assert host.read(old, "dags") is None
    assert host.read(old, "dags/*.py") is None


def test_an_unknown_commit_is_named(place: Place) -> None:
    for ask in (lambda: place.host().commits("b" * 40, limit=1), lambda: place.host().files("b" * 40)):
        with pytest.raises(CommitNotFound):
            ask()
