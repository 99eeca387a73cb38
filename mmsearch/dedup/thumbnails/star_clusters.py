"""Stars: rows around the hub that each was compared with, and how they are turned to lie on it."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mmsearch.dedup.thumbnails.proposals import Ways
from mmsearch.dedup.thumbnails.views import COMPOSED, INVERSE
from mmsearch.records import Ids

# Orientations that make up less of a star than this are not what its crops are turned by.
_COMMON_TURN = 0.25

# A frame for each row, int64 (n,), and by hub the orientations to ask for.
Looks: TypeAlias = tuple[Ids, dict[int, list[int]]]


@dataclass(frozen=True, slots=True)
class Stars:
    """hubs: int64 (n,), the row around which each is gathered; its own where there is none.

    turns: int64 (n,), the orientation in which each lies on its hub.
    """

    hubs: Ids
    turns: Ids

    @classmethod
    def alone(cls, count: int) -> "Stars":
        """Rows of which each is its own hub."""
        return cls(np.arange(count), np.zeros(count, np.int64))

    def with_more(self, count: int) -> "Stars":
        """The same of `count` rows, those that are new alone."""
        alone, known = Stars.alone(count), len(self.hubs)
        return Stars(
            np.concatenate([self.hubs, alone.hubs[known:]]),
            np.concatenate([self.turns, alone.turns[known:]]),
        )

    @property
    def centres(self) -> Ids:
        return np.flatnonzero(self.hubs == np.arange(len(self.hubs)))

    def rims(self) -> dict[int, list[int]]:
        """By hub the rows around it."""
        rims: dict[int, list[int]] = defaultdict(list)
        for row in np.flatnonzero(self.hubs != np.arange(len(self.hubs))).tolist():
            rims[int(self.hubs[row])].append(row)
        return rims


def rim_ways(stars: Stars, ways: Ways, hubs: Ids, moved: Ids) -> tuple[Ways, Ids]:
    """Those around a hub that was itself gathered meet the one that it was gathered around.

    moved: of the ways, those that gathered a hub → ways, and for each the way whose map it shares.
    """
    rims = stars.rims()
    source: list[int] = []
    rows: list[int] = []
    for way in moved.tolist():
        one, two = int(ways.whole[way]), int(ways.other[way])
        met = rims[two] if hubs[two] == one else rims[one] if hubs[one] == two else []
        rows += met
        source += [way] * len(met)
    members, sources = np.array(rows, np.int64), np.array(source, np.int64)
    rim = ways.take(sources)
    first = stars.hubs[members] == rim.whole
    own = stars.turns[members]
    return Ways(
        np.where(first, members, rim.whole),
        np.where(first, COMPOSED[own, rim.whole_turn], rim.whole_turn),
        np.where(first, rim.other, members),
        np.where(first, rim.other_turn, COMPOSED[own, rim.other_turn]),
        rim.window,
        rim.likeness,
    ), sources


def frames_of(stars: Stars) -> Looks:
    """For each row how it is turned while crops are looked for: as most of its star stand.

    And for each hub the orientations in which its crops are asked for.
    """
    frames = np.zeros(len(stars.hubs), np.int64)
    turns = {int(hub): [0] for hub in stars.centres}
    for hub, rim in stars.rims().items():
        counts = Counter({0: 1})
        counts.update(int(INVERSE[turn]) for turn in stars.turns[rim])
        most = max(counts.values())
        frames[hub] = min(turn for turn, count in counts.items() if count == most)
        turns[hub] = sorted(
            turn for turn, count in counts.items() if count >= _COMMON_TURN * counts.total()
        )
    return frames, turns
