"""When a name that does not exist can only be a slip for one that does.

Invariant: an answer is one name, near, with no rival near it. Names that differ by what they mean (min/max, get/set,
include/exclude, total_1/total_2) are never near, however few letters differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rapidfuzz.distance import OSA

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_INFLECTIONS = ("s", "es", "d", "ed", "r", "er", "ing")
_SHORTEST = 4


def only_near(wrong: str, names: Iterable[str], *, inflections: bool = False, fold: bool = False) -> str | None:
    """The one of `names` that `wrong` is a slip for, None where there is none or more than one could be meant.

    `inflections`: order/orders may be a slip (closed sets of callables), not two things. `fold`: letter case and
    underscores do not tell names apart (keys and columns).
    """
    others = {name for name in names if name != wrong}
    near = [name for name in others if _is_slip(wrong, name, inflections=inflections, fold=fold)]
    if len(near) != 1:
        return None
    reach = OSA.distance(wrong, near[0]) + 1
    rivals = [name for name in others if name != near[0] and OSA.distance(wrong, name, score_cutoff=reach) <= reach]
    return None if rivals else near[0]


def _is_slip(wrong: str, name: str, *, inflections: bool, fold: bool) -> bool:
    if min(len(wrong), len(name)) < _SHORTEST:
        return False
    if _folded(wrong) == _folded(name):
        return fold or wrong[0].isupper() == name[0].isupper()
    mine, theirs = _words(wrong), _words(name)
    if not fold and [w[0].isupper() for w in mine[:1]] != [w[0].isupper() for w in theirs[:1]]:
        return False
    if len(mine) != len(theirs):
        mine, theirs = [_folded(wrong)], [_folded(name)]
    pairs = [(one.lower(), other.lower()) for one, other in zip(mine, theirs, strict=True) if one.lower() != other.lower()]
    return len(pairs) == 1 and _word_slip(*pairs[0], inflections=inflections)


def _word_slip(one: str, other: str, *, inflections: bool) -> bool:
    """One edit in a word of four or five letters, two in a longer one; the first letter is seldom the slip."""
    length = min(len(one), len(other))
    if length < _SHORTEST - 1 or max(len(one), len(other)) < _SHORTEST or one[0] != other[0]:
        return False
    if re.sub(r"\D", "", one) != re.sub(r"\D", "", other):
        return False
    if not inflections and _inflected(one, other):
        return False
    return OSA.distance(one, other) <= (1 if length <= 5 else 2)


def _inflected(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and long[len(short) :] in _INFLECTIONS


def _words(name: str) -> list[str]:
    return _WORD.findall(name) or [name]


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
