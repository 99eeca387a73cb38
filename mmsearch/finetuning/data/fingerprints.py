"""Each picture is opened once before training: its content hash, its fingerprint, or its fault."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.dedup.thumbnails.fingerprints import SIDE, read_print
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds, content_hash
from mmsearch.progress import ProgressListener
from mmsearch.records import Pixels

_THREADS = 4
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Prints:
    """hashes: by item, None where there is no picture. broken: why one cannot be read, by item.

    thumbnails: uint8 (d, SIDE, SIDE), of the d distinct files; rows: its row, by hash.
    """

    hashes: Sequence[str | None]
    rows: dict[str, int]
    thumbnails: Pixels
    broken: dict[int, str]

    def of(self, items: Sequence[int]) -> "Prints":
        """Those of some of the items, none of them broken."""
        hashes = [None if item in self.broken else self.hashes[item] for item in items]
        return Prints(hashes, self.rows, self.thumbnails, {})


def read_prints(
    pictures: Sequence[Path | None], bounds: MediaBounds, progress: ProgressListener
) -> Prints:
    """pictures: of each item. Equal files are decoded once."""
    given = [(place, path) for place, path in enumerate(pictures) if path is not None]
    hashes: list[str | None] = [None] * len(pictures)
    broken: dict[int, str] = {}
    reasons: dict[str, str] = {}
    rows: dict[str, int] = {}
    thumbnails: list[Pixels] = []
    progress.start("reading pictures", len(given))
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(given), _BATCH):
            part = given[start : start + _BATCH]
            found = list(threads.map(_hash, [path for _, path in part]))
            fresh: dict[str, Path] = {}
            for (place, path), (digest, fault) in zip(part, found, strict=True):
                if digest is None:
                    broken[place] = fault
                    continue
                hashes[place] = digest
                if digest not in rows and digest not in reasons:
                    fresh.setdefault(digest, path)
            outcomes = list(threads.map(lambda path: _thumbnail(path, bounds), fresh.values()))
            for digest, outcome in zip(fresh, outcomes, strict=True):
                if isinstance(outcome, str):
                    reasons[digest] = outcome
                else:
                    rows[digest] = len(thumbnails)
                    thumbnails.append(outcome)
            progress.advance(len(part))
    for place, digest in enumerate(hashes):
        if digest in reasons:
            broken[place] = reasons[digest]
    stacked = np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE, SIDE), np.uint8)
    return Prints(hashes, rows, stacked, broken)


def _hash(path: Path) -> tuple[str | None, str]:
    try:
        return content_hash(path), ""
    except InputError as fault:
        return None, str(fault)


def _thumbnail(path: Path, bounds: MediaBounds) -> Pixels | str:
    """uint8 (SIDE, SIDE), or why there is none."""
    try:
        return read_print(path, bounds).thumbnail
    except InputError as fault:
        return str(fault)
