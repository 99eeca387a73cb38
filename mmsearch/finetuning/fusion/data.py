"""Items and the queries that should find them: the data that fusions are trained and scored on.

A query is a text or an image of a product other than the item's own. Of several texts, the first is
the item's own and the others are queries; the sentences of a single text are divided between item
and queries; for a single sentence the queries are some of its words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmsearch.errors import InputError
from mmsearch.evaluation.metrics import Judgements
from mmsearch.records import Floats, Ids, Modality

# A query that is not an item's own text or image.
NO_ITEM = -1
MODALITIES: tuple[Modality, ...] = ("text", "image")
# Queries made of a single sentence.
_QUERIES_PER_SENTENCE = 3
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class FusionQueries:
    """Queries of one modality.

    vectors: float32 (q, dim), unit rows. groups: int64 (q,), the products meant.
    own: int64 (q,), the item whose own text or image a query is, which does not count as an answer;
    NO_ITEM for none.
    """

    vectors: Floats
    groups: Ids
    own: Ids

    def __len__(self) -> int:
        return len(self.vectors)

    def thinned(self, most: int) -> "FusionQueries":
        """Returns at most `most` queries, evenly spread."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64))
        return FusionQueries(self.vectors[chosen], self.groups[chosen], self.own[chosen])


@dataclass(frozen=True, slots=True)
class FusionData:
    """Items and queries.

    images, texts: float32 (n, dim), the encoder's unit rows, zeros where missing. groups: int64
    (n,), the items' products. Raises InputError if shapes differ, numbers are not finite, or no
    query has an answer.
    """

    images: Floats
    texts: Floats
    groups: Ids
    text_queries: FusionQueries
    image_queries: FusionQueries

    def __post_init__(self) -> None:
        if self.images.shape != self.texts.shape or self.groups.shape != self.images.shape[:1]:
            raise InputError(
                "a fusion needs an image row, a text row and a group for each item, got "
                f"{self.images.shape}, {self.texts.shape} and {self.groups.shape}"
            )
        vectors = (self.images, self.texts, self.text_queries.vectors, self.image_queries.vectors)
        if not all(np.isfinite(each).all() for each in vectors):
            raise InputError("embeddings to train a fusion on are not finite; encode them again")
        if not any(len(judge(self, modality).answerable) for modality in MODALITIES):
            raise InputError(
                "no query has an answer: a fusion is trained on items with texts of several words, "
                "or on products with several images (set group to their column)"
            )

    @property
    def dim(self) -> int:
        """The dimension of the embeddings."""
        return int(self.images.shape[1])

    def queries(self, modality: Modality) -> FusionQueries:
        """Returns the queries of one modality."""
        return self.text_queries if modality == "text" else self.image_queries

    def thinned(self, most: int) -> "FusionData":
        """Returns the same items with at most `most` queries of each modality."""
        texts, images = self.text_queries.thinned(most), self.image_queries.thinned(most)
        return replace(self, text_queries=texts, image_queries=images)

    def without_texts(self, share: float, *, seed: int) -> "FusionData":
        """Returns the same data without the texts of a share of the items that have an image."""
        both = np.flatnonzero(self.images.any(axis=1) & self.texts.any(axis=1))
        chosen = np.random.default_rng(seed).permutation(both)[: round(share * len(both))]
        texts = self.texts.copy()
        texts[chosen] = 0
        return replace(self, texts=texts)


@dataclass(frozen=True, slots=True)
class Judged:
    """Positions of the queries that have an answer, int64 (a,), and their judgements."""

    answerable: Ids
    judgements: Judgements


def judge(data: FusionData, modality: Modality) -> Judged:
    """Judges all items of a query's group as answers, except its own item."""
    queries = data.queries(modality)
    order = np.argsort(data.groups, kind="stable")
    first, last = (
        np.searchsorted(data.groups[order], queries.groups, side=side) for side in ("left", "right")
    )
    members = (order[a:b] for a, b in zip(first, last, strict=True))
    answers = [items[items != own] for items, own in zip(members, queries.own, strict=True)]
    counts = np.array([len(items) for items in answers], dtype=np.int64)
    answerable = np.flatnonzero(counts)
    candidate = (
        np.concatenate([answers[query] for query in answerable]) if len(answerable) else order[:0]
    )
    query = np.repeat(np.arange(len(answerable)), counts[answerable])
    return Judged(answerable, Judgements(query, candidate, np.ones(len(query)), len(answerable)))


@dataclass(frozen=True, slots=True)
class FusionTexts:
    """Texts of items, '' where missing, and text queries for the items at `items`, int64 (q,)."""

    own: Sequence[str]
    queries: Sequence[str]
    items: Ids


def fusion_texts(texts: Sequence[Sequence[str]], *, seed: int) -> FusionTexts:
    """Divides each item's texts into its own and queries."""
    rng = np.random.default_rng(seed)
    split = [split_texts(each, rng) for each in texts]
    queries = [(query, item) for item, (_, asking) in enumerate(split) for query in asking]
    return FusionTexts(
        [own for own, _ in split],
        [query for query, _ in queries],
        np.array([item for _, item in queries], dtype=np.int64),
    )


def split_texts(texts: Sequence[str], rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
    """Returns an item's own text and the queries for it, which all differ from it."""
    if len(texts) > 1:
        return texts[0], tuple(text for text in texts[1:] if text != texts[0])
    text = texts[0] if texts else ""
    sentences = [part for part in _SENTENCE_END.split(text.strip()) if part]
    if len(sentences) > 1:
        return " ".join(sentences[0::2]), tuple(sentences[1::2])
    words = text.split()
    if len(words) < 2:
        return text, ()
    return text, tuple(sorted({_some_words(words, rng) for _ in range(_QUERIES_PER_SENTENCE)}))


def _some_words(words: Sequence[str], rng: np.random.Generator) -> str:
    """Returns a random selection, at least one word and not all, in order."""
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
    """Returns training data from embeddings.

    images, texts: float32 (n, dim), of each item's image and of `FusionTexts.own`, zeros where
    missing. text_queries: float32 (q, dim), of `FusionTexts.queries`; query_items: `.items`.
    views: float32 (n, dim), of an augmented view of each image, the query for an item whose product
    has no other image. Raises InputError as FusionData does.
    """
    with_image = np.flatnonzero(images.any(axis=1))
    siblings = np.bincount(groups[with_image], minlength=int(groups.max(initial=0)) + 1)
    shared = with_image[siblings[groups[with_image]] > 1]
    queries, products, own = images[shared], groups[shared], shared
    if views is not None:
        alone = with_image[siblings[groups[with_image]] == 1]
        alone = alone[views[alone].any(axis=1)]
        queries = np.concatenate([queries, views[alone]])
        products = np.concatenate([products, groups[alone]])
        own = np.concatenate([own, np.full(len(alone), NO_ITEM)])
    return FusionData(
        images,
        texts,
        groups,
        FusionQueries(text_queries, groups[query_items], np.full(len(query_items), NO_ITEM)),
        FusionQueries(queries, products, own),
    )
