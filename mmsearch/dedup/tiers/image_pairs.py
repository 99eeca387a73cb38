"""Pairs of duplicate images: equal bytes, equal pixels, edited copies."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from mmsearch.dedup.cache.alignment_cache import HashPair, Verdict, Verdicts
from mmsearch.dedup.cache.database import CachedArrays, CacheDatabase
from mmsearch.dedup.cache.pair_cache import RememberedEdits, ordered_first
from mmsearch.dedup.comparison.whole_files import (
    FRAMES_AGREE,
    backgrounds_agreement,
    frames_agreement,
    sample_frames,
)
from mmsearch.dedup.items import Item, PrintCache, read_indexed
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.results import Pair
from mmsearch.dedup.thumbnails.edited_copies import EditedPairs, find_edited
from mmsearch.dedup.thumbnails.views import INVERSE, ORIENTATIONS
from mmsearch.dedup.tiers.equal_pixels import EqualContents, groups_of_equal
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds, decode
from mmsearch.progress import ProgressListener
from mmsearch.records import real_path

_EQUAL_BYTES, _EQUAL_PIXELS = 2.0, 1.5


@dataclass(frozen=True, slots=True)
class PictureFinder:
    """Finds the pairs of duplicate images of one run.

    items: of the run.
    database: the results of earlier runs.
    threshold: minimum agreement of an edited copy.
    """

    items: Sequence[Item]
    cache: PrintCache
    database: CacheDatabase
    options: DedupOptions
    threshold: float
    bounds: MediaBounds
    progress: ProgressListener

    def pairs(self) -> list[Pair]:
        """Pairs of the requested tiers, each pair of files once."""
        by_hash = self._by_hash()
        pairs = [
            _equal_bytes(places[0], other)
            for places in by_hash.values()
            for other in places[1:]
            if "bytes" in self.options.tiers
        ]
        first = {name: places[0] for name, places in by_hash.items()}
        if self.options.perceptual:
            digests = self._digests(first)
            if "pixels" in self.options.tiers:
                pairs += [
                    _equal_pixels(*sorted((first[names[0]], first[other])))
                    for names in groups_of_equal(digests)
                    for other in names[1:]
                ]
            if "edited" in self.options.tiers:
                for frames, hashes in self._by_frames(list(by_hash)).items():
                    pairs += self._named(first, digests, *self._edited(hashes, frames))
        return pairs

    @property
    def _present(self) -> Set[str] | None:
        """Content hashes of the whole store; None if only part of it is searched."""
        return None if self.options.narrowed else {item.image_hash for item in self.items}

    def _by_hash(self) -> dict[str, list[int]]:
        by_hash: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(self.items):
            if item.image_hash:
                by_hash[item.image_hash].append(place)
        return by_hash

    def _digests(self, places: Mapping[str, int]) -> Mapping[str, str]:
        """Digests of decoded content by hash. places: index of an item of each hash."""
        if not self.options.perceptual:
            return {}
        shown = {name: self.items[held[0]] for name, held in self._by_hash().items()}
        contents = EqualContents(shown, self.cache, self.database, self.bounds, self.progress)
        digests = contents.digests(self._present)
        return {name: digests.get(name, "") for name in places}

    def _by_frames(self, hashes: Sequence[str]) -> dict[int, list[str]]:
        """Hashes by number of frames or pages, still images first; copies have equally many."""
        by_frames: dict[int, list[str]] = defaultdict(list)
        by_frames[1] = []
        for name in hashes:
            if (row := self.cache.row(name)) is not None:
                by_frames[self.cache.frames(row)].append(name)
        return {frames: names for frames, names in by_frames.items() if frames == 1 or names[1:]}

    def _edited(self, hashes: Sequence[str], frames: int) -> tuple[list[str], EditedPairs]:
        """Hashes in some order, and edited pairs among them; cached pairs are not recomputed."""
        rows: Mapping[str, int] = {
            name: row for name in hashes if (row := self.cache.row(name)) is not None
        }
        arrays = CachedArrays(self.database, f"pairs of {frames} frames")
        memory = RememberedEdits.load(arrays, f"edited {self.threshold:.4f}")
        settled, known = memory.among(set(rows))
        names = ordered_first(settled, list(rows))
        fresh = len(names) - len(settled)
        if frames == 1:
            self.progress.start("comparing pictures", None)
        thumbnails = self.cache.thumbnails([rows[name] for name in names] if fresh else [])
        edited = find_edited(thumbnails, threshold=self.threshold, known=known)
        if not self.options.narrowed and (fresh or len(memory.hashes) != len(names)):
            RememberedEdits(tuple(names), edited, memory.setting).save(arrays)
        return names, edited.found

    def _named(
        self,
        first: Mapping[str, int],
        digests: Mapping[str, str],
        names: Sequence[str],
        found: EditedPairs,
    ) -> Iterator[Pair]:
        """Yields verified pairs of items from pairs of hashes.

        first: index of an item of each hash.
        names: the hashes that `found` refers to.
        """
        whole = Verdicts(self.database)
        for row, other, agreement, turn in found:
            digest = digests.get(names[row])
            if digest and digest == digests.get(names[other]):
                continue
            one, two = first[names[row]], first[names[other]]
            if one > two:
                one, two, turn = two, one, int(INVERSE[turn])
            yield from self._confirmed((one, two), agreement, turn, whole)
        whole.save(self._present)

    def _confirmed(
        self, pair: tuple[int, int], agreement: float, turn: int, whole: Verdicts
    ) -> Iterator[Pair]:
        """Yields the pair unless frames or transparency that the fingerprints lack differ."""
        one, two = (self.items[place].image_hash for place in pair)
        rows = [row for name in (one, two) if (row := self.cache.row(name)) is not None]
        several = self.cache.frames(rows[0]) > 1
        if not several and not all(map(self.cache.transparent, rows)):
            yield _edited_pair(*pair, agreement, turn)
            return
        key = _sorted(one, two)
        verdict = whole.get(key)
        if verdict is None:
            places = pair if key == (one, two) else pair[::-1]
            verdict = self._whole_verdict(places, self.cache.frames(rows[0]))
            if verdict is None:
                return
            whole.add({key: verdict})
        if verdict.agreement >= max(self.threshold, FRAMES_AGREE if several else 0):
            turned = int(INVERSE[verdict.orientation]) if key != (one, two) else verdict.orientation
            yield _edited_pair(*pair, min(verdict.agreement, agreement), turned)

    def _whole_verdict(self, pair: tuple[int, int], frames: int) -> Verdict | None:
        """Compares whole files; None if one is missing, unreadable or changed since indexing."""
        items = [self.items[place] for place in pair]
        try:
            data = [
                read_indexed(item.image_hash, real_path(item.uri), self.bounds) for item in items
            ]
            held = [each for each in data if each is not None]
            if len(held) < len(data):
                return None
            if frames > 1:
                one, two = (sample_frames(each, frames, self.bounds) for each in held)
                return Verdict(*frames_agreement(one, two))
            first, second = (decode(each, bounds=self.bounds) for each in held)
            return Verdict(*backgrounds_agreement(first, second))
        except InputError:
            return None


def _sorted(one: str, two: str) -> HashPair:
    return (one, two) if one < two else (two, one)


def _equal_bytes(first: int, second: int) -> Pair:
    return Pair(first, second, "bytes", _EQUAL_BYTES, "the files hold the same bytes")


def _equal_pixels(first: int, second: int) -> Pair:
    return Pair(first, second, "pixels", _EQUAL_PIXELS, "all pixels are equal once decoded")


def _edited_pair(first: int, second: int, agreement: float, turn: int) -> Pair:
    evidence = f"{ORIENTATIONS[turn].name}, patches agree to {agreement:.2f}"
    return Pair(first, second, "edited", agreement, evidence)
