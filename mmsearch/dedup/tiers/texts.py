"""Duplicate texts: equal after normalisation, or near duplicates."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence

from mmsearch.dedup.cache.database import CachedArrays
from mmsearch.dedup.results import Pair, Tier
from mmsearch.dedup.tiers.near_texts import NearTexts, find_near_texts
from mmsearch.progress import ProgressListener

_EXCERPT = 60
# Runs of characters for which `str.isalnum` holds.
_WORD = re.compile(r"[^\W_]+")


def normalised(text: str) -> str:
    """Normalises a text to case-folded letters and digits, words separated by single spaces."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def says_something(text: str) -> bool:
    """Whether a text is not empty after normalisation."""
    # Shortcut: most texts begin with a character that normalisation keeps.
    first = text[:1]
    return (first.isascii() and first.isalnum()) or bool(normalised(text))


def text_pairs(
    texts: Sequence[str],
    tiers: Collection[Tier],
    threshold: float,
    progress: ProgressListener,
    *,
    memory: CachedArrays,
    narrowed: bool,
) -> list[Pair]:
    """Finds pairs of the tiers text-same and text-near.

    texts: of each item, '' for none.
    memory: cached texts.
    narrowed: the texts are only part of the store, so the cache is not updated.
    """
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
        known = NearTexts.load(memory, threshold)
        near = find_near_texts(list(by_text), threshold, known)
        if not narrowed and near.digests != known.digests:
            near.save(memory, threshold)
        firsts = [places[0] for places in by_text.values()]
        for (one, two), share in zip(near.pairs.tolist(), near.shares.tolist(), strict=True):
            evidence = f"{share:.0%} of the wording is shared"
            pairs.append(Pair(firsts[one], firsts[two], "text-near", share, evidence))
    return pairs


def excerpt(text: str) -> str:
    """Shortens a text to one line of at most 60 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
