"""Which of a model's parameters are trained, with which learning rate and weight decay.

LoRA (Hu et al. 2022) is by peft: adapters are injected into the blocks and merged when saving.
"""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from mmsearch.encoders.text_tower import text_tower
from mmsearch.errors import InputError
from mmsearch.extras import require
from mmsearch.finetuning.options import Method
from mmsearch.finetuning.resolved import ResolvedModel
from mmsearch.finetuning.towers.image_tower import TowerParts
from mmsearch.training.loop import LoopOptions

# Learning rates of projections over those of towers, which should change slowly.
_HEAD_FACTOR: dict[Method, float] = {"head": 1.0, "lora": 1.0, "last-n": 3.0, "full": 10.0}
_UNDECAYED = ("embedding", "scale", "bias", "norm", "ln_", "bn")
# Factor of the adapters' product is alpha / rank; alpha of twice the rank is peft's usual setting.
_ALPHA_PER_RANK = 2


def choose_parameters(
    model: nn.Module, images: TowerParts, options: ResolvedModel, *, seed: int
) -> list[nn.Parameter]:
    """Enables the gradients of what the method trains; for LoRA, injects adapters.

    Returns the trained parameters of both projections. Raises InputError if nothing is to be
    trained.
    """
    heads: list[nn.Parameter] = []
    blocks: list[nn.Module] = []
    if options.lock != "image":
        heads += images.head_parameters
        blocks += images.blocks
    if options.lock != "text":
        heads += _projection(text_tower(model))
        blocks += _text_blocks(text_tower(model), options)
    lora = options.method == "lora"
    if lora:
        add_lora(model, blocks, rank=options.rank, seed=seed, excluded=images.head_modules)
        blocks = []
    chosen = {id(each) for each in heads} | {id(p) for block in blocks for p in block.parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(id(parameter) in chosen or (lora and ".lora_" in name))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(
            f"method={options.method} with lock={options.lock} leaves nothing to train in this "
            "model; use method=lora or last-n, or another lock"
        )
    return heads


def projections(model: nn.Module, images: TowerParts) -> set[str]:
    """Returns the parameter names of both projections. images: parts of the model's own tower."""
    wanted = {id(each) for each in (*images.head_parameters, *_projection(text_tower(model)))}
    return {name for name, each in model.named_parameters() if id(each) in wanted}


def parameter_groups(
    named: Mapping[str, Tensor],
    heads: Iterable[nn.Parameter],
    method: Method,
    options: LoopOptions,
) -> list[dict[str, Any]]:
    """Returns AdamW's parameter groups.

    Biases, norms, scales and embeddings have no weight decay; projections, and parameters of the
    losses, have higher learning rates than towers.
    """
    fast = {id(parameter) for parameter in heads}
    by_setting: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in named.items():
        rate = options.learning_rate * (_HEAD_FACTOR[method] if id(parameter) in fast else 1.0)
        undecayed = parameter.ndim < 2 or any(word in name for word in _UNDECAYED)
        decay = 0.0 if undecayed else options.weight_decay
        by_setting.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in by_setting.items()
    ]


def trains_text_blocks(options: ResolvedModel) -> bool:
    """Returns whether more than the projection of an unlocked text tower is trained."""
    return options.method == "full" or (options.method != "head" and options.text_blocks > 0)


def _text_blocks(tower: Any, options: ResolvedModel) -> list[nn.Module]:
    blocks = list(tower.transformer.resblocks)
    if not trains_text_blocks(options):
        return []
    if options.method == "full":
        positions = nn.ParameterList([tower.positional_embedding])
        return [tower.token_embedding, positions, *blocks, tower.ln_final]
    return [*blocks[-options.text_blocks :], tower.ln_final]


def _projection(tower: Any) -> list[nn.Parameter]:
    projection = tower.text_projection
    if isinstance(projection, nn.Module):
        return list(projection.parameters())
    return [] if projection is None else [projection]


def add_lora(
    model: nn.Module,
    blocks: Iterable[nn.Module],
    *,
    rank: int,
    seed: int,
    excluded: Iterable[nn.Module] = (),
) -> int:
    """Injects adapters into linear layers, 1x1 convolutions and attentions; returns their number.

    blocks: parts of `model`. excluded: modules without adapters. Initially they change nothing.
    """
    require("peft", extra="train", purpose="method 'lora'")
    from peft import LoraConfig, inject_adapter_in_model

    names = _targets(model, blocks, excluded)
    if not names:
        return 0
    config = LoraConfig(
        r=rank,
        lora_alpha=_ALPHA_PER_RANK * rank,
        # A list of names would match suffixes: a text block's name is one of an image block's.
        target_modules="|".join(map(re.escape, names)),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)
    return len(names)


def merged(model: nn.Module) -> Any:
    """Returns a copy with the adapters merged into the weights, under the original names."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    whole = deepcopy(model)
    done: list[str] = []
    for name, module in list(whole.named_modules()):
        # An attention includes its output projection, which is an adapter of its own.
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
    model: nn.Module, blocks: Iterable[nn.Module], excluded: Iterable[nn.Module]
) -> list[str]:
    """Returns the names of the modules that get adapters."""
    inside = {id(module) for block in blocks for module in block.modules()}
    inside -= {id(module) for each in excluded for module in each.modules()}
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
