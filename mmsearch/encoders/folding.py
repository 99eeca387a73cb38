"""Batch normalisation folded into the convolution before it: the same numbers, less work.

In inference a batch norm is a fixed scale and shift per channel, so the convolution can carry it.
"""

from typing import Any

import torch
from torch import fx, nn


class _Tracer(fx.Tracer):
    """Keeps convolutions and batch norms whole, whichever subclass they are."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        kinds = (nn.Conv2d, nn.modules.batchnorm._BatchNorm)
        return isinstance(module, kinds) or super().is_leaf_module(module, name)


def fold_batch_norms(tower: nn.Module) -> int:
    """Folds in place every batch norm that alone reads a convolution; returns how many.

    tower: in eval mode. Batch norms that also activate (timm's) leave their activation behind.
    """
    pairs = _pairs(tower)
    for convolution_name, norm_name in pairs:
        norm = tower.get_submodule(norm_name)
        _fold(tower.get_submodule(convolution_name), norm)
        parent, _, child = norm_name.rpartition(".")
        setattr(tower.get_submodule(parent), child, _what_remains(norm))
    return len(pairs)


def _pairs(tower: nn.Module) -> list[tuple[str, str]]:
    """(convolution, batch norm) by name; none where the tower's flow cannot be traced."""
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
    """In float64: the scale may be far from 1."""
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    before = 0.0 if convolution.bias is None else convolution.bias.double()
    shift = (before - norm.running_mean.double()) * scale + norm.bias.double()
    dtype = convolution.weight.dtype
    weight = convolution.weight.double() * scale[:, None, None, None]
    convolution.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    convolution.bias = nn.Parameter(shift.to(dtype), requires_grad=False)


def _what_remains(norm: nn.Module) -> nn.Module:
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity().eval()
