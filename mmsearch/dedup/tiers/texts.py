"""Texts that say the same: equal once normalised, or sharing most of their wording."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from mmsearch.dedup.results import Pair, Tier
from mmsearch.dedup.tiers.near_texts import NearTexts, find_near_texts
from mmsearch.progress import ProgressListener

MEMORY_NAME = "texts.npz"
_EXCERPT = 60
# Runs of what `str.isalnum` is true of.
_WORD = re.compile(r"[^\W_]+")


def normalised(text: str) -> str:
    """Letters and digits only, one case, one space between words, accents composed alike."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def says_something(text: str) -> bool:
    """Whether anything is left of the text once it is normalised."""
    # Most texts begin with what normalising never takes away.
    first = text[:1]
    return (first.isascii() and first.isalnum()) or bool(normalised(text))


def text_pairs(
    texts: Sequence[str],
    tiers: Collection[Tier],
    threshold: float,
    progress: ProgressListener,
    *,
    memory: Path,
    narrowed: bool,
) -> list[Pair]:
    """texts: of each item, '' for none → pairs of the tiers text-same and text-near.

    memory: a file that keeps what was compared. narrowed: these are only some of the store's
    texts, so it stays as it is.
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
    """On one line, of at most 60 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
