"""Items and the queries that should find them: what fusions are trained and measured on.

A query is a text or a picture of a product that is not the very one that the item carries. Where an
item has several texts, the first is its own and the others ask for it; a text of several sentences
is dealt out between item and query; a single sentence is asked for by some of its words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmsearch.errors import InputError
from mmsearch.evaluation.metrics import Judgements
from mmsearch.records import Floats, Ids, Modality

# A query that was taken from no item.
NO_ITEM = -1
MODALITIES: tuple[Modality, ...] = ("text", "image")
# Ways in which a single sentence is asked for.
_WORDINGS = 3
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class FusionQueries:
    """vectors: float32 (q, dim), unit rows of one modality. groups: int64 (q,), the product meant.

    own: int64 (q,), the item that a query was taken from as it is, NO_ITEM for none; that item is
    no answer to it.
    """

    vectors: Floats
    groups: Ids
    own: Ids

    def __len__(self) -> int:
        return len(self.vectors)

    def thinned(self, most: int) -> "FusionQueries":
        """At most so many, spread evenly."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64))
        return FusionQueries(self.vectors[chosen], self.groups[chosen], self.own[chosen])


@dataclass(frozen=True, slots=True)
class FusionData:
    """images, texts: float32 (n, dim), the encoder's unit rows, zeros where missing; groups: int64
    (n,), the product that an item shows. Raises InputError where shapes differ, numbers are not
    finite, or no query has an answer.
    """

    images: Floats
    texts: Floats
    groups: Ids
    text_queries: FusionQueries
    image_queries: FusionQueries

    def __post_init__(self) -> None:
        if self.images.shape != self.texts.shape or self.groups.shape != self.images.shape[:1]:
            raise InputError(
                "a fusion needs a picture row, a text row and a group for each item, got "
                f"{self.images.shape}, {self.texts.shape} and {self.groups.shape}"
            )
        vectors = (self.images, self.texts, self.text_queries.vectors, self.image_queries.vectors)
        if not all(np.isfinite(each).all() for each in vectors):
            raise InputError("vectors to train a fusion on are not finite; encode the items again")
        if not any(len(judge(self, modality).asked) for modality in MODALITIES):
            raise InputError(
                "no query has an answer: a fusion is trained on items with texts of some words, or "
                "on products with several pictures (name their column with `group`)"
            )

    @property
    def dim(self) -> int:
        return int(self.images.shape[1])

    def queries(self, modality: Modality) -> FusionQueries:
        return self.text_queries if modality == "text" else self.image_queries

    def thinned(self, most: int) -> "FusionData":
        """The same items with at most so many queries of each modality."""
        texts, images = self.text_queries.thinned(most), self.image_queries.thinned(most)
        return replace(self, text_queries=texts, image_queries=images)

    def without_texts(self, share: float, *, seed: int) -> "FusionData":
        """The same without the texts of so many of the items that have a picture as well."""
        both = np.flatnonzero(self.images.any(axis=1) & self.texts.any(axis=1))
        chosen = np.random.default_rng(seed).permutation(both)[: round(share * len(both))]
        texts = self.texts.copy()
        texts[chosen] = 0
        return replace(self, texts=texts)


@dataclass(frozen=True, slots=True)
class Judged:
    """asked: int64 (a,), positions of the queries that have an answer; judgements over those."""

    asked: Ids
    judgements: Judgements


def judge(data: FusionData, modality: Modality) -> Judged:
    """An item of a query's group answers it, unless the query was taken from that very item."""
    queries = data.queries(modality)
    order = np.argsort(data.groups, kind="stable")
    first, last = (
        np.searchsorted(data.groups[order], queries.groups, side=side) for side in ("left", "right")
    )
    members = (order[a:b] for a, b in zip(first, last, strict=True))
    answers = [items[items != own] for items, own in zip(members, queries.own, strict=True)]
    counts = np.array([len(items) for items in answers], dtype=np.int64)
    asked = np.flatnonzero(counts)
    candidate = np.concatenate([answers[query] for query in asked]) if len(asked) else order[:0]
    query = np.repeat(np.arange(len(asked)), counts[asked])
    return Judged(asked, Judgements(query, candidate, np.ones(len(query)), len(asked)))


@dataclass(frozen=True, slots=True)
class FusionTexts:
    """own: each item's text, '' where it has none. queries ask for the items at `items`, int64."""

    own: Sequence[str]
    queries: Sequence[str]
    items: Ids


def fusion_texts(texts: Sequence[Sequence[str]], *, seed: int) -> FusionTexts:
    """texts: by item, all that it has; see above for which of them ask."""
    rng = np.random.default_rng(seed)
    split = [split_texts(each, rng) for each in texts]
    queries = [(query, item) for item, (_, asking) in enumerate(split) for query in asking]
    return FusionTexts(
        [own for own, _ in split],
        [query for query, _ in queries],
        np.array([item for _, item in queries], dtype=np.int64),
    )


def split_texts(texts: Sequence[str], rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
    """An item's own text, and those that ask for it, none of which is its own as it is."""
    if len(texts) > 1:
        return texts[0], tuple(text for text in texts[1:] if text != texts[0])
    text = texts[0] if texts else ""
    sentences = [part for part in _SENTENCE_END.split(text.strip()) if part]
    if len(sentences) > 1:
        return " ".join(sentences[0::2]), tuple(sentences[1::2])
    words = text.split()
    asking = {_some_words(words, rng) for _ in range(_WORDINGS)} if len(words) > 1 else set()
    return text, tuple(sorted(asking))


def _some_words(words: Sequence[str], rng: np.random.Generator) -> str:
    """At least one of them, never all, in their order."""
    count = int(rng.integers(1, len(words)))
    chosen = np.sort(rng.choice(len(words), count, replace=False))
    return " ".join(words[place] for place in chosen)


def fusion_data(
    images: Floats,
    texts: Floats,
    groups: Ids,
    *,
    text_queries: Floats,
    query_items: Ids,
    views: Floats | None = None,
) -> FusionData:
    """images, texts: float32 (n, dim), of each item's picture and of `FusionTexts.own`, zeros where
    missing. text_queries: float32 (q, dim), of `FusionTexts.queries`; query_items: `.items`.

    views: float32 (n, dim), of an augmented view of each picture: what asks for an item whose
    product has no other picture. Raises InputError as FusionData does.
    """
    with_picture = np.flatnonzero(images.any(axis=1))
    siblings = np.bincount(groups[with_picture], minlength=int(groups.max(initial=0)) + 1)
    shared = with_picture[siblings[groups[with_picture]] > 1]
    pictures, asked, own = images[shared], groups[shared], shared
    if views is not None:
        alone = with_picture[siblings[groups[with_picture]] == 1]
        alone = alone[views[alone].any(axis=1)]
        pictures = np.concatenate([pictures, views[alone]])
        asked = np.concatenate([asked, groups[alone]])
        own = np.concatenate([own, np.full(len(alone), NO_ITEM)])
    return FusionData(
        images,
        texts,
        groups,
        FusionQueries(text_queries, groups[query_items], np.full(len(query_items), NO_ITEM)),
        FusionQueries(pictures, asked, own),
    )
