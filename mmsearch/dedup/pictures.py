"""Pairs of one picture: equal bytes, equal pixels, edited copies."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.dedup.edited import EditedPairs, align_pairs, find_edited
from mmsearch.dedup.items import Item, PrintCache
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.remembered import Remembered, ordered_first
from mmsearch.dedup.results import Pair
from mmsearch.dedup.views import INVERSE, ORIENTATIONS
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds, decode
from mmsearch.progress import ProgressListener
from mmsearch.records import real_path

MEMORY_NAME = "pairs.npz"
_EQUAL_BYTES, _EQUAL_PIXELS = 2.0, 1.5
# Equal pixels, decoded at another scale, agree at least so far.
_MAYBE_EQUAL = 0.98


@dataclass(frozen=True, slots=True)
class PictureFinder:
    """items: of one run. folder: where fingerprints and finished pairs are kept.

    threshold: the agreement from which a picture is an edited copy.
    """

    items: Sequence[Item]
    cache: PrintCache
    folder: Path
    options: DedupOptions
    threshold: float
    bounds: MediaBounds
    progress: ProgressListener

    def pairs(self) -> list[Pair]:
        """Of the tiers that the options name, each pair of files once."""
        by_hash = self._by_hash()
        pairs = [
            Pair(places[0], other, "bytes", _EQUAL_BYTES, "the files hold the same bytes")
            for places in by_hash.values()
            for other in places[1:]
            if "bytes" in self.options.tiers
        ]
        if self.options.perceptual:
            names, found = self._edited(list(by_hash))
            pairs += self._named([by_hash[name][0] for name in names], found)
        return pairs

    def meet(self, unmet: Sequence[tuple[int, int]]) -> Iterator[Pair]:
        """The pairs of places that were asked for, compared now; those that agree."""
        rows = [[self.cache.row(self.items[place].image_hash) for place in p] for p in unmet]
        known = [
            (pair, (one, two))
            for pair, (one, two) in zip(unmet, rows, strict=True)
            if one is not None and two is not None and one != two
        ]
        if not known or "edited" not in self.options.tiers:
            return
        places = sorted({row for _, both in known for row in both})
        number = {row: place for place, row in enumerate(places)}
        asked = np.array([[number[row] for row in both] for _, both in known])
        turned = asked[:, 0] > asked[:, 1]
        asked = np.unique(np.sort(asked, axis=1), axis=0)
        found = align_pairs(self.cache.thumbnails(places), asked)
        best = {
            (one, two): (agreement, turn)
            for (one, two), agreement, turn in zip(
                found.pairs.tolist(),
                found.agreement.tolist(),
                found.orientation.tolist(),
                strict=True,
            )
        }
        for (pair, both), swapped in zip(known, turned.tolist(), strict=True):
            one, two = sorted(number[row] for row in both)
            agreement, turn = best[one, two]
            if agreement >= self.threshold:
                yield _edited_pair(*pair, agreement, int(INVERSE[turn]) if swapped else turn)

    def _by_hash(self) -> dict[str, list[int]]:
        by_hash: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(self.items):
            if item.image_hash:
                by_hash[item.image_hash].append(place)
        return by_hash

    def _edited(self, hashes: Sequence[str]) -> tuple[list[str], EditedPairs]:
        """Hashes in some order, and pairs of their places; what was finished is not done again."""
        rows: Mapping[str, int] = {
            name: row for name in hashes if (row := self.cache.row(name)) is not None
        }
        path = self.folder / MEMORY_NAME
        memory = Remembered.load(path, f"edited {self.threshold:.4f}")
        settled, known = memory.among(set(rows))
        names = ordered_first(settled, list(rows))
        fresh = len(names) - len(settled)
        self.progress.start("comparing pictures", None)
        thumbnails = self.cache.thumbnails([rows[name] for name in names] if fresh else [])
        found = EditedPairs.joined(
            [
                known,
                find_edited(
                    thumbnails, threshold=self.threshold, new_from=len(settled), known=known
                ),
            ]
        )
        if not self.options.narrowed and (fresh or len(memory.hashes) != len(names)):
            Remembered(tuple(names), found, memory.setting).save(path)
        return names, found

    def _named(self, places: Sequence[int], found: EditedPairs) -> Iterator[Pair]:
        for (one, two), agreement, turn in zip(
            found.pairs.tolist(), found.agreement.tolist(), found.orientation.tolist(), strict=True
        ):
            first, second = places[one], places[two]
            if first > second:
                first, second, turn = second, first, int(INVERSE[turn])
            if turn == 0 and agreement >= _MAYBE_EQUAL and self._equal_pixels(first, second):
                if "pixels" in self.options.tiers:
                    text = "all pixels are equal once decoded"
                    yield Pair(first, second, "pixels", _EQUAL_PIXELS, text)
            elif "edited" in self.options.tiers:
                yield _edited_pair(first, second, agreement, turn)

    def _equal_pixels(self, first: int, second: int) -> bool:
        one, two = self.items[first], self.items[second]
        if (one.width, one.height) != (two.width, two.height):
            return False
        try:
            images = [decode(real_path(item.uri), bounds=self.bounds).image for item in (one, two)]
        except InputError:
            return False
        return images[0].tobytes() == images[1].tobytes()


def _edited_pair(first: int, second: int, agreement: float, turn: int) -> Pair:
    evidence = f"{ORIENTATIONS[turn].name}, patches agree to {agreement:.2f}"
    return Pair(first, second, "edited", agreement, evidence)
