"""The general set that ships, and models measured on it under weights that are not their own."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.encoders.devices import DeviceChoice
from mmsearch.encoders.registry import load_encoder
from mmsearch.finetuning.scoring import (
    ACCURACY,
    GeneralScore,
    GeneralScorer,
    GeneralSet,
    general_set,
)
from mmsearch.finetuning.towers.start_model import StartModel, load_start
from mmsearch.media import Preprocessing
from mmsearch.records import Floats, Pixels
from tests.unit.finetuning.whole_model import WholeModel

SMALL = Preprocessing(size=32)


@pytest.fixture(scope="module")
def general() -> GeneralSet:
    return general_set(SMALL)


@pytest.fixture(scope="module")
def start(tiny_model: Path) -> StartModel:
    return load_start(str(tiny_model), DeviceChoice("cpu", "requested"))


@pytest.fixture(scope="module")
def scorer(start: StartModel, general: GeneralSet) -> GeneralScorer:
    return GeneralScorer(general, partial(WholeModel, start), start.weights())


def test_the_set_is_the_sample_catalog(general: GeneralSet) -> None:
    assert general.pixels.shape == (372, 32, 32, 3)
    assert [task.direction for task in general.tasks] == ["text-to-image", "image-to-text"]
    assert len(general.classes.names) == 372
    assert "a photo of Red apple" in general.classes.prompts


def test_a_model_that_knows_everything_scores_one_and_one_that_knows_nothing_zero(
    general: GeneralSet,
) -> None:
    count, templates = len(general.pixels), len(general.classes.templates)
    # Texts, titles and images are in the order of the images' positions or of the names.
    right = np.eye(count, dtype=np.float32)
    prompts = np.repeat(np.eye(count, dtype=np.float32), templates, axis=0)
    by_name = np.argsort(general.classes.images)[np.argsort(general.classes.actual)]
    knowing = np.zeros_like(right)
    knowing[general.classes.images] = right[general.classes.actual]
    assert sorted(by_name) == list(range(count))
    texts = knowing[np.arange(count)]
    perfect = GeneralScore(general.parts(knowing, np.concatenate([texts, prompts])))
    assert perfect.score == 1
    assert perfect.parts.keys() == {
        "text → image recall@1",
        "text → image recall@10",
        "image → text recall@1",
        "image → text recall@10",
        ACCURACY,
    }
    same = unit(np.ones((count, 4), np.float32))
    constant = np.concatenate([same, np.repeat(same, templates, axis=0)])
    assert GeneralScore(general.parts(same, constant)).score <= 1 / count


def test_a_score_is_that_of_the_encoder(
    tiny_model: Path, general: GeneralSet, scorer: GeneralScorer
) -> None:
    encoder = load_encoder(str(tiny_model), device="cpu")
    loaded = general.parts(
        encoder.encode_pixels(general.pixels), encoder.encode_texts(general.texts)
    )
    assert scorer.start.parts == pytest.approx(loaded, abs=0.01)
    assert 0 < scorer.start.score < 0.2, "random weights know next to nothing"


def test_an_unchanged_tower_is_not_run_again(start: StartModel, general: GeneralSet) -> None:
    calls: list[str] = []

    class Counted(WholeModel):
        def encode_pixels(self, pixels: Pixels) -> Floats:
            calls.append("images")
            return super().encode_pixels(pixels)

        def encode_texts(self, texts: Sequence[str]) -> Floats:
            calls.append("texts")
            return super().encode_texts(texts)

    weights = start.weights()
    scorer = GeneralScorer(general, partial(Counted, start), weights)
    assert calls == ["images", "texts"]
    assert scorer.score({**weights, "logit_scale": weights["logit_scale"] + 1}) == scorer.start
    assert calls == ["images", "texts"]
    text = {**weights, "text_projection": -weights["text_projection"]}
    assert scorer.score(text) != scorer.start
    assert calls == ["images", "texts", "texts"]
