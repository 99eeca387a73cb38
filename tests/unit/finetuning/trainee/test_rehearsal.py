"""What stands for all beyond the catalog: it ships, the start knows it, it is held in place."""

import csv
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.finetuning.options import FinetuneOptions, Method
from mmsearch.finetuning.towers.image_inputs import Activations, ImageSide, cut_for
from mmsearch.finetuning.towers.start_model import StartModel, load_start
from mmsearch.finetuning.towers.text_inputs import StartTexts
from mmsearch.finetuning.trainee.rehearsal import (
    HOLES,
    HOLES_ON_TRAINED,
    Replay,
    class_names,
    rehearsed_captions,
    rehearsed_pictures,
)
from mmsearch.media import Preprocessing


class NoInputs:
    """The items of a catalog, of which a replay has none."""

    def prepare(self, items: object, views: object) -> None:
        raise AssertionError

    def __call__(self, items: object, views: object) -> tuple[torch.Tensor, NDArray[np.bool_]]:
        raise AssertionError


@pytest.fixture(scope="module")
def start(tiny_model: Path) -> StartModel:
    return load_start(str(tiny_model), DeviceChoice("cpu", "asked for"))


@pytest.fixture(scope="module")
def replay(start: StartModel) -> Replay:
    return make_replay(start, "head")


def make_replay(
    start: StartModel,
    method: Method,
    *,
    most: int = 300,
    trained: Activations | None = None,
    most_gone: float = HOLES,
) -> Replay:
    parts = cut_for(FinetuneOptions(method=method, blocks=1), start.model.visual)
    return Replay(
        start,
        ImageSide(parts, NoInputs(), dropout=0.0),
        Activations(start, parts.frozen),
        StartTexts(start).encode,
        trained=trained,
        most=most,
        pictures=64,
        most_gone=most_gone,
        seed=0,
    )


def activations(start: StartModel, method: Method, most: int = 300) -> torch.Tensor:
    parts = cut_for(FinetuneOptions(method=method, blocks=1), start.model.visual)
    return Activations(start, parts.frozen).once(rehearsed_pictures(start.preprocessing, most))


def test_every_picture_has_a_caption_and_none_is_of_the_sample() -> None:
    captions = rehearsed_captions()
    pictures = rehearsed_pictures(Preprocessing(size=32))
    assert pictures.shape == (len(captions), 32, 32, 3)
    assert len(captions) > 3550
    assert len(rehearsed_captions(7)) == len(rehearsed_pictures(Preprocessing(size=32), 7)) == 7
    assert all(caption.strip() for caption in captions)
    assert len({each.tobytes() for each in pictures}) > 0.97 * len(pictures)
    with (files("mmsearch.finetuning") / "rehearsal" / "captions.csv").open(encoding="utf-8") as t:
        origins = {row["origin"] for row in csv.DictReader(t)}
    sampled = (files("mmsearch.sample") / "data" / "LICENSE.txt").read_text("utf-8")
    assert len(origins) == len(captions)
    assert not {origin for origin in origins if f" {origin}\n" in sampled}


def test_names_are_imagenets_in_all_templates() -> None:
    names = class_names()
    assert len(names) == 1000
    assert names[0] == "tench"
    assert names[1] == "a photo of goldfish"


def test_the_start_has_not_strayed_and_another_has(start: StartModel, replay: Replay) -> None:
    drawn = replay.draw(3)
    same = drawn.strayed(drawn.images, drawn.words, start.scale)
    assert same.item() == pytest.approx(0, abs=1e-4)
    noise = torch.randn(drawn.images.shape, generator=torch.Generator().manual_seed(0))
    other = F.normalize(drawn.images + 0.3 * noise, dim=-1)
    assert drawn.strayed(other, drawn.words, start.scale) > same + 0.1


def test_what_lies_between_two_pictures_is_rehearsed_too(start: StartModel) -> None:
    """Of what a tower is given; what a projection is given has holes besides."""
    drawn = make_replay(start, "last-n").draw(2)
    known = activations(start, "last-n").float().flatten(1)
    apart = torch.cdist(drawn.inputs.flatten(1), known).min(dim=1).values
    assert 0.5 < (apart > 1e-3).float().mean() < 0.9


@pytest.mark.parametrize("most", [HOLES, HOLES_ON_TRAINED])
def test_a_projection_rehearses_vectors_with_holes(start: StartModel, most: float) -> None:
    replay = make_replay(start, "head", most_gone=most)
    gone = torch.cat([(replay.draw(step).inputs == 0).float().mean(dim=1) for step in range(8)])
    assert gone.mean() == pytest.approx(most / 2, abs=0.05)
    assert gone.min() < 0.1
    assert most - 0.1 < gone.max() < 0.85


@pytest.mark.parametrize("method", ["head", "last-n"])
def test_the_answers_are_the_starts_to_what_is_drawn(method: Method, start: StartModel) -> None:
    drawn = make_replay(start, method).draw(2)
    parts = cut_for(FinetuneOptions(method=method, blocks=1), start.model.visual)
    with torch.no_grad():
        said = ImageSide(parts, NoInputs(), dropout=0.0).encode(drawn.inputs)
    torch.testing.assert_close(drawn.images, said)


def test_no_more_is_kept_than_memory_allows(
    start: StartModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = activations(start, "last-n", 1).nbytes
    monkeypatch.setattr("mmsearch.finetuning.trainee.rehearsal.MOST_BYTES", 100 * each)
    known = activations(start, "last-n", 100).float().flatten(1)
    replay = make_replay(start, "last-n")
    inputs = torch.cat([replay.draw(step).inputs.flatten(1) for step in range(4)])
    apart = torch.cdist(inputs, known).min(dim=1).values
    # Three tenths are pictures by themselves; were all three hundred drawn from, one tenth.
    assert (apart < 1e-3).float().mean() > 0.2


def test_a_step_draws_the_same_again(replay: Replay) -> None:
    first, again, next_one = replay.draw(5), replay.draw(5), replay.draw(6)
    assert first.texts == again.texts
    assert torch.equal(first.images, again.images)
    assert first.texts != next_one.texts
    assert len(set(first.texts)) == len(first.words) == 128
    np.testing.assert_allclose(first.images.norm(dim=1).numpy(), 1, atol=1e-5)


def test_what_is_kept_is_what_another_model_knew(start: StartModel, replay: Replay) -> None:
    """Inputs are the trained towers' own, answers those of the model before them, and of the same
    mixtures."""
    weights = start.weights()
    deepest = next(name for name in weights if name.startswith("visual.transformer"))
    weights[deepest] = weights[deepest] + 0.5
    moved = start.under(weights)
    frozen = cut_for(FinetuneOptions(method="head"), moved.model.visual).frozen
    both = make_replay(start, "head", trained=Activations(moved, frozen))
    ours, alone = both.draw(4), replay.draw(4)
    assert ours.texts == alone.texts
    torch.testing.assert_close(ours.images, alone.images)
    torch.testing.assert_close(ours.words, alone.words)
    assert not torch.allclose(ours.inputs, alone.inputs)
