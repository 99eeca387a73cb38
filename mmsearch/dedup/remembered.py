"""What an earlier run found, so that the next one only looks at what is new.

One file beside the fingerprints: content hashes that were compared with each other, and the pairs
among them. Derived, and only ever replaced whole; it can be deleted.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.edited import EditedPairs
from mmsearch.dedup.kept import keep, read_kept
from mmsearch.records import Ids

# Another one where what is found in the same pictures changes.
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Remembered:
    """hashes: of the pictures compared, or other ASCII names of what was. found: pairs of their
    places. setting: of that run.
    """

    hashes: tuple[str, ...]
    found: EditedPairs
    setting: str

    @classmethod
    def load(cls, path: Path, setting: str) -> "Remembered":
        """Nothing where the file is not there, damaged, or made with another setting."""
        parts = read_kept(path, f"{_VERSION} {setting}")
        if parts is None:
            return cls((), EditedPairs.joined([]), setting)
        found = EditedPairs(parts["pairs"], parts["agreement"], parts["orientation"])
        return cls(tuple(parts["hashes"].astype(np.str_).tolist()), found, setting)

    def save(self, path: Path) -> None:
        keep(
            path,
            f"{_VERSION} {self.setting}",
            hashes=np.array(self.hashes, dtype=np.bytes_),
            pairs=self.found.pairs,
            agreement=self.found.agreement,
            orientation=self.found.orientation,
        )

    def among(self, present: set[str]) -> tuple[list[str], EditedPairs]:
        """The hashes that need not be compared with each other again, and pairs of their places.

        Whoever was paired with a picture that is gone may have been compared with nothing else.
        """
        here = np.array([each in present for each in self.hashes], np.bool_)
        lonely = self.found.pairs[~here[self.found.pairs].all(axis=1)]
        settled = here.copy()
        settled[lonely.ravel()] = False
        places = np.cumsum(settled) - 1
        both: NDArray[np.bool_] = np.logical_and(*settled[self.found.pairs.T])
        kept = self.found.take(both)
        pairs: Ids = places[kept.pairs]
        names = [name for name, known in zip(self.hashes, settled.tolist(), strict=True) if known]
        return names, EditedPairs(pairs, kept.agreement, kept.orientation)


def ordered_first(names: list[str], every: list[str]) -> list[str]:
    """The names, then all others of `every` in their order."""
    known = set(names)
    return [*names, *(name for name in every if name not in known)]
