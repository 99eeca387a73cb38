"""Findings from stored vectors: similar images, and texts that fit another image better."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.cache.database import CachedArrays
from mmsearch.dedup.cache.pair_cache import Remembered
from mmsearch.dedup.findings.misplaced_texts import (
    FEWEST_ITEMS,
    MOST_KEPT,
    Neighbours,
    find_misplaced,
    too_few,
)
from mmsearch.dedup.findings.nearest_rows import places_of
from mmsearch.dedup.items import Item
from mmsearch.dedup.results import Finding, FindingKind, SimilarPairs
from mmsearch.dedup.thumbnails.edited_copies import EditedPairs
from mmsearch.dedup.tiers.similar_images import SimilarTo, find_similar
from mmsearch.dedup.tiers.texts import excerpt, says_something
from mmsearch.engine.nearest import Nearest
from mmsearch.fusion import unit
from mmsearch.generations import StoredVectors
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids
from mmsearch.store import Store

_NEIGHBOURS = 12
# Extra neighbours that replace excluded rows.
_SPARE = 4


@dataclass(frozen=True, slots=True)
class VectorFinder:
    """Searches the stored vectors of a run's items.

    items: of the run.
    store: holds the vectors.
    nearest: searches them.
    """

    items: Sequence[Item]
    store: Store
    nearest: Nearest
    progress: ProgressListener

    @property
    def space(self) -> str:
        """Hash of the weights of the model that computed the vectors."""
        return self.store.manifest.space.weights_hash

    def similar(
        self, copies: Set[int], threshold: float, *, narrowed: bool, memory: CachedArrays | None
    ) -> SimilarPairs:
        """Finds the pairs of the tier `similar`.

        copies: uids of images that are represented by another one.
        narrowed: the items are only part of the store.
        memory: cached pairs, so that the next run only searches for new images; None without.
        """
        own = np.array([item.uid for item in self.items], np.int64)
        compared = ~np.isin(own, np.fromiter(copies, np.int64, len(copies)))
        names = [f"{item.uid} {item.image_hash}" for item in self.items]
        known = Remembered((), EditedPairs.joined([]), f"near {threshold:.4f} {self.space}")
        if memory is not None:
            known = Remembered.load(memory, known.setting)

        def search(queries: NDArray[np.bool_], k: int) -> tuple[SimilarTo, NDArray[np.bool_]]:
            return self._near(own, queries, compared, threshold, k=k, narrowed=narrowed)

        found, learned = find_similar(names, compared, search, known)
        if memory is not None and learned is not known:
            learned.save(memory)
        return found.pairs()

    def _near(
        self,
        own: Ids,
        queries: NDArray[np.bool_],
        compared: NDArray[np.bool_],
        threshold: float,
        *,
        k: int,
        narrowed: bool,
    ) -> tuple[SimilarTo, NDArray[np.bool_]]:
        """Edges from queries to compared rows above the threshold, and a mask of full results.

        own: int64 (n,), uids of the items, ascending.
        """
        self.progress.start("comparing vectors", int(queries.sum()))
        parts: list[SimilarTo] = []
        more = np.zeros_like(queries)
        requested = own[compared] if narrowed else None
        # A filtered search is slower: if nearly all rows are allowed, the others are dropped
        # afterwards.
        k += 0 if narrowed or compared.all() else _SPARE
        for vectors, uids in self._image_vectors(since=int(own[queries].min())):
            place = places_of(uids, own)
            here = np.flatnonzero((place >= 0) & queries[place])
            if not here.size:
                continue
            found = self.nearest.search(
                vectors[here], "image", k, allowed=requested, each_part=True
            )
            query = np.repeat(np.arange(len(here)), [len(ranking.rows) for ranking in found])
            cosines, _, others = (np.concatenate(column) for column in zip(*found, strict=True))
            other = places_of(others, own)
            row, near = place[here][query], cosines >= threshold
            more[place[here]] = np.bincount(query[near], minlength=len(here)) >= k
            near &= (row != other) & (other >= 0) & compared[other]
            parts.append(SimilarTo(np.stack([row[near], other[near]], axis=1), cosines[near]))
            self.progress.advance(len(here))
        return SimilarTo.joined(parts), more

    def _image_vectors(self, since: int = 0) -> StoredVectors:
        """The image vectors from a uid on, of each image where an item has several."""
        parts = self.nearest.parts("image")
        return StoredVectors(self.store, "image", self.nearest.fusion, 0, since=since, parts=parts)

    def neighbours(self, items: Sequence[Item]) -> Iterator[tuple[Item, list[tuple[float, Item]]]]:
        """Yields each item that has an image vector with its nearest others and their cosines."""
        by_uid = {item.uid: item for item in self.items}
        requested = np.array(sorted(item.uid for item in items), np.int64)
        allowed = np.array(sorted(by_uid), np.int64)
        for vectors, uids in self._image_vectors():
            queries = np.flatnonzero(np.isin(uids, requested))
            if not queries.size:
                continue
            rankings = self.nearest.search(
                vectors[queries], "image", _NEIGHBOURS, allowed=allowed, each_part=True
            )
            for uid, (cosines, _, others) in zip(uids[queries].tolist(), rankings, strict=True):
                found = zip(cosines.tolist(), others.tolist(), strict=True)
                yield by_uid[uid], [(near, by_uid[other]) for near, other in found if other != uid]

    def misplaced(
        self, copies: Set[int], *, memory: CachedArrays | None, suspicions: bool = False
    ) -> tuple[list[Finding], str]:
        """Finds texts on the wrong image, the most likely first, and items whose text fits better.

        copies, memory: as for `similar`.
        suspicions: whether to include less likely ones.
        Returns the findings, and why there are none, for people; '' if no item has a text.
        """
        with_text = {item.uid for item in self.items if says_something(item.text)} - copies
        if not with_text:
            return [], ""
        if len(with_text) < FEWEST_ITEMS:
            return [], too_few(len(with_text))
        uids, images, texts = self._both_vectors(with_text)
        if len(uids) < FEWEST_ITEMS:
            return [], too_few(len(uids))
        self.progress.start("comparing texts with pictures", None)
        neighbours = self._neighbours(uids, images, texts, memory)
        found = find_misplaced(images, texts, neighbours)
        by_uid = {item.uid: item for item in self.items}
        findings = []
        shown = len(found.rows) if suspicions else found.reported
        for place in range(shown):
            item = by_uid[int(uids[found.rows[place]])]
            right = by_uid[int(uids[found.better[place]])]
            detail = (
                f"says {excerpt(item.text)!r}; better: {excerpt(right.text)!r} (wrong with a "
                f"chance of {min(found.chances[place], 0.99):.0%}; cosine of the picture with "
                f"those so described {found.other[place]:.2f}, with those described as this one "
                f"{found.own[place]:.2f})"
            )
            certain = place < found.reported
            kind: FindingKind = "text on the wrong picture" if certain else "suspicious text"
            findings.append(Finding.of(kind, (item, right), detail))
        return findings, found.silence

    def _neighbours(
        self, uids: Ids, images: Floats, texts: Floats, memory: CachedArrays | None
    ) -> Neighbours:
        """Neighbours of the items, updated from the cache if there is one."""
        if memory is None or len(uids) > MOST_KEPT:
            return Neighbours.of(uids, images, texts)
        known = Neighbours.load(memory, self.space)
        if known is not None and np.array_equal(known.images.uids, uids):
            return known
        found = (
            Neighbours.of(uids, images, texts)
            if known is None
            else known.updated(uids, images, texts)
        )
        found.save(memory, self.space)
        return found

    def _both_vectors(self, chosen: Set[int]) -> tuple[Ids, Floats, Floats]:
        """Ascending uids, int64 (n,), and image and text vectors, float32 (n, dim), unit rows."""
        parts: list[tuple[Ids, Floats, Floats]] = []
        allowed = np.array(sorted(chosen), np.int64)
        for uids, (images, texts) in self.store.vectors(["_image_vector", "_text_vector"]):
            kept = np.isin(uids, allowed) & images.any(axis=1) & texts.any(axis=1)
            parts.append((uids[kept], unit(images[kept]), unit(texts[kept])))
        if not parts:
            none = np.zeros((0, self.store.dim), np.float32)
            return np.zeros(0, np.int64), none, none
        uids, images, texts = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(uids)
        return uids[order], images[order], texts[order]
