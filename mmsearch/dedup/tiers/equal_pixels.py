"""Exhaustive search for files with equal decoded content.

Most files are decoded in full for their fingerprint, which gives the digest of their content. A
JPEG is decoded at a fraction of its size there, so it is decoded in full only if another file of
the same size has nearly the same grey levels.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.cache.database import CachedArrays, CacheDatabase
from mmsearch.dedup.items import Item, PrintCache, read_indexed
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds, read_content
from mmsearch.progress import ProgressListener
from mmsearch.records import Ids, Pixels, real_path

_SETTING = "contents 1"
# Side of the grid of mean levels. Equal pixels decoded at full size and at an eighth of it differ
# by at most 4 levels in 89 images (photographs, text, noise, stripes), and by 1.8 on average.
_GRID = 16
_NEAR_LEVELS, _NEAR_MEAN = 6, 3.0
_BATCH = 1024
# Width, height and number of frames, which equal files share.
_Shape: TypeAlias = tuple[int, int, int]


@dataclass(slots=True)
class _Known:
    """Cached results of earlier runs.

    digests: digest of the content by hash of the file.
    blocks: uint8 (n, 256), mean levels of each image.
    rows: index into `blocks` by hash.
    compared: hashes that were compared with all others here.
    """

    digests: dict[str, str]
    blocks: Pixels
    rows: dict[str, int]
    compared: set[str]

    @classmethod
    def load(cls, memory: CachedArrays) -> "_Known":
        """Reads the cache; an empty one if it is missing."""
        parts = memory.load(_SETTING)
        if parts is None:
            return cls({}, np.zeros((0, _GRID * _GRID), np.uint8), {}, set())
        names = parts["hashes"].astype(np.str_).tolist()
        digests = parts["digests"].astype(np.str_).tolist()
        rows = {name: row for row, name in enumerate(names)}
        compared = {name for name, yes in zip(names, parts["compared"], strict=True) if yes}
        return cls(dict(zip(names, digests, strict=True)), parts["blocks"], rows, compared)

    def save(self, memory: CachedArrays, present: Set[str] | None) -> None:
        """Writes the cache. present: hashes to keep, None for all."""
        names = [name for name in self.digests if present is None or name in present]
        memory.save(
            _SETTING,
            hashes=np.array(names, np.bytes_),
            digests=np.array([self.digests[name] for name in names], np.bytes_),
            blocks=self.blocks[[self.rows[name] for name in names]],
            compared=np.array([name in self.compared for name in names], np.bool_),
        )


@dataclass(frozen=True, slots=True)
class EqualContents:
    """Digests of decoded contents, computed where two files may be equal.

    items: one for each content hash.
    database: the cached digests.
    """

    items: Mapping[str, Item]
    cache: PrintCache
    database: CacheDatabase
    bounds: MediaBounds
    progress: ProgressListener

    def digests(self, present: Set[str] | None) -> Mapping[str, str]:
        """Digests of decoded content by hash of the file; '' if no other file can have the same.

        present: hashes of the whole store, None if only part of it is searched.
        """
        memory = CachedArrays(self.database, "contents")
        known = _Known.load(memory)
        rows = {name: row for name in self.items if (row := self.cache.row(name)) is not None}
        fresh = [name for name in rows if name not in known.compared]
        if fresh:
            self._add(fresh, rows, known)
            if present is not None:
                known.compared.update(known.digests)
            known.save(memory, present)
        return {name: known.digests.get(name, "") for name in rows}

    def _add(self, fresh: Sequence[str], rows: Mapping[str, int], known: _Known) -> None:
        blocks = [known.blocks]
        unread = [name for name in fresh if name not in known.digests]
        for start in range(0, len(unread), _BATCH):
            part = [rows[name] for name in unread[start : start + _BATCH]]
            blocks.append(mean_levels(self.cache.thumbnails(part)))
        for name in unread:
            known.rows[name] = len(known.rows)
            known.digests[name] = self.cache.content(rows[name])
        known.blocks = np.concatenate(blocks)
        doubtful = [name for name in self._near(fresh, rows, known) if not known.digests[name]]
        if doubtful:
            self.progress.start("reading pictures in full", len(doubtful))
        with ThreadPoolExecutor(cpu_count() or 1) as threads:
            for name, digest in zip(doubtful, threads.map(self._read, doubtful), strict=True):
                self.progress.advance(1)
                if digest is None:
                    # Not readable now; the next run tries again.
                    del known.digests[name]
                else:
                    known.digests[name] = digest

    def _near(self, fresh: Sequence[str], rows: Mapping[str, int], known: _Known) -> Iterator[str]:
        """Files that nearly equal another of the same shape, one of the two being new."""
        by_shape: dict[_Shape, list[str]] = defaultdict(list)
        for name, row in rows.items():
            item = self.items[name]
            if name in known.digests:
                by_shape[item.width, item.height, self.cache.frames(row)].append(name)
        recent = set(fresh)
        for names in by_shape.values():
            unknown = any(not known.digests[name] for name in names)
            if len(names) > 1 and unknown and not recent.isdisjoint(names):
                blocks = known.blocks[[known.rows[name] for name in names]]
                new = np.array([name in recent for name in names])
                yield from (names[place] for place in near_rows(blocks, new).tolist())

    def _read(self, image_hash: str) -> str | None:
        """Digest of a file's content; None if it is missing, unreadable or changed since."""
        try:
            path = real_path(self.items[image_hash].uri)
            data = read_indexed(image_hash, path, self.bounds)
            return None if data is None else read_content(data, bounds=self.bounds).digest
        except InputError:
            return None


