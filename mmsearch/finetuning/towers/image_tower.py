"""The image tower, split where training begins: pixels → frozen part → trained part → unit rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsearch.errors import InputError
from mmsearch.finetuning.options import ModelOptions
from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.records import Pixels
from mmsearch.training.activations import Forward, forward_of
from mmsearch.training.tower_split import Suffix, block_count, split_tower

# Images per pass without gradients.
BATCH = 64


@dataclass(frozen=True, slots=True)
class TowerParts:
    """An image tower, split where training begins; the modules are the tower's own.

    frozen: pixels → activations, None if nothing is frozen. features: activations → pooled
    features. head: pooled features → embeddings. head_parameters, head_modules: the projection's.
    blocks: other modules that may be trained.
    """

    frozen: nn.Module | None
    features: Callable[[Tensor], Tensor]
    head: Callable[[Tensor], Tensor]
    head_parameters: Sequence[nn.Parameter] = ()
    head_modules: Sequence[nn.Module] = ()
    blocks: Sequence[nn.Module] = ()


def split_image_tower(options: ModelOptions, visual: Any) -> TowerParts:
    """Splits a tower before the part that the options train; a locked one before its projection.

    Raises InputError for an unsupported tower, unless all or nothing of it is trained.
    """
    depth = block_count(visual)
    locked, method = options.lock == "image", options.method
    if depth is None and locked:
        return TowerParts(visual, nn.Identity(), nn.Identity())
    if depth is None and method != "full":
        kind = type(getattr(visual, "trunk", visual)).__name__
        raise InputError(
            f"image towers of type {kind} cannot be trained in part; use method=full or lock=image"
        )
    heads, modules = _projection(visual)
    if method == "full" and not locked:
        return TowerParts(None, visual, nn.Identity(), heads, modules, [visual])
    projection_only = locked or method == "head"
    halves = split_tower(visual, 0 if projection_only else min(options.blocks, depth or 0))
    assert halves is not None
    frozen, suffix = halves
    if projection_only:
        pooled = _PooledFeatures(frozen, suffix)
        return TowerParts(pooled, nn.Identity(), suffix.head, heads, modules)
    return TowerParts(frozen, suffix.features, suffix.head, heads, modules, [suffix])


class _PooledFeatures(nn.Module):
    """Pixels → pooled features, float32 (n, width)."""

    def __init__(self, frozen: nn.Module, suffix: Suffix) -> None:
        super().__init__()
        self.frozen, self.suffix = frozen, suffix

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.suffix.features(self.frozen(pixels))
        return features


def _projection(visual: Any) -> tuple[list[nn.Parameter], list[nn.Module]]:
    """Returns the parameters of the projection into the shared space, and its modules."""
    if isinstance(head := getattr(visual, "head", None), nn.Module):
        return list(head.parameters()), [head]
    projection = getattr(visual, "proj", None)
    return ([projection] if isinstance(projection, nn.Parameter) else []), []


class ImageEncoder:
    """Encodes activations by the trained part of a tower, with dropout before the projection."""

    def __init__(self, parts: TowerParts, *, dropout: float) -> None:
        self._parts, self._dropout = parts, dropout
        self.training = False

    def encode(self, activations: Tensor, *, dropout: bool = True) -> Tensor:
        """Returns float32 (n, dim), unit rows. dropout: whether to apply it while training."""
        features = self._parts.features(activations)
        features = F.dropout(features, self._dropout, self.training and dropout)
        return F.normalize(self._parts.head(features).float(), dim=-1)


class FrozenTower:
    """Runs the frozen part of the start model's image tower, by ONNX Runtime on CPUs if installed.

    module: the frozen part, None if nothing is frozen.
    """

    def __init__(self, start: StartModel, options: ModelOptions) -> None:
        """Raises InputError as `split_image_tower` does."""
        self.start = start
        self.module = split_image_tower(options, start.inference_tower()).frozen
        self._pixels: Pixels | None = None
        self._last: list[Tensor] = []

    def batches(self, pixels: Pixels) -> list[Tensor]:
        """Returns activations, float32 (b, …), in batches; those of the last pixels are cached."""
        if self._pixels is not pixels:
            self._last = list(self._batches(pixels))
            self._pixels = pixels
        return self._last

    def activations(self, pixels: Pixels) -> Tensor:
        """Returns activations, float32 (n, …), of pixels, uint8 (n, size, size, 3)."""
        if self.module is None:
            return self.start.inputs(pixels)
        return torch.cat(list(self._batches(pixels)))

    def half_activations(self, pixels: Pixels) -> Tensor:
        """Returns activations, float16 (n, …), of pixels, uint8 (n, size, size, 3)."""
        return torch.cat([batch.half() for batch in self._batches(pixels)])

    def bytes_per_view(self) -> int:
        """Returns the size of one image's activations in float16."""
        assert self.module is not None
        size = self.start.preprocessing.size
        with torch.no_grad():
            pixels = torch.zeros(1, 3, size, size, device=self.start.device)
            return 2 * int(self.module.eval()(pixels).numel())

    @torch.no_grad()
    def _batches(self, pixels: Pixels) -> Iterator[Tensor]:
        for at in range(0, len(pixels), BATCH):
            inputs = self.start.inputs(pixels[at : at + BATCH])
            if self.module is None:
                yield inputs
            elif inputs.device.type != "cpu":
                yield self.module(inputs)
            else:
                yield channels_last(torch.from_numpy(self._forward(inputs.numpy())))

    @cached_property
    def _forward(self) -> Forward:
        assert self.module is not None
        return forward_of(self.module.eval(), self.start.preprocessing.size)


def channels_last(activations: Tensor) -> Tensor:
    """Returns 4-dim activations in the channels-last memory format, which is faster on CPUs."""
    if activations.ndim != 4:
        return activations
    return activations.contiguous(memory_format=torch.channels_last)


def mixed(ones: Tensor, others: Tensor, shares: Tensor) -> Tensor:
    """Interpolates activations row by row, float32 (b, …). shares: float32 (b,), of `ones`."""
    weights = shares.view(-1, *[1] * (ones.ndim - 1))
    return channels_last(torch.lerp(others, ones, weights))
