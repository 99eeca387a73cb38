"""What the stored vectors say: similar pictures, and texts that fit another picture better."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids
from mmsearch.store import Store
from mmsearch.store.filters import LIVE

SIMILAR_NAME, NEAREST_NAME = "similar.npz", "nearest.npz"
_ASKED = 12
# In place of rows that do not count.
_SPARE = 4


@dataclass(frozen=True, slots=True)
class VectorFinder:
    """items: of one run, whose vectors `store` holds and `nearest` searches."""

    items: Sequence[Item]
    store: Store
    nearest: Nearest
    progress: ProgressListener

    @property
    def space(self) -> str:
        """The hash of the weights that made the vectors."""
        return self.store.manifest.space.weights_hash

    def similar(
        self, copies: Set[int], threshold: float, *, narrowed: bool, memory: Path | None
    ) -> SimilarPairs:
        """Pairs of the tier similar. copies: uids of pictures that another one stands for.

        narrowed: the items are only some of the store's rows. memory: a file that keeps what was
        found, so that the next run asks only for what is new; None for a run that is not kept.
        """
        own = np.array([item.uid for item in self.items], np.int64)
        compared = ~np.isin(own, np.fromiter(copies, np.int64, len(copies)))
        names = [f"{item.uid} {item.image_hash}" for item in self.items]
        known = Remembered((), EditedPairs.joined([]), f"near {threshold:.4f} {self.space}")
        if memory is not None:
            known = Remembered.load(memory, known.setting)

        def ask(asked: NDArray[np.bool_], k: int) -> tuple[SimilarTo, NDArray[np.bool_]]:
            return self._near(own, asked, compared, threshold, k, narrowed=narrowed)

        found, learned = find_similar(names, compared, ask, known)
        if memory is not None and learned is not known:
            learned.save(memory)
        return found.pairs()

    def _near(
        self,
        own: Ids,
        asked: NDArray[np.bool_],
        compared: NDArray[np.bool_],
        threshold: float,
        k: int,
        *,
        narrowed: bool,
    ) -> tuple[SimilarTo, NDArray[np.bool_]]:
        """Of the rows asked for, the compared ones near enough; and where all k found lie near.

        own: int64 (n,), the items' uids, ascending.
        """
        self.progress.start("comparing vectors", int(asked.sum()))
        parts: list[SimilarTo] = []
        more = np.zeros_like(asked)
        wanted = own[compared] if narrowed else None
        # A search among chosen rows is slower: where nearly all are, others are dropped after it.
        k += 0 if narrowed or compared.all() else _SPARE
        where = f"{LIVE} AND _uid >= {own[asked].min()}"
        for uids, (vectors,) in self.store.vectors(["_image_vector"], where):
            place = places_of(uids, own)
            here = np.flatnonzero((place >= 0) & asked[place] & vectors.any(axis=1))
            if not here.size:
                continue
            found = self.nearest.search(unit(vectors[here]), "image", k, allowed=wanted)
            asker = np.repeat(np.arange(len(here)), [len(others) for _, others in found])
            cosines, others = (np.concatenate(column) for column in zip(*found, strict=True))
            other = places_of(others, own)
            row, near = place[here][asker], cosines >= threshold
            more[place[here]] = np.bincount(asker[near], minlength=len(here)) >= k
            near &= (row != other) & (other >= 0) & compared[other]
            parts.append(SimilarTo(np.stack([row[near], other[near]], axis=1), cosines[near]))
            self.progress.advance(len(here))
        return SimilarTo.joined(parts), more

    def neighbours(self, items: Sequence[Item]) -> Iterator[tuple[Item, list[tuple[float, Item]]]]:
        """For each of the items with an image vector the nearest others, with their cosines."""
        by_uid = {item.uid: item for item in self.items}
        wanted = np.array(sorted(item.uid for item in items), np.int64)
        allowed = np.array(sorted(by_uid), np.int64)
        for uids, (vectors,) in self.store.vectors(["_image_vector"]):
            asked = np.flatnonzero(np.isin(uids, wanted) & vectors.any(axis=1))
            if not asked.size:
                continue
            rankings = self.nearest.search(unit(vectors[asked]), "image", _ASKED, allowed=allowed)
            for uid, (cosines, others) in zip(uids[asked].tolist(), rankings, strict=True):
                found = zip(cosines.tolist(), others.tolist(), strict=True)
                yield by_uid[uid], [(near, by_uid[other]) for near, other in found if other != uid]

    def misplaced(
        self, copies: Set[int], *, memory: Path | None, suspicions: bool = False
    ) -> tuple[list[Finding], str]:
        """Texts on the wrong picture, the likeliest first, and whose text fits better.

        Where there are none, why not, for people; '' where no item has a text. copies, memory: as
        for `similar`. suspicions: texts that are less likely wrong, too.
        """
        worded = {item.uid for item in self.items if says_something(item.text)} - copies
        if not worded:
            return [], ""
        if len(worded) < FEWEST_ITEMS:
            return [], too_few(len(worded))
        uids, images, texts = self._both_vectors(worded)
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
        self, uids: Ids, images: Floats, texts: Floats, memory: Path | None
    ) -> Neighbours:
        """What is kept of an earlier run is brought up to date, and kept."""
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
        """uids int64 (n,), ascending; image and text vectors float32 (n, dim), unit rows."""
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
