"""Speeds up convolutional image towers for inference, with the same results.

In inference, a batch norm is a fixed scale and shift per channel, which is folded into the
convolution before it. For images of one size, TensorFlow's asymmetric padding is replaced by
symmetric padding with a larger kernel.
"""

from copy import deepcopy
from functools import partial
from math import ceil
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, fx, nn


class _Tracer(fx.Tracer):
    """Treats convolutions and batch norms as leaves, whichever subclass they are."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        kinds = (nn.Conv2d, nn.modules.batchnorm._BatchNorm)
        return isinstance(module, kinds) or super().is_leaf_module(module, name)


def lightened(tower: nn.Module, size: int) -> nn.Module:
    """Returns a faster copy for images of size x size, or the tower itself where none is possible.

    tower: in eval mode, on the CPU.
    """
    if not any(isinstance(module, nn.BatchNorm2d | Conv2dSame) for module in tower.modules()):
        return tower
    copy = deepcopy(tower)
    fold_batch_norms(copy)
    even_padding(copy, size)
    return copy


def fold_batch_norms(tower: nn.Module) -> int:
    """Folds batch norms in place into the convolutions that only they read; returns how many.

    tower: in eval mode. The activation of timm's batch norms is kept.
    """
    pairs = _pairs(tower)
    for convolution_name, norm_name in pairs:
        norm = tower.get_submodule(norm_name)
        _fold(tower.get_submodule(convolution_name), norm)
        parent, _, child = norm_name.rpartition(".")
        setattr(tower.get_submodule(parent), child, _activation_of(norm))
    return len(pairs)


def even_padding(tower: nn.Module, size: int) -> int:
    """Replaces convolutions with asymmetric padding in place; returns how many.

    tower: in eval mode, on the CPU; it then takes images of size x size only. Asymmetric padding
    copies the whole input, which took a third of the time of the built-in model.
    """
    sides = _input_sides(tower, size)
    for name, side in sides.items():
        parent, _, child = name.rpartition(".")
        same = tower.get_submodule(name)
        setattr(tower.get_submodule(parent), child, _evenly_padded(same, side))
    return len(sides)


def _input_sides(tower: nn.Module, size: int) -> dict[str, int]:
    """Returns the input side in pixels of each convolution with asymmetric padding, by name."""
    sides: dict[str, int] = {}

    def note(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        height, width = inputs[0].shape[-2:]
        if height == width:
            sides[name] = height

    hooks = [
        module.register_forward_pre_hook(partial(note, name))
        for name, module in tower.named_modules()
        if isinstance(module, Conv2dSame) and _is_square(module)
    ]
    if hooks:
        with torch.no_grad():
            tower(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return sides


def _is_square(convolution: nn.Conv2d) -> bool:
    kernel, stride = set(convolution.kernel_size), set(convolution.stride)
    return len(kernel) == len(stride) == 1 and convolution.dilation == (1, 1)


def _evenly_padded(same: Any, side: int) -> nn.Conv2d:
    """Returns an equal convolution with symmetric padding; zeros in its kernel skip the excess."""
    kernel, stride = same.kernel_size[0], same.stride[0]
    padding = max((ceil(side / stride) - 1) * stride + kernel - side, 0)
    before = padding // 2
    after = padding - before
    weight = nn.functional.pad(same.weight.detach(), (after - before, 0, after - before, 0))
    even = nn.Conv2d(
        same.in_channels,
        same.out_channels,
        weight.shape[-1],
        stride=stride,
        padding=after,
        groups=same.groups,
        bias=same.bias is not None,
    )
    even.weight = nn.Parameter(weight, requires_grad=False)
    even.bias = same.bias
    return even.eval()


def _pairs(tower: nn.Module) -> list[tuple[str, str]]:
    """Returns (convolution, batch norm) pairs by name; none where the tower cannot be traced."""
    if not any(isinstance(m, nn.BatchNorm2d) for m in tower.modules()):
        return []
    try:
        nodes = list(_Tracer().trace(tower).nodes)
    except (fx.proxy.TraceError, TypeError, AttributeError):
        return []
    calls = [node for node in nodes if node.op == "call_module"]
    used = [str(node.target) for node in calls]
    found = []
    for node in calls:
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module":
            continue
        names = (str(source.target), str(node.target))
        alone = len(source.users) == 1 and all(used.count(name) == 1 for name in names)
        if alone and _foldable(tower.get_submodule(names[0]), tower.get_submodule(names[1])):
            found.append(names)
    return found


def _foldable(convolution: nn.Module, norm: nn.Module) -> bool:
    return (
        isinstance(convolution, nn.Conv2d)
        and isinstance(norm, nn.BatchNorm2d)
        and norm.affine
        and norm.running_mean is not None
    )


@torch.no_grad()
def _fold(convolution: Any, norm: Any) -> None:
    """Folds a batch norm into a convolution, in float64, as the scale may be far from 1."""
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    before = 0.0 if convolution.bias is None else convolution.bias.double()
    shift = (before - norm.running_mean.double()) * scale + norm.bias.double()
    dtype = convolution.weight.dtype
    weight = convolution.weight.double() * scale[:, None, None, None]
    convolution.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    convolution.bias = nn.Parameter(shift.to(dtype), requires_grad=False)


def _activation_of(norm: nn.Module) -> nn.Module:
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity().eval()
