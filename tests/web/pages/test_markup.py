"""What a model's Markdown may become: links that lead out of our frame, to whole addresses, and nothing that loads or acts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from markupsafe import Markup

from airflow_agentfix.web.pages.markup import KEPT_DIFF, KEPT_WORDS, MOST, diff, markdown


def test_a_link_opens_outside_of_the_frame_that_airflow_puts_us_in() -> None:
    link = str(markdown("[the docs](https://docs.example.com/a?b=1#c)"))
    assert 'href="https://docs.example.com/a?b=1#c"' in link
    assert " data-out" in link
    assert 'target="_blank"' in link
    assert 'rel="noopener noreferrer"' in link


@pytest.mark.parametrize(
    "address",
    ["/auth/logout", "//evil.example.com/x", "?q=1", "#main", "data:text/html,x", "javascript:alert(1)", "mailto:a@b.c"],
)
def test_an_address_that_is_not_a_whole_one_is_text(address: str) -> None:
    assert "<a" not in markdown(f"[Log in again]({address})")
    assert "Log in again" in markdown(f"[Log in again]({address})")


def test_an_image_is_not_loaded_and_its_words_stay() -> None:
    told = markdown("![the plot](https://evil.example.com/x.png)")
    assert "<img" not in told
    assert "the plot" in told


@pytest.mark.parametrize(("render", "chars"), [(markdown, KEPT_WORDS), (diff, KEPT_DIFF)])
def test_the_html_of_a_text_is_kept_for_the_next_who_looks_unless_it_is_long(render: Callable[[str], Markup], chars: int) -> None:
    short, long = "+x\n" * (chars // 3), "+x\n" * chars
    assert render(short) is render(f"{short} "[:-1]), "another text that reads the same"
    assert render(long) == render(f"{long} "[:-1])
    assert render(long) is not render(long)


@pytest.mark.parametrize("render", [markdown, diff])
def test_what_is_too_long_to_be_rendered_says_how_much_is_left_out(render: Callable[[str], Markup]) -> None:
    assert "1,000 more characters are not shown here." in render("+x\n" * (MOST // 3 + 1) + "x" * (1_000 - 3 + MOST % 3))
    assert "not shown" not in render("x" * MOST)
