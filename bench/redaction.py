"""What of planted secrets gets through redaction, what of secret-free logs does not, and how fast it is."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

from airflow_agentfix.redaction import redact
from bench.clean_logs import clean_text
from bench.figure import Figure, of_samples
from bench.planted import Draw, plants

CLEAN_BYTES = 10_000_000
CHUNK = 250_000
SELECTION = 16_000
"""characters: what of a log is shown to a model at once"""


def measure() -> Iterator[Figure]:
    yield _leaks()
    yield _false_hits()
    yield from _speed()


def _leaks() -> Figure:
    planted = list(plants(Draw()))
    kinds = Counter(plant.kind for plant in planted if plant.leaks(redact(plant.text)))
    told = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common(20)) or "none"
    all_kinds, carriers = ({getattr(plant, name) for plant in planted} for name in ("kind", "carrier"))
    how = (
        f"{len(planted)} texts: {len(all_kinds)} kinds of secrets in {len(carriers)} carriers, drawn from a fixed seed; a third "
        f"of a secret left counts as one leak; leaks by kind: {told}"
    )
    return Figure("planted secrets that get through", kinds.total(), "texts", 0, len(planted), how)


def _false_hits() -> Figure:
    chance, done, lines, hits = random.Random(4), 0, 0, Counter[str]()
    while done < CLEAN_BYTES:
        text = clean_text(CHUNK, chance=chance)
        done += len(text)
        for line, shown in zip(text.split("\n"), redact(text).split("\n"), strict=True):
            lines += 1
            hits[line] += line != shown
    told = "; ".join(line[:100] for line, number in hits.most_common(5) if number) or "none"
    how = f"changed lines of {lines} in {done / 1e6:.1f} MB of made-up task logs (ids, hashes, code, words about keys): {told}"
    return Figure("false hits on secret-free logs", hits.total(), "lines", 4, lines, how)


def _speed() -> Iterator[Figure]:
    """Against the aim of a model's turn: what is shown at once is redacted in less than a tenth of a second."""
    clean = clean_text(SELECTION, chance=random.Random(5))[:SELECTION]
    planted = _planted_text()
    for name, text in (("without a secret", clean), ("with a secret in every line", planted)):
        samples = [_milliseconds(text) for _ in range(20)]
        speed = len(text) / 1e6 / (sorted(samples)[len(samples) // 2] / 1000)
        how = f"redact() on {len(text)} characters {name}: {speed:.2f} MB/s"
        yield of_samples(f"redacting a selection {name}", samples, by="median", unit="ms", aim=100, how=how)


def _planted_text() -> str:
    """Plants from here and there, as many as a selection holds."""
    texts = [plant.text for plant in plants(Draw())]
    random.Random(6).shuffle(texts)
    return "\n".join(texts)[:SELECTION]


def _milliseconds(text: str) -> float:
    start = time.perf_counter()
    redact(text)
    return (time.perf_counter() - start) * 1000
