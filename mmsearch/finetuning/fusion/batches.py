"""Samples batches for training a fusion: items with modality dropout, and a query for each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmsearch.finetuning.fusion.data import MODALITIES, FusionData, FusionQueries
from mmsearch.fusion import LateFusion
from mmsearch.fusion import tokens as centred_tokens
from mmsearch.fusion.base import Bools
from mmsearch.records import Floats, Ids, Modality


@dataclass(frozen=True, slots=True)
class FusionBatch:
    """Items and queries of one step.

    tokens: float (2, b, dim), centred unit rows, image first, zeros where missing.
    present: bool (2, b). queries: float (q, dim), centred unit rows, at most one per item.
    same, own: bool (q, b), whether a query means the item's product, and whether it is the item's
    own text or image.
    """

    tokens: Tensor
    present: Tensor
    queries: Tensor
    same: Tensor
    own: Tensor


class FusionSampler:
    """Samples items, and for each a query for its product, a text or an image equally often.

    text_dropout, image_dropout: shares of the items with both whose text or image is dropped.
    """

    def __init__(
        self,
        data: FusionData,
        means: Mapping[Modality, Floats],
        *,
        batch: int,
        text_dropout: float,
        image_dropout: float,
    ) -> None:
        self._groups, self._batch = data.groups, batch
        self._text_dropout, self._image_dropout = text_dropout, image_dropout
        image, text, has_image, has_text = centred_tokens(data.images, data.texts, means)
        self._tokens, self._present = np.stack([image, text]), np.stack([has_image, has_text])
        self._items = np.flatnonzero(has_image | has_text)
        self._pools = [
            _sorted(data.queries(modality), means, modality)
            for modality in MODALITIES
            if len(data.queries(modality))
        ]

    def draw(self, rng: np.random.Generator) -> FusionBatch:
        """Returns a random batch."""
        # With few items each is drawn several times, with different queries.
        few = len(self._items) < self._batch
        items = rng.choice(self._items, self._batch, replace=few)
        toss = rng.integers(len(self._pools), size=len(items))
        sampled = [
            _sampled_queries(pool, self._groups, items[toss == number], rng)
            for number, pool in enumerate(self._pools)
        ]
        vectors = np.concatenate([queries.vectors for queries in sampled])
        groups = np.concatenate([queries.groups for queries in sampled])
        owns = np.concatenate([queries.own for queries in sampled])
        present = self._dropped(self._present[:, items], rng)
        own = owns[:, None] == items
        same = (groups[:, None] == self._groups[items]) & ~own
        arrays = (self._tokens[:, items] * present[:, :, None], present, vectors, same, own)
        return FusionBatch(*(torch.from_numpy(array) for array in arrays))

    def _dropped(self, present: Bools, rng: np.random.Generator) -> Bools:
        """Drops modalities from bool (2, b); no item loses both."""
        uniform = rng.random(present.shape[1])
        both = present.all(axis=0)
        kept = present.copy()
        kept[1] &= ~(both & (uniform < self._text_dropout))
        kept[0] &= ~(both & (uniform > 1 - self._image_dropout))
        return kept


def _sorted(
    queries: FusionQueries, means: Mapping[Modality, Floats], modality: Modality
) -> FusionQueries:
    """Returns the queries centred and sorted by group."""
    order = np.argsort(queries.groups, kind="stable")
    centred = LateFusion(means).centre(queries.vectors[order], modality)
    return FusionQueries(centred, queries.groups[order], queries.own[order])


def _sampled_queries(
    pool: FusionQueries, groups: Ids, items: Ids, rng: np.random.Generator
) -> FusionQueries:
    """Samples one query for each item that has one, other than the item's own text or image."""
    first = np.searchsorted(pool.groups, groups[items], side="left")
    last = np.searchsorted(pool.groups, groups[items], side="right")
    items, first, last = (each[last > first] for each in (items, first, last))
    drawn = rng.integers(first, last)
    following = first + (drawn - first + 1) % (last - first)
    drawn = np.where(pool.own[drawn] == items, following, drawn)
    drawn = drawn[pool.own[drawn] != items]
    return FusionQueries(pool.vectors[drawn], pool.groups[drawn], pool.own[drawn])
