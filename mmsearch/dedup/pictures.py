"""Pairs of one picture: equal bytes, equal pixels, edited copies."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from mmsearch.dedup.edited import EditedPairs, find_edited
from mmsearch.dedup.items import Item, PrintCache
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.remembered import RememberedEdits, ordered_first
from mmsearch.dedup.results import Pair
from mmsearch.dedup.verdicts import HashPair, Verdict, Verdicts
from mmsearch.dedup.views import INVERSE, ORIENTATIONS
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds, content_hash, decode
from mmsearch.media.bounds import read_bytes
from mmsearch.progress import ProgressListener
from mmsearch.records import real_path

MEMORY_NAME, EQUAL_NAME = "pairs.npz", "equal.npz"
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

    @property
    def _present(self) -> Set[str] | None:
        """The contents of the store's pictures; None where only some of them are looked at."""
        return None if self.options.narrowed else {item.image_hash for item in self.items}

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
        memory = RememberedEdits.load(path, f"edited {self.threshold:.4f}")
        settled, known = memory.among(set(rows))
        names = ordered_first(settled, list(rows))
        fresh = len(names) - len(settled)
        self.progress.start("comparing pictures", None)
        thumbnails = self.cache.thumbnails([rows[name] for name in names] if fresh else [])
        edited = find_edited(thumbnails, threshold=self.threshold, known=known)
        if not self.options.narrowed and (fresh or len(memory.hashes) != len(names)):
            RememberedEdits(tuple(names), edited, memory.setting).save(path)
        return names, edited.found

    def _named(self, places: Sequence[int], found: EditedPairs) -> Iterator[Pair]:
        decoded = Verdicts(self.folder / EQUAL_NAME, "equal")
        for one, two, agreement, turn in found:
            first, second = places[one], places[two]
            if first > second:
                first, second, turn = second, first, int(INVERSE[turn])
            if turn == 0 and agreement >= _MAYBE_EQUAL and self._equal(first, second, decoded):
                if "pixels" in self.options.tiers:
                    text = "all pixels are equal once decoded"
                    yield Pair(first, second, "pixels", _EQUAL_PIXELS, text)
            elif "edited" in self.options.tiers:
                yield _edited_pair(first, second, agreement, turn)
        decoded.save(self._present)

    def _equal(self, first: int, second: int, decoded: Verdicts) -> bool:
        """Whether all pixels are equal; both files are decoded for it once, and never again."""
        one, two = self.items[first], self.items[second]
        if (one.width, one.height) != (two.width, two.height):
            return False
        pair = _sorted(one.image_hash, two.image_hash)
        if (known := decoded.get(pair)) is not None:
            return known.agreement == 1
        pixels = [self._pixels(item) for item in (one, two)]
        if None in pixels:
            return False
        equal = pixels[0] == pixels[1]
        decoded.add({pair: Verdict(float(equal), 0)})
        return equal

    def _pixels(self, item: Item) -> bytes | None:
        """None for a file that is gone, unreadable, or no longer what was indexed."""
        bounds, path = self.bounds, real_path(item.uri)
        try:
            data = read_bytes(path, max_bytes=bounds.max_bytes, setting="max_image_bytes")
            if content_hash(data) != item.image_hash:
                return None
            return decode(data, bounds=bounds).image.tobytes()
        except InputError:
            return None


def _sorted(one: str, two: str) -> HashPair:
    return (one, two) if one < two else (two, one)


def _edited_pair(first: int, second: int, agreement: float, turn: int) -> Pair:
    evidence = f"{ORIENTATIONS[turn].name}, patches agree to {agreement:.2f}"
    return Pair(first, second, "edited", agreement, evidence)
