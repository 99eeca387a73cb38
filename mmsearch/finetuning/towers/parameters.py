"""Which of a model's parameters are trained, how fast each is, and which weight decay spares."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from mmsearch.encoders.text_tower import text_tower
from mmsearch.errors import InputError
from mmsearch.finetuning.options import Method, SettledOptions
from mmsearch.finetuning.towers.image_inputs import TowerParts
from mmsearch.finetuning.towers.lora import add_lora, is_adapter

# A projection may move at once; what lies deeper was learned from far more and moves slowly.
_HEAD_FACTOR: dict[Method, float] = {"head": 1.0, "lora": 1.0, "last-n": 3.0, "full": 10.0}
_UNDECAYED = ("embedding", "scale", "bias", "norm", "ln_", "bn")


def choose_parameters(
    model: nn.Module, images: TowerParts, options: SettledOptions
) -> list[nn.Parameter]:
    """Lets only what the method trains have gradients; for LoRA, puts the adapters in.

    Returns the parameters of the two projections among them. Raises InputError if nothing is left
    to train.
    """
    heads: list[nn.Parameter] = []
    blocks: list[nn.Module] = []
    if options.lock != "image":
        heads += images.head_parameters
        blocks += images.blocks
    if options.lock != "text":
        heads += _projection(text_tower(model))
        blocks += _text_blocks(text_tower(model), options)
    chosen: list[nn.Parameter] = []
    if options.method == "lora":
        add_lora(model, blocks, rank=options.rank, seed=options.seed, spared=images.head_modules)
    else:
        chosen += [parameter for block in blocks for parameter in block.parameters()]
    wanted = {id(parameter) for parameter in (*heads, *chosen)}
    for name, parameter in model.named_parameters():
        adapted = options.method == "lora" and is_adapter(name)
        parameter.requires_grad_(id(parameter) in wanted or adapted)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(
            f"`method='{options.method}'` with `lock='{options.lock}'` leaves nothing to train in "
            "this model; use `method='lora'` or `method='last-n'`, or another `lock`"
        )
    return heads


def projections(model: nn.Module, images: TowerParts) -> set[str]:
    """The names of both towers' projections; images: the parts of the model's own image tower."""
    wanted = {id(each) for each in (*images.head_parameters, *_projection(text_tower(model)))}
    return {name for name, each in model.named_parameters() if id(each) in wanted}


def groups(
    named: Mapping[str, nn.Parameter],
    heads: Iterable[nn.Parameter],
    *,
    method: Method,
    learning_rate: float,
    weight_decay: float,
) -> list[dict[str, Any]]:
    """For AdamW. Biases, norms, scales and embeddings do not decay; projections and what the
    losses learn are faster than towers."""
    fast = {id(parameter) for parameter in heads}
    by_setting: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named.items():
        rate = learning_rate * (_HEAD_FACTOR[method] if id(parameter) in fast else 1.0)
        by_setting.setdefault((rate, _decay(name, parameter, weight_decay)), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in by_setting.items()
    ]


def _decay(name: str, parameter: nn.Parameter, weight_decay: float) -> float:
    spared = parameter.ndim < 2 or any(word in name for word in _UNDECAYED)
    return 0.0 if spared else weight_decay


def trains_text_blocks(options: SettledOptions) -> bool:
    """Whether more of an unlocked text tower is trained than its projection."""
    match options.method:
        case "head":
            return False
        case "full":
            return True
        case _:
            return bool(options.text_blocks)


def _text_blocks(tower: Any, options: SettledOptions) -> list[nn.Module]:
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
