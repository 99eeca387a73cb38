"""Folding changes the work that an image tower does, not its vectors."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import timm
import torch
from open_clip.modified_resnet import ModifiedResNet
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from mmsearch.encoders.folding import even_padding, fold_batch_norms, lightened


def resnet() -> nn.Module:
    tower: nn.Module = ModifiedResNet([1, 1, 1, 1], output_dim=16, heads=4, image_size=32, width=8)
    return tower


def lite() -> nn.Module:
    """The family of the built-in model, whose batch norms carry their activation."""
    tower: nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    return tower


class Shared(nn.Module):
    """A convolution whose output is read by more than its batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(x)
        return torch.add(self.norm(x), x)


class Untraceable(nn.Module):
    """Its flow depends on the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.abs(self.block(x)) if x.sum() > 0 else torch.neg(self.block(x))


def lived_in(tower: nn.Module) -> nn.Module:
    """In eval mode, with statistics and scales that are not those of a new layer."""
    generator = torch.Generator().manual_seed(5)
    for module in tower.modules():
        if isinstance(module, nn.BatchNorm2d):
            state = module.state_dict()
            for name in ("weight", "running_var"):
                state[name].copy_(0.5 + torch.rand(state[name].shape, generator=generator))
            for name in ("bias", "running_mean"):
                state[name].copy_(torch.randn(state[name].shape, generator=generator) * 0.1)
    return tower.eval()


@pytest.mark.parametrize(("make", "norms"), [(resnet, 19), (lite, 49)])
def test_every_norm_is_folded_and_nothing_changes(
    make: Callable[[], nn.Module], norms: int
) -> None:
    tower = lived_in(make())
    folded = deepcopy(tower)
    assert fold_batch_norms(folded) == norms
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    difference = outputs(tower) - outputs(folded)
    assert float(difference.norm() / outputs(tower).norm()) < 1e-5


@pytest.mark.parametrize("make", [Shared, Untraceable])
def test_what_cannot_be_folded_safely_is_left(make: Callable[[], nn.Module]) -> None:
    tower = lived_in(make())
    before = outputs(tower)
    assert fold_batch_norms(tower) == 0
    assert torch.equal(outputs(tower), before)


def test_a_transformer_has_nothing_to_fold() -> None:
    tower: Any = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    assert fold_batch_norms(tower) == 0


@pytest.mark.parametrize("size", [32, 33, 47])
def test_even_padding_changes_nothing(size: int) -> None:
    tower = lived_in(lite())
    even = deepcopy(tower)
    assert even_padding(even, size) == 5
    assert not any(isinstance(module, Conv2dSame) for module in even.modules())
    torch.testing.assert_close(outputs(even, size), outputs(tower, size), atol=1e-5, rtol=1e-5)


def test_padding_that_is_even_is_left() -> None:
    tower = lived_in(resnet())
    assert even_padding(tower, 32) == 0


def test_a_lighter_copy_leaves_the_tower_as_it_is() -> None:
    tower = lived_in(lite())
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    lighter = lightened(tower, 32)
    kinds = (nn.BatchNorm2d, Conv2dSame)
    assert not any(isinstance(module, kinds) for module in lighter.modules())
    torch.testing.assert_close(outputs(lighter), outputs(tower), atol=1e-5, rtol=1e-5)
    after = tower.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_tower_that_cannot_be_lighter_is_not_copied() -> None:
    tower = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm(30))
    assert lightened(tower, 32) is tower


@torch.no_grad()
def outputs(tower: nn.Module, size: int = 32) -> Tensor:
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    vectors: Tensor = tower(images)
    return vectors
