"""Low-rank adapters (LoRA, Hu et al. 2022) by peft: put into blocks, merged on the way out."""

import re
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from mmsearch.extras import require

# The adapters' product counts alpha / rank times; twice the rank is peft's usual setting.
ALPHA_PER_RANK = 2


def add_lora(
    model: nn.Module,
    blocks: Iterable[nn.Module],
    *,
    rank: int,
    seed: int,
    spared: Iterable[nn.Module] = (),
) -> int:
    """Puts adapters on the linear layers, 1x1 convolutions and attentions of `blocks`, which are
    parts of `model`, except those in `spared`; returns how many. They start at no change.
    """
    require("peft", extra="train", purpose="method 'lora'")
    from peft import LoraConfig, inject_adapter_in_model

    names = _targets(model, blocks, spared)
    if not names:
        return 0
    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA_PER_RANK * rank,
        # By whole names: as a list, a text block's name would also match the image tower's.
        target_modules="|".join(map(re.escape, names)),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)
    return len(names)


def is_adapter(name: str) -> bool:
    """Whether a parameter's name is that of an adapter."""
    return ".lora_" in name


def merged(model: nn.Module) -> Any:
    """A copy in which the adapters are part of the weights: names are the start model's again."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    whole = deepcopy(model)
    done: list[str] = []
    for name, module in list(whole.named_modules()):
        # An attention takes its output projection, an adapter of its own, along.
        if not isinstance(module, BaseTunerLayer) or name.startswith(tuple(done)):
            continue
        done.append(f"{name}.")
        parent, _, child = name.rpartition(".")
        setattr(whole.get_submodule(parent), child, _merged_layer(module))
    return whole


def _merged_layer(layer: Any) -> nn.Module:
    if hasattr(layer, "unload_and_optionally_merge_module"):
        plain: nn.Module = layer.unload_and_optionally_merge_module(
            merge=True, safe_merge=False, adapter_names=None
        )
        return plain
    layer.merge()
    base: nn.Module = layer.get_base_layer()
    return base


def _targets(
    model: nn.Module, blocks: Iterable[nn.Module], spared: Iterable[nn.Module]
) -> list[str]:
    inside = {id(module) for block in blocks for module in block.modules()}
    inside -= {id(module) for each in spared for module in each.modules()}
    names: list[str] = []
    for name, module in model.named_modules():
        whole = tuple(f"{each}." for each in names)
        if id(module) in inside and _is_linear(module) and not name.startswith(whole):
            names.append(name)
    return names


def _is_linear(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.kernel_size == (1, 1) and module.groups == 1
    return isinstance(module, nn.Linear | nn.MultiheadAttention)
