"""The general set that ships, and models measured on it under weights that are not their own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmsearch.arrays import unit
from mmsearch.encoders.files import ModelFiles, read_folder
from mmsearch.encoders.openclip import load_model
from mmsearch.encoders.registry import load_encoder
from mmsearch.finetuning.scoring.general import GeneralSet, general_set
from mmsearch.finetuning.scoring.in_memory import GeneralProbe, InMemoryTowers
from mmsearch.finetuning.scoring.score_parts import ACCURACY
from mmsearch.media import Preprocessing

SMALL = Preprocessing(size=32)


@pytest.fixture(scope="module")
def general() -> GeneralSet:
    return general_set(SMALL)


@pytest.fixture(scope="module")
def files(tiny_model: Path) -> ModelFiles:
    return read_folder(tiny_model, name="tiny")


@pytest.fixture(scope="module")
def model(files: ModelFiles) -> nn.Module:
    loaded: nn.Module = load_model(files)
    return loaded


@pytest.fixture(scope="module")
def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def probe(model: nn.Module, weights: dict[str, Tensor], files: ModelFiles) -> GeneralProbe:
    return GeneralProbe(model, weights, files.open_tokenizer(), files.preprocessing)


def test_the_set_is_the_sample_catalog(general: GeneralSet) -> None:
    assert general.pixels.shape == (372, 32, 32, 3)
    assert [task.direction for task in general.tasks] == ["text-to-image", "image-to-text"]
    assert len(general.classes.names) == 372
    assert "a photo of Red apple" in general.classes.prompts


def test_a_model_that_knows_everything_scores_one_and_one_that_knows_nothing_zero(
    general: GeneralSet,
) -> None:
    count, templates = len(general.pixels), len(general.classes.templates)
    # Texts, titles and pictures are in the order of the pictures' positions or of the names.
    right = np.eye(count, dtype=np.float32)
    prompts = np.repeat(np.eye(count, dtype=np.float32), templates, axis=0)
    by_name = np.argsort(general.classes.images)[np.argsort(general.classes.actual)]
    knowing = np.zeros_like(right)
    knowing[general.classes.images] = right[general.classes.actual]
    assert sorted(by_name) == list(range(count))
    texts = knowing[np.arange(count)]
    perfect = general.score(knowing, texts, prompts)
    assert perfect.score == 1
    assert perfect.parts.keys() == {
        "text → image recall@1",
        "text → image recall@10",
        "image → text recall@1",
        "image → text recall@10",
        ACCURACY,
    }
    same = unit(np.ones((count, 4), np.float32))
    constant = general.score(same, same, np.repeat(same, templates, axis=0))
    assert constant.score <= 1 / count


def test_in_memory_it_is_the_same_as_through_the_encoder(
    tiny_model: Path, probe: GeneralProbe
) -> None:
    encoder = load_encoder(str(tiny_model), device="cpu")
    general = probe.general_set
    vectors = encoder.encode_texts([*general.texts, *general.classes.prompts])
    count = len(general.texts)
    loaded = general.score(encoder.encode_pixels(general.pixels), vectors[:count], vectors[count:])
    assert probe.start.parts == pytest.approx(loaded.parts, abs=0.01)
    assert 0 < probe.start.score < 0.2, "random weights know next to nothing"


def test_other_weights_are_run_and_the_model_s_own_stay(
    model: nn.Module, weights: dict[str, Tensor], files: ModelFiles, probe: GeneralProbe
) -> None:
    others = {n: v + 0.1 if v.is_floating_point() else v for n, v in weights.items()}
    towers = InMemoryTowers(model, others, files.open_tokenizer(), files.preprocessing)
    moved = towers.encode_texts(["red apple"])
    own = InMemoryTowers(model, weights, files.open_tokenizer(), files.preprocessing)
    assert not np.allclose(moved, own.encode_texts(["red apple"]), atol=1e-3)
    assert probe.measure(weights) == probe.start
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_measuring_leaves_every_module_in_its_mode(files: ModelFiles) -> None:
    """A batch norm that is left in training would go on to learn from what it is shown."""
    model = load_model(files).eval()
    model.visual.train()
    modes = [module.training for module in model.modules()]
    weights = dict(model.state_dict())
    towers = InMemoryTowers(model, weights, files.open_tokenizer(), files.preprocessing)
    towers.encode_texts(["a red square"])
    assert [module.training for module in model.modules()] == modes


def test_a_tower_that_kept_its_weights_is_not_run_again(
    weights: dict[str, Tensor], probe: GeneralProbe
) -> None:
    changed = {**weights, "logit_scale": weights["logit_scale"] + 1}
    assert probe.measure(changed) == probe.start
    text = {**weights, "text_projection": -weights["text_projection"]}
    assert probe.measure(text) != probe.start
