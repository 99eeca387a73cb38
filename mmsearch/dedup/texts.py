"""Texts that say the same: equal once normalised, or sharing most of their shingles (MinHash)."""

import hashlib
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.results import Pair, Tier
from mmsearch.progress import ProgressListener

# Estimated Jaccard similarity of shingles, from which two texts count as nearly the same.
NEAR_TEXT = 0.7
_SHINGLE = 5
_EXCERPT = 60
_BANDS, _ROWS = 24, 4
_PRIME = np.uint64((1 << 31) - 1)
# A bucket of a common boilerplate text would else be compared all against all.
_LARGEST_BUCKET = 200


def normalised(text: str) -> str:
    """Letters and digits only, one case, one space between words, accents composed alike."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def text_digest(text: str) -> str:
    return hashlib.blake2b(normalised(text).encode("utf-8", "replace"), digest_size=16).hexdigest()


def text_pairs(
    texts: Sequence[str], tiers: Collection[Tier], threshold: float, progress: ProgressListener
) -> list[Pair]:
    """texts: of each item, '' for none → pairs of the tiers text-same and text-near."""
    if not {"text-same", "text-near"} & set(tiers):
        return []
    by_text: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        if said := normalised(text):
            by_text[said].append(place)
    pairs = [
        Pair(places[0], other, "text-same", 1.0, "the texts are equal once normalised")
        for places in by_text.values()
        for other in places[1:]
        if "text-same" in tiers
    ]
    if "text-near" in tiers:
        progress.start("comparing texts", None)
        distinct = list(by_text)
        for one, two, share in near_texts(distinct, threshold):
            first, second = sorted((by_text[distinct[one]][0], by_text[distinct[two]][0]))
            evidence = f"{share:.0%} of the wording is shared"
            pairs.append(Pair(first, second, "text-near", share, evidence))
    return pairs


def excerpt(text: str) -> str:
    """On one line, of at most 60 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"


def near_texts(texts: Sequence[str], threshold: float = NEAR_TEXT) -> list[tuple[int, int, float]]:
    """texts: normalised and distinct → pairs (smaller first) with their Jaccard similarity."""
    signatures = _signatures(texts)
    pairs = sorted(set(_candidates(signatures)))
    found = [(a, b, jaccard(texts[a], texts[b])) for a, b in pairs]
    return [pair for pair in found if pair[2] >= threshold]


def jaccard(one: str, other: str) -> float:
    """The shared share of the shingles of two normalised texts, from 0 to 1."""
    first, second = _shingles(one), _shingles(other)
    return len(first & second) / max(len(first | second), 1)


def _shingles(text: str) -> set[int]:
    data = text.encode("utf-8", "replace")
    last = max(len(data) - _SHINGLE, 0)
    return {zlib.crc32(data[start : start + _SHINGLE]) for start in range(last + 1)}


def _signatures(texts: Sequence[str]) -> NDArray[np.uint64]:
    """uint64 (n, bands * rows): the least hash of the shingles under each of the functions."""
    chance = np.random.default_rng(20)
    width = _BANDS * _ROWS
    factors = chance.integers(1, int(_PRIME), width, dtype=np.uint64)
    offsets = chance.integers(0, int(_PRIME), width, dtype=np.uint64)
    signatures = np.zeros((len(texts), width), np.uint64)
    for row, text in enumerate(texts):
        hashes = np.fromiter(_shingles(text), np.uint64)[:, None] % _PRIME
        signatures[row] = ((hashes * factors + offsets) % _PRIME).min(axis=0)
    return signatures


def _candidates(signatures: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for row, part in enumerate(signatures[:, band * _ROWS : (band + 1) * _ROWS]):
            buckets[part.tobytes()].append(row)
        for rows in buckets.values():
            yield from combinations(rows[:_LARGEST_BUCKET], 2)
