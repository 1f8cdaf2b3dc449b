"""Every attempt, by what it is after."""

from __future__ import annotations

from tests.injection.attempt import Attempt
from tests.injection.catalogue import authority, cheats, paths, reach, reviews, secrets, words

ATTEMPTS: tuple[Attempt, ...] = (
    *paths.ATTEMPTS,
    *cheats.ATTEMPTS,
    *reach.ATTEMPTS,
    *authority.ATTEMPTS,
    *secrets.ATTEMPTS,
    *words.ATTEMPTS,
    *reviews.ATTEMPTS,
)
