"""Activations of training images: read from a cache file, or computed in every step.

The frozen part of the tower runs once: activations of all views that training will see are cached
on disk, unless they are too large.
"""

import contextlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmsearch.finetuning.data.sampling import PLAIN_VIEW, Sampler
from mmsearch.finetuning.data.views import ImageViews, PlainViewCache
from mmsearch.finetuning.towers.image_tower import FrozenTower, channels_last
from mmsearch.progress import ProgressListener
from mmsearch.records import Ids, Pixels
from mmsearch.training.activations import PixelViews, cached_activations

Readable: TypeAlias = NDArray[np.bool_]
# Disk space for cached activations; beyond it they are computed in every step.
MAX_CACHED_BYTES = 16 * 2**30
# Views loaded at once while activations are computed.
_VIEWS_PER_BATCH = 48


class ImageInputs(Protocol):
    """Input of the trained part of an image tower, by item and view."""

    def prefetch(self, items: Ids, views: Ids) -> None:
        """Starts to load what is requested next."""
        ...

    def __call__(self, items: Ids, views: Ids) -> tuple[Tensor, Readable]:
        """Returns activations, float32 (n, …), and which images were readable, bool (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class ImageCache:
    """Where activations are cached and of which views.

    held_out: int64 positions of items of which only the plain view is needed. view_key: identifies
    how random views are made; with the weights it identifies the files in `folder`.
    """

    views: ImageViews
    held_out: Ids
    view_key: str
    folder: Path


def open_image_inputs(
    frozen: FrozenTower, sampler: Sampler, cache: ImageCache, progress: ProgressListener
) -> ImageInputs:
    """Caches the activations of all views that the sampler and validation use, if they fit.

    Raises InputError if the files cannot be written.
    """
    random_views = sampler.options.views
    if frozen.module is None or random_views is None:
        return DecodedInputs(frozen, cache.views)
    known = sampler.training_set.items
    train, held_out = (
        np.array([item for item in items.tolist() if known[item].image is not None], np.int64)
        for items in (sampler.positions, cache.held_out)
    )
    size = frozen.bytes_per_view() * (len(train) * (1 + random_views) + len(held_out))
    if size > MAX_CACHED_BYTES:
        progress.note(
            f"the activations of all views would take {size / 2**30:.0f} GiB; they are computed "
            "in every step and not cached, unless you reduce the views with views=N"
        )
        return DecodedInputs(frozen, cache.views)
    tables = []
    for items, count in ((train, random_views), (held_out, 0)):
        if len(items):
            names = "\n".join(f"{known[item].key}\t{known[item].image}" for item in items.tolist())
            progress.start("activations of the frozen part", len(items), device=frozen.start.device)
            table = _table(frozen, cache, items, count=count, names=names, progress=progress)
            tables.append((items, table))
    failed = [at for at, item in enumerate(known) if item.key in cache.views.failures]
    return CachedInputs(tables, np.array(failed, np.int64), frozen.start.device)


def _table(
    frozen: FrozenTower,
    cache: ImageCache,
    items: Ids,
    *,
    count: int,
    names: str,
    progress: ProgressListener,
) -> NDArray[np.float16]:
    """Returns activations, float16 (n, 1 + count, …): of the plain view, then of random ones."""
    numbers, start = np.arange(PLAIN_VIEW, count), frozen.start
    known_failures = len(cache.views.failures)
    assert frozen.module is not None

    def load(row: int) -> NDArray[np.float32]:
        pixels, _ = cache.views.batch(np.full(len(numbers), items[row]), numbers)
        return start.inputs(pixels).cpu().numpy()

    table = cached_activations(
        frozen.module,
        PixelViews(load, len(items), len(numbers), start.preprocessing.size),
        cache=cache.folder,
        key=f"{cache.view_key}\n{names}",
        advance=progress.advance,
        batch=max(1, _VIEWS_PER_BATCH // len(numbers)),
    )
    if len(cache.views.failures) > known_failures:
        # Images that are unreadable now may be readable in another run, which must not find this
        # file. Windows keeps a file that is mapped.
        mapped: Any = table
        with contextlib.suppress(PermissionError):
            Path(mapped.filename).unlink()
    return table


class DecodedInputs:
    """Inputs that are decoded and computed in each step; plain views are decoded once."""

    def __init__(self, frozen: FrozenTower, views: ImageViews) -> None:
        self._frozen, self._views = frozen, views
        self._plain = PlainViewCache(views, frozen.start.preprocessing.size)
        self._thread = ThreadPoolExecutor(1)
        self._prefetched: dict[bytes, Future[tuple[Pixels, Readable]]] = {}

    def prefetch(self, items: Ids, views: Ids) -> None:
        """Decodes what is requested next while the current step is being computed."""
        request = items.tobytes() + views.tobytes()
        self._prefetched = {request: self._thread.submit(self._decode, items, views)}

    @torch.no_grad()
    def __call__(self, items: Ids, views: Ids) -> tuple[Tensor, Readable]:
        """See ImageInputs."""
        future = self._prefetched.pop(items.tobytes() + views.tobytes(), None)
        pixels, readable = future.result() if future else self._decode(items, views)
        return self._frozen.activations(pixels), readable

    def _decode(self, items: Ids, views: Ids) -> tuple[Pixels, Readable]:
        if (views == PLAIN_VIEW).all():
            return self._plain(items)
        return self._views.batch(items, views)


class CachedInputs:
    """Inputs that are read from cached activations."""

    def __init__(
        self, tables: Iterable[tuple[Ids, NDArray[np.float16]]], unreadable: Ids, device: str
    ) -> None:
        """tables: items, int64 (m,), and their activations, float16 (m, 1 + views, …)."""
        self._tables = list(tables)
        self._device, self._unreadable = device, unreadable
        self._rows = {
            int(item): (number, row)
            for number, (items, _) in enumerate(self._tables)
            for row, item in enumerate(items)
        }

    def prefetch(self, items: Ids, views: Ids) -> None:
        """Does nothing: the files are memory-mapped."""

    def __call__(self, items: Ids, views: Ids) -> tuple[Tensor, Readable]:
        """See ImageInputs."""
        shape = self._tables[0][1].shape[2:]
        rows = np.zeros((len(items), *shape), np.float16)
        readable = np.zeros(len(items), np.bool_)
        for at, (item, view) in enumerate(zip(items.tolist(), views.tolist(), strict=True)):
            if item in self._rows:
                number, row = self._rows[item]
                rows[at] = self._tables[number][1][row, view + 1]
                readable[at] = True
        readable &= ~np.isin(items, self._unreadable)
        return channels_last(torch.from_numpy(rows).to(self._device).float()), readable
