"""What stands for all beyond the catalog: it ships, the start knows it, it is held in place."""

import csv
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.finetuning.options import Method, ModelOptions
from mmsearch.finetuning.towers.image_tower import FrozenTower, ImageEncoder, split_image_tower
from mmsearch.finetuning.towers.start_model import StartModel, load_start
from mmsearch.finetuning.towers.text_inputs import FrozenTextTower
from mmsearch.finetuning.trainee.rehearsal import (
    FEATURE_DROPOUT,
    FEATURE_DROPOUT_ON_TRAINED,
    ReferenceModel,
    Rehearsal,
    class_prompts,
    rehearsed_captions,
    rehearsed_images,
)
from mmsearch.media import Preprocessing


@pytest.fixture(scope="module")
def start(tiny_model: Path) -> StartModel:
    return load_start(str(tiny_model), DeviceChoice("cpu", "requested"))


@pytest.fixture(scope="module")
def rehearsal(start: StartModel) -> Rehearsal:
    return make_rehearsal(start, "head")


def make_rehearsal(
    start: StartModel,
    method: Method,
    *,
    trained: FrozenTower | None = None,
    feature_dropout: float = FEATURE_DROPOUT,
) -> Rehearsal:
    options = ModelOptions(method=method, blocks=1)
    parts = split_image_tower(options, start.model.visual)
    return Rehearsal(
        ReferenceModel(
            FrozenTower(start, options),
            ImageEncoder(parts, dropout=0.0),
            FrozenTextTower(start).encode,
        ),
        trained=trained,
        drawings=300,
        batch=64,
        feature_dropout=feature_dropout,
        seed=0,
    )


def activations(start: StartModel, method: Method, count: int = 300) -> torch.Tensor:
    frozen = FrozenTower(start, ModelOptions(method=method, blocks=1))
    return frozen.half_activations(rehearsed_images(start.preprocessing, count))


def test_every_image_has_a_caption_and_none_is_of_the_sample() -> None:
    captions = rehearsed_captions()
    images = rehearsed_images(Preprocessing(size=32))
    assert images.shape == (len(captions), 32, 32, 3)
    assert len(captions) > 3550
    assert len(rehearsed_captions(7)) == len(rehearsed_images(Preprocessing(size=32), 7)) == 7
    assert all(caption.strip() for caption in captions)
    assert len({each.tobytes() for each in images}) > 0.97 * len(images)
    with (files("mmsearch.finetuning") / "rehearsal" / "captions.csv").open(encoding="utf-8") as t:
        origins = {row["origin"] for row in csv.DictReader(t)}
    sampled = (files("mmsearch.sample") / "data" / "LICENSE.txt").read_text("utf-8")
    assert len(origins) == len(captions)
    assert not {origin for origin in origins if f" {origin}\n" in sampled}


def test_names_are_imagenets_in_all_templates() -> None:
    names = class_prompts()
    assert len(names) == 1000
    assert names[0] == "tench"
    assert names[1] == "a photo of goldfish"


def test_the_start_does_not_drift_and_another_does(start: StartModel, rehearsal: Rehearsal) -> None:
    drawn = rehearsal.draw(3)
    same = drawn.drift(drawn.image_targets, drawn.text_targets, start.scale)
    assert same.item() == pytest.approx(0, abs=1e-4)
    noise = torch.randn(drawn.image_targets.shape, generator=torch.Generator().manual_seed(0))
    other = F.normalize(drawn.image_targets + 0.3 * noise, dim=-1)
    assert drawn.drift(other, drawn.text_targets, start.scale) > same + 0.1


def test_what_lies_between_two_images_is_rehearsed_too(start: StartModel) -> None:
    """Of what a tower is given; what a projection is given has feature dropout as well."""
    drawn = make_rehearsal(start, "last-n").draw(2)
    known = activations(start, "last-n").float().flatten(1)
    apart = torch.cdist(drawn.inputs.flatten(1), known).min(dim=1).values
    assert 0.5 < (apart > 1e-3).float().mean() < 0.9


@pytest.mark.parametrize("most", [FEATURE_DROPOUT, FEATURE_DROPOUT_ON_TRAINED])
def test_a_projection_rehearses_vectors_with_feature_dropout(
    start: StartModel, most: float
) -> None:
    rehearsal = make_rehearsal(start, "head", feature_dropout=most)
    gone = torch.cat([(rehearsal.draw(step).inputs == 0).float().mean(dim=1) for step in range(8)])
    assert gone.mean() == pytest.approx(most / 2, abs=0.05)
    assert gone.min() < 0.1
    assert most - 0.1 < gone.max() < 0.85


@pytest.mark.parametrize("method", ["head", "last-n"])
def test_the_answers_are_the_starts_to_what_is_drawn(method: Method, start: StartModel) -> None:
    drawn = make_rehearsal(start, method).draw(2)
    parts = split_image_tower(ModelOptions(method=method, blocks=1), start.model.visual)
    with torch.no_grad():
        said = ImageEncoder(parts, dropout=0.0).encode(drawn.inputs)
    torch.testing.assert_close(drawn.image_targets, said)


def test_no_more_is_kept_than_memory_allows(
    start: StartModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = activations(start, "last-n", 1).nbytes
    monkeypatch.setattr("mmsearch.finetuning.trainee.rehearsal.MAX_BYTES", 100 * each)
    known = activations(start, "last-n", 100).float().flatten(1)
    rehearsal = make_rehearsal(start, "last-n")
    inputs = torch.cat([rehearsal.draw(step).inputs.flatten(1) for step in range(4)])
    apart = torch.cdist(inputs, known).min(dim=1).values
    # Three tenths are images by themselves; were all three hundred drawn from, one tenth.
    assert (apart < 1e-3).float().mean() > 0.2


def test_a_step_draws_the_same_again(rehearsal: Rehearsal) -> None:
    first, again, next_one = rehearsal.draw(5), rehearsal.draw(5), rehearsal.draw(6)
    assert first.texts == again.texts
    assert torch.equal(first.image_targets, again.image_targets)
    assert first.texts != next_one.texts
    assert len(set(first.texts)) == len(first.text_targets) == 128
    np.testing.assert_allclose(first.image_targets.norm(dim=1).numpy(), 1, atol=1e-5)


def test_what_is_kept_is_what_another_model_knew(start: StartModel, rehearsal: Rehearsal) -> None:
    """Inputs are the trained towers' own, answers those of the model before them, and of the same
    mixtures."""
    weights = start.weights()
    deepest = next(name for name in weights if name.startswith("visual.transformer"))
    weights[deepest] = weights[deepest] + 0.5
    moved = start.under(weights)
    trained = FrozenTower(moved, ModelOptions(method="head"))
    both = make_rehearsal(start, "head", trained=trained)
    ours, alone = both.draw(4), rehearsal.draw(4)
    assert ours.texts == alone.texts
    torch.testing.assert_close(ours.image_targets, alone.image_targets)
    torch.testing.assert_close(ours.text_targets, alone.text_targets)
    assert not torch.allclose(ours.inputs, alone.inputs)
