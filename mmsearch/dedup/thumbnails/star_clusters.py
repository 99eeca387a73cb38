"""Star clusters: rows around a centre that each was compared with, and their orientations."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mmsearch.dedup.thumbnails.proposals import Ways
from mmsearch.dedup.thumbnails.views import COMPOSED, INVERSE
from mmsearch.records import Ids

# Minimum share of a cluster that an orientation needs to be searched for among crops.
_COMMON_TURN = 0.25

# The orientation of each row, int64 (n,), and the orientations to search in by centre.
SearchFrames: TypeAlias = tuple[Ids, dict[int, list[int]]]


@dataclass(frozen=True, slots=True)
class Stars:
    """Star clusters of n rows.

    hubs: int64 (n,), the centre of each row, itself if it has none.
    turns: int64 (n,), the orientation that turns each row onto its centre.
    """

    hubs: Ids
    turns: Ids

    @classmethod
    def alone(cls, count: int) -> "Stars":
        """Single-row clusters."""
        return cls(np.arange(count), np.zeros(count, np.int64))

    def with_more(self, count: int) -> "Stars":
        """Extends the clusters to `count` rows; new rows are single."""
        alone, known = Stars.alone(count), len(self.hubs)
        return Stars(
            np.concatenate([self.hubs, alone.hubs[known:]]),
            np.concatenate([self.turns, alone.turns[known:]]),
        )

    @property
    def centres(self) -> Ids:
        """The rows that are their own centre, int64, ascending."""
        return np.flatnonzero(self.hubs == np.arange(len(self.hubs)))

    def members_by_centre(self) -> dict[int, list[int]]:
        """Members of each centre, without the centre itself."""
        by_centre: dict[int, list[int]] = defaultdict(list)
        for row in np.flatnonzero(self.hubs != np.arange(len(self.hubs))).tolist():
            by_centre[int(self.hubs[row])].append(row)
        return by_centre


def member_ways(stars: Stars, ways: Ways, hubs: Ids, moved: Ids) -> tuple[Ways, Ids]:
    """Candidates between members of a merged centre and the centre that it was merged into.

    moved: indices of the candidates that merged a centre.
    Returns candidates and, for each, the index of the candidate whose map it shares.
    """
    by_centre = stars.members_by_centre()
    source: list[int] = []
    rows: list[int] = []
    for way in moved.tolist():
        one, two = int(ways.whole[way]), int(ways.other[way])
        met = by_centre[two] if hubs[two] == one else by_centre[one] if hubs[one] == two else []
        rows += met
        source += [way] * len(met)
    members, sources = np.array(rows, np.int64), np.array(source, np.int64)
    around = ways.take(sources)
    first = stars.hubs[members] == around.whole
    own = stars.turns[members]
    return Ways(
        np.where(first, members, around.whole),
        np.where(first, COMPOSED[own, around.whole_turn], around.whole_turn),
        np.where(first, around.other, members),
        np.where(first, around.other_turn, COMPOSED[own, around.other_turn]),
        around.window,
        around.likeness,
    ), sources


def frames_of(stars: Stars) -> SearchFrames:
    """The most common orientation of each row's cluster, used when searching for crops.

    Also returns the orientations to search in for each centre.
    """
    frames = np.zeros(len(stars.hubs), np.int64)
    turns = {int(centre): [0] for centre in stars.centres}
    for centre, around in stars.members_by_centre().items():
        counts = Counter({0: 1})
        counts.update(int(INVERSE[turn]) for turn in stars.turns[around])
        most = max(counts.values())
        frames[centre] = min(turn for turn, count in counts.items() if count == most)
        turns[centre] = sorted(
            turn for turn, count in counts.items() if count >= _COMMON_TURN * counts.total()
        )
    return frames, turns
