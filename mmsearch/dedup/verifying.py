"""Proposed groups are verified: every member is compared with the one at the centre, in full.

What thumbnails propose may be another page of a form or a garment of another colour. A group keeps
the members that the strict comparison confirms; those that it refuses may form another one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from os import cpu_count
from threading import Lock

import numpy as np
from threadpoolctl import threadpool_limits

from mmsearch.dedup.comparison import Examined, PairComparison, compare_examined
from mmsearch.dedup.comparison_cache import ComparisonCache, HashPair
from mmsearch.dedup.items import Item
from mmsearch.dedup.keypoints import Keypoints
from mmsearch.dedup.results import Box, Pair
from mmsearch.dedup.views import INVERSE
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds, content_hash, decode
from mmsearch.media.bounds import read_bytes
from mmsearch.progress import ProgressListener
from mmsearch.records import real_path

# Of what the centre does not confirm, how many of its own strongest pairs are tried.
_TRIED = 4
_EXAMINED_KEPT = 48
# JPEGs are decoded at twice this at least, then brought to the size of the comparison.
_DRAFT = (512, 512)


class Comparer:
    """Compares the files of items, each pair of contents once."""

    def __init__(self, items: Sequence[Item], cache: ComparisonCache, bounds: MediaBounds) -> None:
        self._items, self._cache, self._bounds = items, cache, bounds
        self._lock = Lock()
        self._examined = lru_cache(maxsize=_EXAMINED_KEPT)(self._examine)

    def compare(self, first: int, second: int) -> PairComparison | None:
        """The pictures at two places of the items; None where a file cannot be read as indexed."""
        one, two = self._items[first], self._items[second]
        swapped = one.image_hash > two.image_hash
        pair: HashPair = (one.image_hash, two.image_hash)
        known = self._cache.get(pair[::-1] if swapped else pair)
        if known is None:
            low, high = (two, one) if swapped else (one, two)
            pictures = [self.examined(item) for item in (low, high)]
            if pictures[0] is None or pictures[1] is None:
                return None
            known = compare_examined(pictures[0], pictures[1])
            with self._lock:
                self._cache.add({(low.image_hash, high.image_hash): known})
        return reversed_comparison(known) if swapped else known

    def examined(self, item: Item) -> Examined | None:
        """The decoded picture; None where the file is gone, damaged or no longer as indexed."""
        return self._examined(item.uri, item.image_hash)

    def keypoints(self, item: Item) -> Keypoints | None:
        """Local features of the picture; None where it cannot be read."""
        picture = self._examine(item.uri, item.image_hash)
        return None if picture is None else picture.keypoints

    def _examine(self, uri: str, image_hash: str) -> Examined | None:
        bounds = self._bounds
        try:
            data = read_bytes(real_path(uri), max_bytes=bounds.max_bytes, setting="max_image_bytes")
            if content_hash(data) != image_hash:
                return None
            decoded = decode(data, bounds=bounds, draft=_DRAFT)
            return Examined.of(decoded.image, decoded.width, decoded.height)
        except InputError:
            return None


def reversed_comparison(found: PairComparison) -> PairComparison:
    """The same pair, the second picture first."""
    inverse = np.linalg.inv(found.matrix).astype(np.float64)
    return replace(
        found,
        matrix=inverse / inverse[2, 2],
        first_share=found.second_share,
        second_share=found.first_share,
        orientation=int(INVERSE[found.orientation]),
        changes=tuple(_moved(box, found) for box in found.changes),
        grey_side=(0, 2, 1)[found.grey_side],
    )


def _moved(box: Box, found: PairComparison) -> Box:
    """The box in shares of the other picture's sides: the box around its corners there."""
    sides = np.array([[box.left, box.right, box.left, box.right],
                      [box.top, box.top, box.bottom, box.bottom]])  # fmt: skip
    corners = found.matrix @ np.vstack([sides * 2 - 1, np.ones(4)])
    places = np.clip((corners[:2] / corners[2] + 1) / 2, 0, 1)
    (left, top), (right, bottom) = places.min(axis=1), places.max(axis=1)
    return Box(*(round(float(each), 4) for each in (left, top, right, bottom)))


@dataclass(frozen=True, slots=True)
class Verifier:
    """items: of one run. comparer: of these items. exact: pairs of places with equal content."""

    items: Sequence[Item]
    comparer: Comparer
    exact: Collection[tuple[int, int]]
    progress: ProgressListener

    def verified(self, groups: Sequence[Sequence[int]], pairs: Iterable[Pair]) -> list[list[int]]:
        """groups: places of items that were proposed as one picture. pairs: what proposed them.

        Each group comes back as the groups that the comparison confirms, of two places or more.
        """
        links: dict[int, dict[int, float]] = defaultdict(dict)
        for pair in pairs:
            links[pair.first][pair.second] = links[pair.second][pair.first] = pair.score
        self.progress.start("comparing in detail", len(groups))
        found: list[list[int]] = []
        with (
            threadpool_limits(limits=1),
            ThreadPoolExecutor(cpu_count() or 1) as threads,
        ):
            for confirmed in threads.map(lambda group: self._split(group, links), groups):
                found += confirmed
                self.progress.advance(1)
        return found

    def confirmed(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Of pairs of places those that are one picture or versions of it."""
        self.progress.start("comparing proposals in detail", len(pairs))
        with (
            threadpool_limits(limits=1),
            ThreadPoolExecutor(cpu_count() or 1) as threads,
        ):
            answers = list(threads.map(lambda pair: self._alike(*pair), pairs))
        return [pair for pair, alike in zip(pairs, answers, strict=True) if alike]

    def _alike(self, first: int, second: int) -> bool:
        if (min(first, second), max(first, second)) in self.exact:
            return True
        if self.items[first].image_hash == self.items[second].image_hash:
            return True
        compared = self.comparer.compare(first, second)
        return compared is not None and compared.judgement != "different"

    def _split(self, group: Sequence[int], links: dict[int, dict[int, float]]) -> list[list[int]]:
        centre = self._centre(group, links)
        clusters, refused = [[centre]], list[int]()
        for place in group:
            if place != centre:
                (clusters[0] if self._alike(centre, place) else refused).append(place)
        for place in refused:
            if any(place in cluster for cluster in clusters):
                continue
            partners = sorted(links[place].items(), key=lambda link: (-link[1], link[0]))
            tried = [other for other, _ in partners if other != centre][:_TRIED]
            home = next((other for other in tried if self._alike(place, other)), None)
            if home is not None:
                cluster = next((each for each in clusters if home in each), None)
                if cluster is None:
                    clusters.append([home, place])
                else:
                    cluster.append(place)
        return [sorted(cluster) for cluster in clusters if len(cluster) > 1]

    def _centre(self, group: Sequence[int], links: dict[int, dict[int, float]]) -> int:
        """The place with most pairs: crops and frames all agree with the whole."""
        inside = set(group)
        return min(
            group,
            key=lambda place: (
                -len(inside & links[place].keys()),
                -self.items[place].width * self.items[place].height,
                self.items[place].key,
            ),
        )
