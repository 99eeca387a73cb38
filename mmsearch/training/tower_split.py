"""Splits an image tower into a frozen prefix, computed once, and a suffix to be trained.

pixels → prefix → activations → suffix → embedding. Both halves hold the tower's own modules, so
training the suffix trains the tower.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mmsearch.errors import InputError

Step = Callable[[Tensor], Tensor]


class Half(nn.Module):
    """One half of a split tower, with the tower's own parameters; `run` computes it."""

    def __init__(self, run: Step, owned: Iterable[nn.Module | nn.Parameter | None]) -> None:
        super().__init__()
        owned = list(owned)
        self.parts = nn.ModuleList(part for part in owned if isinstance(part, nn.Module))
        self.loose = nn.ParameterList(part for part in owned if isinstance(part, nn.Parameter))
        self._run = run

    def forward(self, inputs: Tensor) -> Tensor:
        """Runs this half."""
        return self._run(inputs)


class Suffix(Half):
    """The half that embeds, in two steps: `features` pools activations, `head` projects them."""

    def __init__(
        self, features: Step, head: Step, owned: Iterable[nn.Module | nn.Parameter | None]
    ) -> None:
        super().__init__(lambda activations: head(features(activations)), owned)
        self.features, self.head = features, head


@dataclass(frozen=True, slots=True)
class _Tower:
    """A tower as stages that can be run one by one.

    enter: pixels → input of the first block. leave: output of the last block → pooled features.
    head: pooled features → embedding. before, after: modules and parameters of `enter`, and of
    `leave` and `head`.
    """

    blocks: Any
    enter: Step
    leave: Step
    head: Step
    before: list[Any]
    after: list[Any]


def split_tower(visual: nn.Module, blocks: int) -> tuple[Half, Suffix] | None:
    """Returns prefix and suffix, the latter with the last `blocks` blocks; None if not supported.

    Supported are OpenCLIP's vision transformer and, through timm, vision transformers and
    EfficientNets, whose stages are the blocks here. prefix: pixels float32 (n, 3, size, size) →
    activations (n, …). suffix: activations → embeddings (n, embed_dim), not normalised. Raises
    InputError for more blocks than the tower has.
    """
    tower = _known(visual)
    if tower is None:
        return None
    stack = list(tower.blocks)
    if not 0 <= blocks <= len(stack):
        raise InputError(f"the image tower has {len(stack)} blocks, got blocks={blocks}")
    cut = len(stack) - blocks

    def prefix(pixels: Tensor) -> Tensor:
        return _through(tower.blocks[:cut], tower.enter(pixels))

    def features(activations: Tensor) -> Tensor:
        return tower.leave(_through(tower.blocks[cut:], activations))

    suffix = Suffix(features, tower.head, stack[cut:] + tower.after)
    return Half(prefix, tower.before + stack[:cut]), suffix


def block_count(visual: nn.Module) -> int | None:
    """Returns the number of blocks of a tower, None if `split_tower` does not support it."""
    tower = _known(visual)
    return None if tower is None else len(list(tower.blocks))


def _through(blocks: Iterable[nn.Module], x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x


def _known(visual: Any) -> _Tower | None:
    """Returns the stages of a supported tower; a subclass may compute something else."""
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer
    from timm.models import efficientnet, vision_transformer

    if type(visual) is VisionTransformer and visual.transformer.batch_first:
        return _open_clip_transformer(visual)
    if type(visual) is TimmModel and type(visual.trunk) is efficientnet.EfficientNet:
        return _efficientnet(visual)
    if type(visual) is TimmModel and type(visual.trunk) is vision_transformer.VisionTransformer:
        return _timm_transformer(visual)
    return None


def _efficientnet(visual: Any) -> _Tower:
    trunk = visual.trunk

    def leave(x: Tensor) -> Tensor:
        pooled: Tensor = trunk.forward_head(trunk.bn2(trunk.conv_head(x)))
        return pooled

    return _Tower(
        trunk.blocks,
        lambda pixels: trunk.bn1(trunk.conv_stem(pixels)),
        leave,
        visual.head,
        [trunk.conv_stem, trunk.bn1],
        [trunk.conv_head, trunk.bn2, trunk.global_pool, trunk.classifier, visual.head],
    )


def _timm_transformer(visual: Any) -> _Tower:
    trunk = visual.trunk

    def enter(pixels: Tensor) -> Tensor:
        x = trunk._pos_embed(trunk.patch_embed(pixels))
        entered: Tensor = trunk.norm_pre(trunk.patch_drop(x))
        return entered

    def leave(x: Tensor) -> Tensor:
        pooled: Tensor = trunk.forward_head(trunk.norm(x))
        return pooled

    tokens = [trunk.cls_token, trunk.reg_token, trunk.pos_embed]
    before = [trunk.patch_embed, trunk.patch_drop, trunk.norm_pre, trunk.pos_drop, *tokens]
    after = [trunk.norm, trunk.attn_pool, trunk.fc_norm, trunk.head_drop, trunk.head, visual.head]
    return _Tower(trunk.blocks, enter, leave, visual.head, before, after)


def _open_clip_transformer(visual: Any) -> _Tower:
    def leave(x: Tensor) -> Tensor:
        pooled: Tensor = visual._pool(x)[0]
        return pooled

    def head(pooled: Tensor) -> Tensor:
        return pooled if visual.proj is None else pooled @ visual.proj

    tokens = [visual.class_embedding, visual.positional_embedding]
    before = [visual.conv1, visual.patch_dropout, visual.ln_pre, *tokens]
    contrastive = getattr(visual, "attn_pool_contrastive", None)
    after = [visual.attn_pool, contrastive, visual.ln_post, visual.proj]
    return _Tower(visual.transformer.resblocks, visual._embeds, leave, head, before, after)
