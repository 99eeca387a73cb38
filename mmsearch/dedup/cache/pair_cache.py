"""Cache of the pairs of earlier runs, so that a run only compares new images.

It holds the content hashes that were compared with each other, and the pairs among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.cache.database import CachedArrays
from mmsearch.dedup.thumbnails.edited_copies import Edited, EditedPairs
from mmsearch.dedup.thumbnails.star_clusters import Stars
from mmsearch.records import Ids

# Change whenever other pairs are found among the same images.
_VERSION, _EDITS_VERSION = 2, 3


@dataclass(frozen=True, slots=True)
class Remembered:
    """Cached pairs of a run.

    hashes: of the images compared, or other ASCII names.
    found: pairs of indices into `hashes`.
    setting: of that run.
    """

    hashes: tuple[str, ...]
    found: EditedPairs
    setting: str

    @classmethod
    def load(cls, memory: CachedArrays, setting: str) -> "Remembered":
        """Reads the cache; empty if it is missing or has another setting."""
        parts = memory.load(f"{_VERSION} {setting}")
        if parts is None:
            return cls((), EditedPairs.joined([]), setting)
        return cls(*_named_pairs(parts), setting)

    def save(self, memory: CachedArrays) -> None:
        """Writes the cache."""
        memory.save(f"{_VERSION} {self.setting}", **_columns(self.hashes, self.found))


@dataclass(frozen=True, slots=True)
class RememberedEdits:
    """Cached edited copies of a run.

    hashes: of the images compared.
    edited: the result.
    setting: of that run.
    """

    hashes: tuple[str, ...]
    edited: Edited
    setting: str

    @classmethod
    def load(cls, memory: CachedArrays, setting: str) -> "RememberedEdits":
        """Reads the cache; empty if it is missing or has another setting."""
        parts = memory.load(f"{_EDITS_VERSION} {setting}")
        if parts is None:
            return cls((), Edited.nothing(), setting)
        names, found = _named_pairs(parts)
        return cls(names, Edited(found, Stars(parts["hubs"], parts["turns"])), setting)

    def save(self, memory: CachedArrays) -> None:
        """Writes the cache."""
        stars = self.edited.stars
        columns = _columns(self.hashes, self.edited.found)
        setting = f"{_EDITS_VERSION} {self.setting}"
        memory.save(setting, **columns, hubs=stars.hubs, turns=stars.turns)

    def among(self, present: set[str]) -> tuple[list[str], Edited]:
        """Hashes that need not be compared with each other again, and the result for them.

        An image that was paired with one that no longer exists may not have been compared with
        others, so it is excluded.
        """
        found, stars = self.edited.found, self.edited.stars
        here = np.array([each in present for each in self.hashes], np.bool_)
        orphaned = found.pairs[~here[found.pairs].all(axis=1)]
        reusable = here.copy()
        reusable[orphaned.ravel()] = False
        # Members of a cluster were only compared with its centre.
        reusable &= reusable[stars.hubs]
        places = np.cumsum(reusable) - 1
        both: NDArray[np.bool_] = np.logical_and(*reusable[found.pairs.T])
        kept = found.take(both)
        names = [name for name, known in zip(self.hashes, reusable.tolist(), strict=True) if known]
        clusters = Stars(places[stars.hubs[reusable]], stars.turns[reusable])
        pairs: Ids = places[kept.pairs]
        return names, Edited(EditedPairs(pairs, kept.agreement, kept.orientation), clusters)


def _columns(hashes: Sequence[str], found: EditedPairs) -> dict[str, NDArray[Any]]:
    return {
        "hashes": np.array(hashes, dtype=np.bytes_),
        "pairs": found.pairs,
        "agreement": found.agreement,
        "orientation": found.orientation,
    }


def _named_pairs(columns: Mapping[str, NDArray[Any]]) -> tuple[tuple[str, ...], EditedPairs]:
    hashes = tuple(columns["hashes"].astype(np.str_).tolist())
    return hashes, EditedPairs(columns["pairs"], columns["agreement"], columns["orientation"])


def ordered_first(names: list[str], every: list[str]) -> list[str]:
    """The names, followed by all others of `every` in their order."""
    known = set(names)
    return [*names, *(name for name in every if name not in known)]
