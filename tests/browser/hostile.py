"""Text that wants to be more than text: what executes calls `__pwned`, which a visitor's browser complains of."""

from __future__ import annotations

from tests.browser.visitor import View

HOSTILE_LINE = """"'><img src=x onerror=__pwned('img')>{{7*7}}"""
HOSTILE = "\n\n".join(
    (
        "<script>__pwned('script')</script>",
        HOSTILE_LINE,
        "</pre></details></template></textarea><svg onload=__pwned('svg')></svg>",
        "[link](javascript:__pwned('link')) <a href=\"javascript:__pwned('a')\">a</a> <javascript:__pwned('auto')>",
        '![picture](x"onerror="__pwned(1)) ![far](https://evil.example/pixel.png)',
        "[data](data:text/html;base64,PHNjcmlwdD5fX3B3bmVkKCdkYXRhJyk8L3NjcmlwdD4=)",
        "<div hx-get='/agentfix/' hx-trigger='load' hx-on:load=\"__pwned('hx')\" data-hx-get='/'>hx</div>",
        "<style>* { display: none }</style><meta http-equiv=refresh content='0;url=/evil'><base href='https://evil.example/'>",
        "<iframe srcdoc=\"<script>parent.__pwned('frame')</script>\"></iframe>",
        "<form action='javascript:__pwned(2)'><button>Approve",
        "${7*7} {{7*7}} {% for x in y %} #{7*7} &lt;script&gt;__pwned('entity')&lt;/script&gt;",
        "\x1b[31mred\x1b[0m \x1b]8;;javascript:__pwned('osc')\x07link\x1b]8;;\x07 \u202ereversed\u202c \u200bhidden",
        "wide" * 500,
    )
)

_INTRUDERS = r"""
(html) => [...html.querySelectorAll([
  "script:not([src*='/static/'])", "link:not([href*='/static/'])", "img", "iframe", "style", "base", "object", "embed",
  "meta[http-equiv]", "[data-hx-get]", "[hx-on\\:load]", "[style]:not([style=''])", "[onerror]", "[onload]", "[onclick]",
  "[href^='javascript:' i]", "[action^='javascript:' i]", "[href^='data:' i]",
].join(","))].map((one) => one.outerHTML.slice(0, 200))
"""


def intruders(view: View) -> list[str]:
    """Elements of the page that only such text could have made."""
    return list(view.locator("html").evaluate(_INTRUDERS))