def mean_levels(thumbnails: Pixels) -> Pixels:
    """Computes mean levels over a grid of 16 x 16.

    thumbnails: uint8 (n, side, side).
    Returns uint8 (n, 256).
    """
    side = thumbnails.shape[1] // _GRID
    parts = thumbnails.reshape(-1, _GRID, side, _GRID, side).mean(axis=(2, 4), dtype=np.float32)
    levels: Pixels = (parts + 0.5).astype(np.uint8)
    return levels.reshape(len(thumbnails), _GRID * _GRID)


def near_rows(blocks: Pixels, fresh: NDArray[np.bool_]) -> Ids:
    """Finds rows that nearly equal another one, at least one of the two being new.

    blocks: uint8 (n, 256).
    fresh: bool (n,), the new rows.
    Returns int64, ascending.
    """
    levels = blocks.astype(np.int16)
    means = levels.mean(axis=1)
    order = np.argsort(means, kind="stable")
    levels, means = levels[order], means[order]
    # Four of the 256 distinguish most pairs.
    probe = levels[:, [17, 28, 136, 238]]
    found = np.zeros(len(levels), np.bool_)
    starts = np.searchsorted(means, means - _NEAR_MEAN, side="left")
    ends = np.searchsorted(means, means + _NEAR_MEAN, side="right")
    for row in np.flatnonzero(fresh[order]).tolist():
        near = _within(probe, row, np.arange(starts[row], ends[row]))
        near = _within(levels, row, near[near != row])
        if near.size:
            found[near] = True
            found[row] = True
    rows: Ids = np.sort(order[found])
    return rows


def _within(levels: NDArray[np.int16], row: int, others: Ids) -> Ids:
    nearest: Ids = others[(np.abs(levels[others] - levels[row]) <= _NEAR_LEVELS).all(axis=1)]
    return nearest


def groups_of_equal(digests: Mapping[str, str]) -> Iterator[list[str]]:
    """Groups of two or more names with equal digests, in their order."""
    by_digest: dict[str, list[str]] = defaultdict(list)
    for name, digest in digests.items():
        if digest:
            by_digest[digest].append(name)
    yield from (names for names in by_digest.values() if len(names) > 1)
