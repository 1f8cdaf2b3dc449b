"""How sure a verdict is: in words first, the figure beside them, the same on every page. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_WORDS = ((0.9, "almost certain"), (0.75, "likely"), (0.5, "perhaps"), (0.0, "a guess"))


@dataclass(frozen=True)
class Certainty:
    """`figure`: per cent, as `88 %`."""

    word: str
    figure: str

    def __str__(self) -> str:
        return f"{self.word} ({self.figure})"


def certainty(confidence: object) -> Certainty | None:
    """Of a number from 0 to 1; None for anything else: a worker writes what it likes."""
    if not isinstance(confidence, (int, float)) or not 0 <= confidence <= 1:
        return None
    word = next(word for least, word in _WORDS if confidence >= least)
    return Certainty(word, f"{confidence * 100:.0f} %")
