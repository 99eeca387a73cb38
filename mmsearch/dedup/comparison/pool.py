"""Runs comparisons on all cores, in worker processes that decode the files.

Comparisons consist of many small steps, for which threads would contend for the interpreter.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from os import cpu_count
from typing import TypeVar

from threadpoolctl import threadpool_limits

from mmsearch.dedup.comparison import PairComparison
from mmsearch.dedup.comparison.whole_files import WholeFile, compare_whole, read_whole
from mmsearch.dedup.keypoints import Keypoints
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds, content_hash
from mmsearch.media.bounds import read_bytes
from mmsearch.progress import ProgressListener
from mmsearch.records import real_path

Job = TypeVar("Job")
Answer = TypeVar("Answer")

# Starting workers takes a second or two, so fewer jobs run in this process.
_WORTH_WORKERS = 24
_EXAMINED_KEPT = 32
# JPEGs are decoded at twice this size at least, then resized for the comparison.
_DRAFT = (512, 512)


@dataclass(frozen=True, slots=True)
class FileOf:
    """A file as indexed.

    modified: in ns since the epoch.
    """

    uri: str
    image_hash: str
    modified: int = 0


@lru_cache(maxsize=_EXAMINED_KEPT)
def examine(file: FileOf, bounds: MediaBounds) -> WholeFile | None:
    """Decodes a file; None if it is missing, damaged or changed since indexing."""
    try:
        return read_whole(read_indexed(file, bounds), bounds, draft=_DRAFT)
    except InputError:
        return None


def read_indexed(file: FileOf, bounds: MediaBounds) -> bytes:
    """Reads a file. Raises InputError if it has changed since indexing."""
    path = real_path(file.uri)
    data = read_bytes(path, max_bytes=bounds.max_bytes, setting="max_image_bytes")
    if content_hash(data) != file.image_hash:
        raise InputError(f"{file.uri} has changed since it was indexed; run `catalog.index()`")
    return data


def compare_pair(pair: tuple[FileOf, FileOf], bounds: MediaBounds) -> PairComparison | None:
    """Compares two files; None if one cannot be read as indexed."""
    first, second = (examine(file, bounds) for file in pair)
    return None if first is None or second is None else compare_whole(first, second)


def keypoints_of(file: FileOf, bounds: MediaBounds) -> Keypoints | None:
    """Keypoints of a file; None if it cannot be read as indexed."""
    whole = examine(file, bounds)
    return None if whole is None else whole.images[0].keypoints


def on_every_core(
    work: Callable[[Job, MediaBounds], Answer],
    jobs: Sequence[Job],
    bounds: MediaBounds,
    progress: ProgressListener,
    *,
    at_once: int = 16,
) -> Iterator[Answer]:
    """Yields results in the order of the jobs; adjacent jobs share decoded images."""
    parts = [jobs[start : start + at_once] for start in range(0, len(jobs), at_once)]
    workers = cpu_count() or 1
    if len(jobs) < _WORTH_WORKERS or workers == 1:
        for part in parts:
            yield from _worked(work, part, bounds)
            progress.advance(len(part))
        return
    import loky

    pool = loky.get_reusable_executor(
        max_workers=workers, timeout=30, env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    )
    running = [pool.submit(_worked, work, part, bounds) for part in parts]
    for part, future in zip(parts, running, strict=True):
        yield from future.result()
        progress.advance(len(part))


def _worked(
    work: Callable[[Job, MediaBounds], Answer], jobs: Sequence[Job], bounds: MediaBounds
) -> list[Answer]:
    with threadpool_limits(limits=1):
        return [work(job, bounds) for job in jobs]
