"""A cut tower computes what the whole one does, owns each parameter once, and is cached whole."""

import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from open_clip import CLIP, create_model
from torch import nn

from mmsearch.encoders.registry import BUILTIN_FOLDER
from mmsearch.errors import InputError
from mmsearch.training.activations import PixelViews, cached_activations, write_activations
from mmsearch.training.tower_split import Half, Suffix, split_tower

TEXT = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
TINY = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 4, "head_width": 16}


def tiny(**vision: object) -> nn.Module:
    torch.manual_seed(0)
    visual: nn.Module = CLIP(24, {**TINY, **vision}, TEXT).visual.eval()
    return visual


def tiny_timm(name: str) -> nn.Module:
    torch.manual_seed(0)
    config = {"timm_model_name": name, "timm_pool": "", "timm_proj": "linear", "image_size": 64}
    visual: nn.Module = CLIP(24, config, TEXT).visual.eval()
    return visual


TOWERS = {
    "open_clip": lambda: tiny(),
    "open_clip attention pool": lambda: tiny(attentional_pool=True, attn_pooler_heads=2),
    "open_clip average": lambda: tiny(pool_type="avg", final_ln_after_pool=True),
    "efficientnet": lambda: tiny_timm("test_efficientnet"),
    "timm transformer": lambda: tiny_timm("test_vit"),
}


def halves(visual: nn.Module, blocks: int) -> tuple[Half, Suffix]:
    split = split_tower(visual, blocks)
    assert split is not None
    return split


def pixels(visual: nn.Module, count: int) -> torch.Tensor:
    side = int(visual.image_size[0])  # type: ignore[index]
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_both_halves_make_the_whole(name: str, blocks: int) -> None:
    visual = TOWERS[name]()
    images = pixels(visual, 3)
    prefix, suffix = halves(visual, blocks)
    with torch.inference_mode():
        torch.testing.assert_close(suffix(prefix(images)), visual(images), atol=1e-5, rtol=0)


def test_the_builtin_towers_halves_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    visual = create_model(f"local-dir:{BUILTIN_FOLDER}").visual.eval()
    images = pixels(visual, 2)
    prefix, suffix = halves(visual, 2)
    with torch.inference_mode():
        activations = prefix(images)
        assert activations.shape == (2, 112, 14, 14)
        torch.testing.assert_close(suffix(activations), visual(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", TOWERS)
def test_each_parameter_belongs_to_one_half_and_is_the_towers_own(name: str) -> None:
    visual = TOWERS[name]()
    prefix, suffix = halves(visual, 2)
    first, second = ({id(p) for p in half.parameters()} for half in (prefix, suffix))
    assert first
    assert second
    assert not first & second
    assert first | second == {id(p) for p in visual.parameters()}


def test_training_the_suffix_trains_the_tower() -> None:
    visual = tiny()
    images = pixels(visual, 2)
    prefix, suffix = halves(visual, 1)
    with torch.no_grad():
        before, activations = visual(images), prefix(images)
        for parameter in suffix.parameters():
            parameter.add_(0.1)
        assert (visual(images) - before).abs().max() > 1e-3
        torch.testing.assert_close(suffix(activations), visual(images), atol=1e-5, rtol=0)


def test_an_unknown_tower_is_not_cut() -> None:
    assert split_tower(nn.Linear(3, 3), 1) is None
    assert split_tower(tiny_timm("test_resnet"), 1) is None


def test_more_blocks_than_there_are() -> None:
    with pytest.raises(InputError, match="has 4 blocks, got blocks=5"):
        split_tower(tiny(), 5)


def views_of(item: int) -> NDArray[np.float32]:
    """float32 (2, 3, 32, 32)."""
    return np.random.default_rng(item).normal(size=(2, 3, 32, 32)).astype(np.float32)


def cached(folder: Path, visual: nn.Module, *, key: str = "a") -> tuple[NDArray[np.float16], int]:
    """The activations, and how many items were computed for them."""
    done: list[int] = []
    activations = cached_activations(
        halves(visual, 2)[0],
        PixelViews(views_of, count=5, views=2, size=32),
        cache=folder,
        key=key,
        advance=done.append,
        batch=2,
    )
    return activations, sum(done)


def test_activations_are_computed_once_for_what_they_depend_on(tmp_path: Path) -> None:
    visual = tiny()
    first, computed = cached(tmp_path, visual)
    assert computed == 5
    assert first.dtype == np.float16
    with torch.inference_mode():
        wanted = halves(visual, 2)[0](torch.from_numpy(views_of(3))).numpy()
    np.testing.assert_allclose(first[3], wanted, atol=5e-3)
    again, computed = cached(tmp_path, visual)
    assert computed == 0
    np.testing.assert_array_equal(again, first)
    assert cached(tmp_path, visual, key="b")[1] == 5
    with torch.no_grad():
        visual.conv1.weight.mul_(2)  # type: ignore[union-attr,operator]
    assert cached(tmp_path, visual)[1] == 5
    assert len(list(tmp_path.iterdir())) == 3


def test_what_was_cut_short_leaves_nothing(tmp_path: Path) -> None:
    def breaking(item: int) -> NDArray[np.float32]:
        if item == 3:
            raise KeyboardInterrupt
        return views_of(item)

    with pytest.raises(KeyboardInterrupt):
        cached_activations(
            halves(tiny(), 2)[0],
            PixelViews(breaking, count=5, views=2, size=32),
            cache=tmp_path,
            key="a",
            advance=lambda n: None,
            batch=1,
        )
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_grow_is_one_clear_error(tmp_path: Path) -> None:
    """A limit on file sizes stands in for a full disk: both make the write fail."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write .*full\.npy: .*free some space"):
            write_activations(
                tmp_path / "full.npy",
                np.abs,
                PixelViews(views_of, count=5, views=2, size=32),
                batch=2,
                advance=lambda n: None,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(tmp_path.iterdir())
