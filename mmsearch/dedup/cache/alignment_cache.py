"""Cache of detailed comparisons of two images by their content hashes."""

from collections.abc import Mapping, Set
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from mmsearch.dedup.cache.pair_cache import Remembered
from mmsearch.dedup.thumbnails.edited_copies import EditedPairs

# Two content hashes, the smaller first.
HashPair: TypeAlias = tuple[str, str]


class Verdict(NamedTuple):
    """Result of a comparison.

    agreement: of the images.
    orientation: index into ORIENTATIONS that turns the second image onto the first.
    """

    agreement: float
    orientation: int


class Verdicts:
    """A cache file of verdicts; derived data that can be deleted."""

    def __init__(self, path: Path, setting: str) -> None:
        """Loads the file. setting: what the verdicts depend on besides the contents."""
        memory = Remembered.load(path, setting)
        names, found = memory.hashes, memory.found
        self._path, self._setting, self._grown = path, setting, False
        self._known: dict[HashPair, Verdict] = {
            (names[one], names[two]): Verdict(agreement, turn)
            for one, two, agreement, turn in found
        }

    def get(self, pair: HashPair) -> Verdict | None:
        """The verdict of a pair; None if it is not cached."""
        return self._known.get(pair)

    def add(self, verdicts: Mapping[HashPair, Verdict]) -> None:
        """Adds verdicts."""
        self._known.update(verdicts)
        self._grown |= bool(verdicts)

    def save(self, present: Set[str] | None) -> None:
        """Writes the file if verdicts were added. present: hashes to keep, None for all."""
        if not self._grown:
            return
        kept = [
            (*pair, *verdict)
            for pair, verdict in sorted(self._known.items())
            if present is None or (pair[0] in present and pair[1] in present)
        ]
        names = sorted({name for one, two, *_ in kept for name in (one, two)})
        place = {name: number for number, name in enumerate(names)}
        found = EditedPairs(
            np.array([(place[one], place[two]) for one, two, *_ in kept], np.int64).reshape(-1, 2),
            np.array([agreement for *_, agreement, _ in kept], np.float32),
            np.array([turn for *_, turn in kept], np.int64),
        )
        Remembered(tuple(names), found, self._setting).save(self._path)
        self._grown = False
