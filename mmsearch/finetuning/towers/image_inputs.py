"""The image side of a fine-tuning: items and views in, unit rows out, with gradients.

pixels → frozen part → activations → trained part → vectors. The frozen part runs once: activations
of every view that training will ask for lie in a file, if that is not too large.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mmsearch.errors import InputError
from mmsearch.finetuning.data.augment import PlainPixels, Views
from mmsearch.finetuning.data.sampling import PLAIN_VIEW
from mmsearch.finetuning.data.training_set import TrainCatalog
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.progress import ProgressListener
from mmsearch.records import Ids, Pixels
from mmsearch.training.activations import Forward, forward_of
from mmsearch.training.tower_split import Suffix, block_count, cached_prefix, split_tower

Readable: TypeAlias = NDArray[np.bool_]
# Activations take at most so much disk; beyond it they are computed anew in every step.
MOST_CACHED_BYTES = 16 * 2**30
# Pictures per pass without gradients, and through a frozen tower.
_BATCH, _PIECE = 64, 8


class PictureInputs(Protocol):
    """What the trained part of an image tower is given."""

    def prepare(self, items: Ids, views: Ids) -> None:
        """These are asked for next."""
        ...

    def __call__(self, items: Ids, views: Ids) -> tuple[Tensor, Readable]:
        """items, views: int64 (n,) → float32 (n, …), and bool (n,): which could be read."""
        ...


@dataclass(frozen=True, slots=True)
class TowerParts:
    """An image tower cut where training begins; the modules are the tower's own.

    frozen: pixels → activations, None where nothing is frozen. features: activations → what the
    head is given; head: these → embeddings. head_parameters, head_modules: of the projection;
    blocks: the other modules that training may change.
    """

    frozen: nn.Module | None
    features: Callable[[Tensor], Tensor]
    head: Callable[[Tensor], Tensor]
    head_parameters: Sequence[nn.Parameter] = ()
    head_modules: Sequence[nn.Module] = ()
    blocks: Sequence[nn.Module] = ()


class ImageSide:
    """Encodes items of a catalog by the trained part; dropout falls on what the head is given."""

    def __init__(self, parts: TowerParts, inputs: PictureInputs, *, dropout: float) -> None:
        self._parts, self._inputs, self._dropout = parts, inputs, dropout
        self.training = False

    def encode(self, inputs: Tensor, *, dropout: bool = True) -> Tensor:
        """inputs: (n, …), what the frozen part gives → float32 (n, dim), unit rows.

        dropout: only ever in training.
        """
        features = self._parts.features(inputs)
        features = F.dropout(features, self._dropout, self.training and dropout)
        return F.normalize(self._parts.head(features).float(), dim=-1)

    @torch.no_grad()
    def encode_plain(
        self, items: Ids, advance: Callable[[int], None] = lambda count: None
    ) -> tuple[Tensor, Readable]:
        """float32 (n, dim) on the CPU: the vectors of the plain views; bool (n,): the readable."""
        vectors, readable = [], []
        for at in range(0, len(items), _BATCH):
            batch = items[at : at + _BATCH]
            inputs, could = self._inputs(batch, np.full(len(batch), PLAIN_VIEW))
            vectors.append(self.encode(inputs).cpu())
            readable.append(could)
            advance(len(batch))
        return torch.cat(vectors), np.concatenate(readable)


def cut_for(options: FinetuneOptions, visual: Any) -> TowerParts:
    """Cut before what the options train of the tower; a locked one after its last layer but one.

    Raises InputError where the tower's parts are not known, unless all or nothing of it is trained.
    """
    depth = block_count(visual)
    locked, method = options.lock == "image", options.method
    if depth is None and locked:
        return TowerParts(visual, _same, _same)
    if depth is None and method != "full":
        raise InputError(
            f"the image tower is a {_kind(visual)}, which is not known well enough to be trained "
            "in part; use `method='full'` or `lock='image'`"
        )
    heads, modules = _head(visual)
    if method == "full" and not locked:
        return TowerParts(None, visual, _same, heads, modules, [visual])
    shallow = locked or method == "head"
    halves = split_tower(visual, 0 if shallow else min(options.blocks, depth or 0))
    assert halves is not None
    frozen, suffix = halves
    if shallow:
        return TowerParts(_AllButHead(frozen, suffix), _same, suffix.head, heads, modules)
    return TowerParts(frozen, suffix.features, suffix.head, heads, modules, [suffix])


def frozen_part(options: FinetuneOptions, start: StartModel) -> nn.Module | None:
    """What stands still of the start's image tower, as it runs without gradients. Raises what
    `cut_for` does."""
    return cut_for(options, start.inference_tower()).frozen


class _AllButHead(nn.Module):
    """Pixels → pooled features, float32 (n, width)."""

    def __init__(self, frozen: nn.Module, suffix: Suffix) -> None:
        super().__init__()
        self.frozen, self.suffix = frozen, suffix

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.suffix.features(self.frozen(pixels))
        return features


def _same(features: Tensor) -> Tensor:
    return features


def _head(visual: Any) -> tuple[list[nn.Parameter], list[nn.Module]]:
    """The projection into the shared space: its parameters, and the modules that hold them."""
    if isinstance(head := getattr(visual, "head", None), nn.Module):
        return list(head.parameters()), [head]
    projection = getattr(visual, "proj", None)
    return ([projection] if isinstance(projection, nn.Parameter) else []), []


def _kind(visual: Any) -> str:
    return type(getattr(visual, "trunk", visual)).__name__


class FreshInputs:
    """Decoded in each step, but plain views once; those named by `prepare` while the step before
    is computed."""

    def __init__(self, start: StartModel, views: Views, frozen: nn.Module | None) -> None:
        self._start, self._views, self._frozen = start, views, frozen
        self._plain = PlainPixels(views, start.preprocessing.size)
        self._ahead = ThreadPoolExecutor(1)
        self._waiting: dict[bytes, Future[tuple[Pixels, Readable]]] = {}

    def prepare(self, items: Ids, views: Ids) -> None:
        name = _name(items, views)
        self._waiting = {name: self._ahead.submit(self._decoded, items, views)}

    @torch.no_grad()
    def __call__(self, items: Ids, views: Ids) -> tuple[Tensor, Readable]:
        future = self._waiting.pop(_name(items, views), None)
        pixels, readable = future.result() if future else self._decoded(items, views)
        inputs = self._start.inputs(pixels)
        if self._frozen is None:
            return inputs, readable
        return torch.cat([self._frozen(part) for part in torch.split(inputs, _PIECE)]), readable

    def _decoded(self, items: Ids, views: Ids) -> tuple[Pixels, Readable]:
        if (views == PLAIN_VIEW).all():
            return self._plain(items)
        return self._views.batch(items, views)


def _name(items: Ids, views: Ids) -> bytes:
    return items.tobytes() + views.tobytes()


class CachedInputs:
    """Activations out of files."""

    def __init__(
        self, tables: Iterable[tuple[Ids, NDArray[np.float16]]], unread: Ids, device: str
    ) -> None:
        """tables: int64 (m,) items, float16 (m, 1 + views, …) each; unread: items that failed."""
        self._tables = list(tables)
        self._device, self._unread = device, unread
        self._place = {
            int(item): (number, row)
            for number, (items, _) in enumerate(self._tables)
            for row, item in enumerate(items)
        }

    def prepare(self, items: Ids, views: Ids) -> None:
        return

    def __call__(self, items: Ids, views: Ids) -> tuple[Tensor, Readable]:
        shape = self._tables[0][1].shape[2:]
        rows = np.zeros((len(items), *shape), np.float16)
        readable = np.zeros(len(items), np.bool_)
        for at, (item, view) in enumerate(zip(items.tolist(), views.tolist(), strict=True)):
            if item in self._place:
                number, row = self._place[item]
                rows[at] = self._tables[number][1][row, view + 1]
                readable[at] = True
        readable &= ~np.isin(items, self._unread)
        return channels_last(torch.from_numpy(rows).to(self._device).float()), readable


class Activations:
    """What the frozen part makes of any pixels; the last ones asked for are kept."""

    def __init__(self, start: StartModel, frozen: nn.Module | None) -> None:
        self._start, self._frozen = start, frozen
        self._pixels: Pixels | None = None
        self._kept: list[Tensor] = []

    @torch.no_grad()
    def __call__(self, pixels: Pixels) -> list[Tensor]:
        """pixels: uint8 (n, size, size, 3) → float32 (b, …) in batches."""
        if self._pixels is not pixels:
            self._kept = [self._run(self._start.inputs(part)) for part in _batches(pixels)]
            self._pixels = pixels
        return self._kept

    @torch.no_grad()
    def once(self, pixels: Pixels) -> Tensor:
        """pixels: uint8 (n, size, size, 3) → float16 (n, …), which is not kept here."""
        return torch.cat([self._run(self._start.inputs(part)).half() for part in _batches(pixels)])

    def _run(self, inputs: Tensor) -> Tensor:
        if self._frozen is None:
            return inputs
        if inputs.device.type != "cpu":
            found: Tensor = self._frozen(inputs)
            return found
        return channels_last(torch.from_numpy(self._forward(inputs.numpy())))

    @cached_property
    def _forward(self) -> Forward:
        assert self._frozen is not None
        return forward_of(self._frozen.eval(), self._start.preprocessing.size)


def _batches(pixels: Pixels) -> Iterator[Pixels]:
    return (pixels[at : at + _BATCH] for at in range(0, len(pixels), _BATCH))


def channels_last(activations: Tensor) -> Tensor:
    """Channels last in memory, as pixels are: on a CPU a tower is half as quick again on these."""
    if activations.ndim != 4:
        return activations
    return activations.contiguous(memory_format=torch.channels_last)


def picture_inputs(
    start: StartModel,
    catalog: TrainCatalog,
    views: Views,
    frozen: nn.Module | None,
    *,
    train: Ids,
    others: Ids,
    count: int | None,
    key: str,
    cache: Path,
    progress: ProgressListener,
) -> PictureInputs:
    """train: items of which `count` random views and the plain one are wanted, None for new views
    in every epoch; others: of which the plain one is. key: names how views are made.

    Raises InputError where the files cannot be written.
    """
    if frozen is None or count is None:
        return FreshInputs(start, views, frozen)
    train, others = (_with_pictures(catalog, each) for each in (train, others))
    size = _bytes_each(start, frozen) * (len(train) * (1 + count) + len(others))
    if size > MOST_CACHED_BYTES:
        progress.note(
            f"the activations of all views would take {size / 2**30:.0f} GiB; they are computed "
            "again in every step and not cached, unless you reduce the views with `views=N`"
        )
        return FreshInputs(start, views, frozen)
    tables = [
        (items, _table(start, catalog, views, frozen, items, shown, key, cache, progress))
        for items, shown in ((train, count), (others, 0))
        if len(items)
    ]
    failed = [at for at, item in enumerate(catalog.items) if item.key in views.failures]
    return CachedInputs(tables, np.array(failed, np.int64), start.device)


def _with_pictures(catalog: TrainCatalog, items: Ids) -> Ids:
    return np.array([i for i in items.tolist() if catalog.items[i].picture is not None], np.int64)


def _bytes_each(start: StartModel, frozen: nn.Module) -> int:
    size = start.preprocessing.size
    with torch.no_grad():
        one: Tensor = frozen.eval()(torch.zeros(1, 3, size, size, device=start.device))
    return 2 * one.numel()


def _table(
    start: StartModel,
    catalog: TrainCatalog,
    views: Views,
    frozen: nn.Module,
    items: Ids,
    count: int,
    key: str,
    cache: Path,
    progress: ProgressListener,
) -> NDArray[np.float16]:
    """float16 (n, 1 + count, …): the plain view, then the random ones."""
    numbers = np.arange(PLAIN_VIEW, count)
    known = len(views.failures)
    pictures = [catalog.items[item] for item in items.tolist()]
    names = "\n".join(f"{each.key}\t{each.picture}" for each in pictures)

    def load(row: int) -> NDArray[np.float32]:
        pixels, _ = views.batch(np.full(len(numbers), items[row]), numbers)
        return start.inputs(pixels).cpu().numpy()

    progress.start("activations of the frozen part", len(items), device=start.device)
    table = cached_prefix(
        frozen,
        load,
        count=len(items),
        views=len(numbers),
        size=start.preprocessing.size,
        cache=cache,
        key=f"{key}\n{names}",
        advance=progress.advance,
        batch=max(1, 48 // len(numbers)),
    )
    if len(views.failures) > known:
        _forget(table)
    return table


def _forget(table: Any) -> None:
    """A file with pictures that failed today must not serve tomorrow, when they may be there."""
    # Windows keeps a file that is mapped.
    with contextlib.suppress(PermissionError):
        Path(table.filename).unlink()
