"""What the stored vectors say: similar pictures, and texts that fit another picture better."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.edited import EditedPairs
from mmsearch.dedup.items import Item
from mmsearch.dedup.misplaced import FEWEST_ITEMS, find_misplaced
from mmsearch.dedup.remembered import Remembered
from mmsearch.dedup.results import Finding, SimilarPairs
from mmsearch.dedup.texts import excerpt, says_something
from mmsearch.engine.nearest import Nearest
from mmsearch.fusion import unit
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids
from mmsearch.store.filters import LIVE
from mmsearch.store.lance import Store

SIMILAR_NAME = "similar.npz"
_SIMILAR_ASKED = 12
_ASKED_LATER = 4


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
        kept = Remembered((), EditedPairs.joined([]), f"similar {threshold:.4f} {self.space}")
        if memory is not None:
            kept = Remembered.load(memory, kept.setting)
        settled, known = kept.among({names[place] for place in np.flatnonzero(compared).tolist()})
        place_of = {name: place for place, name in enumerate(names)}
        done = np.array([place_of[name] for name in settled], np.int64)
        fresh = compared.copy()
        fresh[done] = False
        # What is new asks for more: of old ones that lie as near it may not be the nearest.
        asked = _SIMILAR_ASKED * (_ASKED_LATER if settled else 1)
        found = self._near(own, fresh, compared, threshold, asked, narrowed=narrowed)
        pairs = _each_once([(np.sort(done[known.pairs], axis=1), known.agreement), *found])
        if memory is not None and (fresh.any() or len(kept.hashes) != len(settled)):
            number = np.cumsum(compared) - 1
            none = np.zeros(len(pairs), np.int64)
            listed = tuple(names[place] for place in np.flatnonzero(compared).tolist())
            every = EditedPairs(number[pairs.pairs], pairs.cosines, none)
            Remembered(listed, every, kept.setting).save(memory)
        return pairs

    def _near(
        self,
        own: Ids,
        fresh: NDArray[np.bool_],
        compared: NDArray[np.bool_],
        threshold: float,
        k: int,
        *,
        narrowed: bool,
    ) -> Iterator[tuple[Ids, Floats]]:
        """Pairs of places, int64 (m, 2), of those that are fresh and any compared; their cosines.

        own: int64 (n,), the items' uids, ascending.
        """
        self.progress.start("comparing vectors", int(fresh.sum()))
        if not fresh.any():
            return
        wanted = own[compared] if narrowed else None
        where = f"{LIVE} AND _uid >= {own[fresh].min()}"
        for uids, (vectors,) in self.store.vectors(["_image_vector"], where):
            place = places_of(uids, own)
            asked = np.flatnonzero((place >= 0) & fresh[place] & vectors.any(axis=1))
            if not asked.size:
                continue
            # A search among chosen rows is slower: where nearly all are, others are dropped after.
            found = self.nearest.search(unit(vectors[asked]), "image", k, wanted)
            one = np.repeat(place[asked], [len(others) for _, others in found])
            cosines, others = (np.concatenate(column) for column in zip(*found, strict=True))
            two = places_of(others, own)
            near = (cosines >= threshold) & (one != two) & (two >= 0) & compared[two]
            yield np.sort(np.stack([one[near], two[near]], axis=1), axis=1), cosines[near]
            self.progress.advance(len(asked))

    def neighbours(self, items: Sequence[Item]) -> Iterator[tuple[Item, list[tuple[float, Item]]]]:
        """For each of the items with an image vector the nearest others, with their cosines."""
        by_uid = {item.uid: item for item in self.items}
        wanted = np.array(sorted(item.uid for item in items), np.int64)
        allowed = np.array(sorted(by_uid), np.int64)
        for uids, (vectors,) in self.store.vectors(["_image_vector"]):
            asked = np.flatnonzero(np.isin(uids, wanted) & vectors.any(axis=1))
            if not asked.size:
                continue
            rankings = self.nearest.search(unit(vectors[asked]), "image", _SIMILAR_ASKED, allowed)
            for uid, (cosines, others) in zip(uids[asked].tolist(), rankings, strict=True):
                found = zip(cosines.tolist(), others.tolist(), strict=True)
                yield by_uid[uid], [(near, by_uid[other]) for near, other in found if other != uid]

    def misplaced(self, copies: Set[int]) -> list[Finding]:
        """Texts on the wrong picture, the most outlying first, and whose text fits better."""
        worded = {item.uid for item in self.items if says_something(item.text)} - copies
        if len(worded) < FEWEST_ITEMS:
            return []
        uids, images, texts = self._both_vectors(worded)
        self.progress.start("comparing texts with pictures", None)
        found = find_misplaced(images, texts)
        by_uid = {item.uid: item for item in self.items}
        findings = []
        for row, better, own, other, outlying in zip(
            found.rows.tolist(),
            found.better.tolist(),
            found.own.tolist(),
            found.other.tolist(),
            found.outlying.tolist(),
            strict=True,
        ):
            item, right = by_uid[int(uids[row])], by_uid[int(uids[better])]
            detail = (
                f"says {excerpt(item.text)!r}; better: {excerpt(right.text)!r} (pictures so "
                f"described are at {other:.2f}, those described as this one at {own:.2f}; "
                f"{outlying:.1f} deviations out)"
            )
            findings.append(Finding.of("text on the wrong picture", (item, right), detail))
        return findings

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


def places_of(uids: Ids, ascending: Ids) -> Ids:
    """uids: int64 (n,) → their places in `ascending`, -1 for those that are not there."""
    if not len(ascending):
        return np.full(len(uids), -1)
    place = np.minimum(np.searchsorted(ascending, uids), len(ascending) - 1)
    there: Ids = np.where(ascending[place] == uids, place, -1)
    return there


def _each_once(parts: Sequence[tuple[Ids, Floats]]) -> SimilarPairs:
    """parts: one or more of pairs int64 (m, 2) and their cosines."""
    pairs, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((-cosines, pairs[:, 1], pairs[:, 0]))
    pairs, cosines = pairs[order], cosines[order]
    first = np.ones(len(pairs), np.bool_)
    first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return SimilarPairs(pairs[first], cosines[first])
