"""Verifies proposed groups: every member is fully compared with the centre.

Thumbnails may also propose another page of a form or a garment of another colour. A group keeps the
members that the comparison confirms; rejected ones are compared with a centre of their own.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from mmsearch.arrays import connected_components
from mmsearch.dedup.cache.alignment_cache import HashPair
from mmsearch.dedup.cache.comparison_cache import ComparisonCache
from mmsearch.dedup.comparison import PairComparison
from mmsearch.dedup.comparison.pool import FileOf, compare_pair, on_every_core
from mmsearch.dedup.items import Item
from mmsearch.dedup.originals.names import copy_hints
from mmsearch.dedup.results import Pair
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener

# Number of strongest pairs tried for a member that the centre rejects.
_TRIED = 3
# Rounds in which those that a centre rejects form a group with a centre of its own.
_ROUNDS = 8
# Number of links within which a centre is compared. Copies are near; frames of a film form chains.
_MOST_LINKS = 3
# Minimum shared share of an image's area; an image below it is a screenshot or a collage.
PART = 0.5
# Share of the median number of pixels below which a copy counts as downscaled.
_SMALL = 0.5


@dataclass(frozen=True, slots=True)
class Cluster:
    """Items that show one image, or versions of it.

    centre: index of the item that most others were compared with.
    places: ascending indices, including the centre.
    bonds: pairs that were compared or have equal content; they connect all indices.
    """

    centre: int
    places: tuple[int, ...]
    bonds: tuple[tuple[int, int], ...]


def ascending(one: int, two: int) -> tuple[int, int]:
    """The pair of indices in the order in which pairs of equal content are stored."""
    return (one, two) if one <= two else (two, one)


def likely_originals_first(places: Iterable[int], items: Sequence[Item]) -> list[int]:
    """Sorts indices by metadata: not downscaled, not named as a copy, oldest, largest.

    Frames and upscaling add pixels, so only sizes far below the median count.
    """
    places = list(places)
    usual = median(items[place].width * items[place].height for place in places)

    def signs(place: int) -> tuple[bool, int, int, int, str]:
        item = items[place]
        small = item.width * item.height < _SMALL * usual
        return small, copy_hints(item.uri), item.modified, -item.size, item.key

    return sorted(places, key=signs)


class Comparer:
    """Compares the files of items, each pair of contents once."""

    def __init__(
        self,
        items: Sequence[Item],
        cache: ComparisonCache,
        bounds: MediaBounds,
        progress: ProgressListener,
    ) -> None:
        self._items, self.cache = items, cache
        self.bounds, self.progress = bounds, progress

    def file(self, place: int) -> FileOf:
        """The file of an item by its index."""
        item = self._items[place]
        return FileOf(item.uri, item.image_hash, item.modified)

    def prepare(self, pairs: Iterable[tuple[int, int]], stage: str) -> None:
        """Compares the pairs that are not cached, on all cores."""
        missing: dict[HashPair, tuple[FileOf, FileOf]] = {}
        for pair in pairs:
            files = self._ordered(*pair)
            names = files[0].image_hash, files[1].image_hash
            if names[0] != names[1] and self.cache.get(names) is None:
                missing.setdefault(names, files)
        if not missing:
            return
        self.progress.start(stage, len(missing))
        jobs = list(missing.values())
        results = on_every_core(compare_pair, jobs, self.bounds, self.progress)
        for names, found in zip(missing, results, strict=True):
            if found is not None:
                self.cache.add({names: found})

    def compare(self, first: int, second: int) -> PairComparison | None:
        """Compares two items; None if a file cannot be read as indexed."""
        files = self._ordered(first, second)
        names = files[0].image_hash, files[1].image_hash
        known = self.cache.get(names)
        if known is None:
            known = compare_pair(files, self.bounds)
            if known is None:
                return None
            self.cache.add({names: known})
        swapped = names[0] != self._items[first].image_hash
        return known.reversed() if swapped else known

    def known(self, first: int, second: int) -> PairComparison | None:
        """The cached comparison of two items; None if there is none."""
        files = self._ordered(first, second)
        found = self.cache.get((files[0].image_hash, files[1].image_hash))
        if found is None or files[0].image_hash == self._items[first].image_hash:
            return found
        return found.reversed()

    def _ordered(self, first: int, second: int) -> tuple[FileOf, FileOf]:
        one, two = self.file(first), self.file(second)
        return (two, one) if one.image_hash > two.image_hash else (one, two)


def _connected(places: Iterable[int], links: dict[int, dict[int, float]]) -> list[list[int]]:
    """Connected parts of some indices, sorted within and by their first one."""
    ordered = sorted(places)
    row_of = {place: row for row, place in enumerate(ordered)}
    among = [
        (row, row_of[other]) for place, row in row_of.items() for other in links[place]
        if other in row_of
    ]  # fmt: skip
    parts: dict[int, list[int]] = defaultdict(list)
    for place, part in zip(ordered, connected_components(len(ordered), among), strict=True):
        parts[int(part)].append(place)
    return list(parts.values())


@dataclass(frozen=True, slots=True)
class Verifier:
    """Splits proposed groups into verified clusters.

    items: of one run.
    comparer: of these items.
    exact: pairs of indices with equal content.
    """

    items: Sequence[Item]
    comparer: Comparer
    exact: Collection[tuple[int, int]]

    def verified(self, groups: Sequence[Sequence[int]], pairs: Iterable[Pair]) -> list[Cluster]:
        """Verifies groups and returns the confirmed clusters, of two items or more.

        groups: indices of items that were proposed as one image.
        pairs: the pairs that proposed them.
        """
        links: dict[int, dict[int, float]] = defaultdict(dict)
        for pair in pairs:
            links[pair.first][pair.second] = links[pair.second][pair.first] = pair.score
        # Bonds of each cluster, a pair of its centre and itself first.
        clusters: list[list[tuple[int, int]]] = []
        left = [list(group) for group in groups]
        alone = list[int]()
        for _ in range(_ROUNDS):
            around = [self._around_centres(group, links) for group in left]
            self.comparer.prepare(
                [
                    (centre, place)
                    for balls in around
                    for centre, others in balls.items()
                    for place in others
                    if not self._is_exact(centre, place)
                ],
                "comparing in detail",
            )
            left = []
            for balls in around:
                refused = list[int]()
                for centre, others in balls.items():
                    met = [place for place in others if self.alike(centre, place)]
                    if met:
                        clusters.append([(centre, centre), *((centre, place) for place in met)])
                    else:
                        alone.append(centre)
                    refused += set(others).difference(met)
                parts = _connected(refused, links)
                left += [part for part in parts if len(part) > 1]
                alone += [part[0] for part in parts if len(part) == 1]
        alone += [place for group in left for place in group]
        self._join(alone, clusters, links)
        return [
            Cluster(
                bonds[0][0],
                tuple(sorted({one for bond in bonds for one in bond})),
                tuple(bonds[1:]),
            )
            for bonds in clusters
        ]

    def _around_centres(
        self, group: Sequence[int], links: dict[int, dict[int, float]]
    ) -> dict[int, list[int]]:
        """Centres, likely originals first, each with the items that few links connect to it."""
        free = set(group)
        balls: dict[int, list[int]] = {}
        for centre in likely_originals_first(group, self.items):
            if centre not in free:
                continue
            ball = edge = {centre}
            free.remove(centre)
            for _ in range(_MOST_LINKS):
                edge = {other for place in edge for other in links[place]} & free
                free -= edge
                ball = ball | edge
            balls[centre] = sorted(ball - {centre})
        return balls

    def _join(
        self,
        alone: Sequence[int],
        clusters: list[list[tuple[int, int]]],
        links: dict[int, dict[int, float]],
    ) -> None:
        """Joins items that no centre matches with a partner that does, in place."""
        tried = [(place, other) for place in alone for other in self._tried(place, links)]
        self.comparer.prepare(tried, "comparing rejected members")
        home = {place: bonds for bonds in clusters for bond in bonds for place in bond}
        for place in alone:
            if place in home:
                continue
            matching = (other for other in self._tried(place, links) if self.alike(place, other))
            other = next(matching, None)
            if other is None:
                continue
            if other not in home:
                home[other] = [(other, other)]
                clusters.append(home[other])
            home[other].append((other, place))
            home[place] = home[other]

    def confirmed(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Filters pairs of indices by comparison: one image, or versions of it."""
        self.comparer.prepare(pairs, "comparing proposals in detail")
        return [pair for pair in pairs if self.alike(*pair)]

    def alike(self, first: int, second: int) -> bool:
        """Whether two items show one image, or versions of it."""
        if self._is_exact(first, second):
            return True
        compared = self.comparer.compare(first, second)
        return compared is not None and compared.judgement != "different"

    def _is_exact(self, first: int, second: int) -> bool:
        equal = self.items[first].image_hash == self.items[second].image_hash
        return equal or ascending(first, second) in self.exact

    def _tried(self, place: int, links: dict[int, dict[int, float]]) -> list[int]:
        """The strongest partners of an item."""
        partners = sorted(links[place].items(), key=lambda link: (-link[1], link[0]))
        return [other for other, _ in partners[:_TRIED]]
