"""Features are computed once, the same by either runtime; stand-ins look like photos of a class."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from mmsearch.pretraining.pictures.data import Picture
from mmsearch.pretraining.pictures.features import cached_features
from mmsearch.pretraining.pictures.views import RandomView, decode
from mmsearch.pretraining.stages.prototypes import fit_prototypes
from mmsearch.training.activations import forward_of, torch_forward


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(5):
        noise = rng.integers(0, 256, (9, 7 + number, 4), dtype=np.uint8)
        noise[..., 3] = 255 if number % 2 else noise[..., 3]
        file = tmp_path / f"{number}.png"
        Image.fromarray(noise, "RGBA").resize((90, 70)).save(file)
        made.append(Picture(str(number), "x", str(number), ("x",), path=file, photo=number == 1))
    return made


def trunk() -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = timm.create_model("test_efficientnet", num_classes=0).eval()
    return model


def test_features_are_cached_under_all_that_they_hang_on(
    pictures: list[Picture], tmp_path: Path
) -> None:
    counted: list[int] = []

    def features(seed: int) -> np.ndarray:
        return cached_features(
            pictures,
            trunk=trunk(),
            size=64,
            views=3,
            seed=seed,
            cache=tmp_path / "cache",
            advance=counted.append,
        )

    first = features(0)
    assert first.shape[:2] == (5, 3)
    assert sum(counted) == 5
    np.testing.assert_array_equal(features(0), first)
    assert sum(counted) == 5
    other = features(1)
    np.testing.assert_array_equal(other[:, 0], first[:, 0])
    assert np.abs(other[:, 1] - first[:, 1]).max() > 0


def test_both_runtimes_give_the_same_features() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    images = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)
    model = trunk()
    np.testing.assert_allclose(
        forward_of(model, 64)(images), torch_forward(model)(images), atol=1e-3
    )


def test_random_views_keep_their_shape_and_their_draw(pictures: list[Picture]) -> None:
    view = RandomView(48, [p.path for p in pictures if p.photo and p.path])
    image = decode(pictures[0])
    views = [view(image, np.random.default_rng(i)) for i in range(20)]
    assert {v.shape for v in views} == {(3, 48, 48)}
    assert max(np.abs(v).max() for v in views) <= 1
    np.testing.assert_array_equal(views[3], view(image, np.random.default_rng(3)))
    assert np.abs(views[0] - views[1]).max() > 0.1


def test_stand_ins_are_of_their_class() -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    classifier = torch.nn.Linear(64, 12)
    torch.nn.init.normal_(classifier.weight, std=0.3)
    features = torch.rand(400, 64, generator=generator)
    stand_ins = fit_prototypes(classifier, features).draw(features, generator=generator)
    assert stand_ins.min() >= 0
    with torch.inference_mode():
        before, after = (classifier(x).softmax(dim=1) for x in (features, stand_ins))
    assert after.max(dim=1).values.median() > before.max(dim=1).values.median() + 0.2
    assert len(set(after.argmax(dim=1).tolist())) == 12
