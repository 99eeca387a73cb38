"""What each method trains, leaves alone and computes once, on tiny real models and images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.encoders.registry import load_encoder
from mmsearch.errors import InputError
from mmsearch.finetuning.data.sampling import Sampler
from mmsearch.finetuning.data.training_set import TrainingItem, TrainingSet
from mmsearch.finetuning.data.views import ImageViews
from mmsearch.finetuning.options import FinetuneOptions, Method
from mmsearch.finetuning.preparation import sampling_options
from mmsearch.finetuning.resolved import resolve
from mmsearch.finetuning.towers.image_inputs import CachedInputs, ImageCache
from mmsearch.finetuning.towers.start_model import StartModel, load_start
from mmsearch.finetuning.trainee.trainee import FineTuneModel
from mmsearch.progress import NullProgress
from mmsearch.records import Floats
from mmsearch.training.loop import LoopOptions
from mmsearch.training.weight_interpolation import Weights, interpolate
from tests.unit.finetuning.whole_model import WholeModel

CPU = DeviceChoice("cpu", "requested")
COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 210), "white": (250,) * 3}
TRAIN, OTHERS = np.arange(16), np.arange(16, 24)
METHODS: tuple[Method, ...] = ("head", "lora", "last-n", "full")
MakeTrainee = Callable[..., FineTuneModel]
# What is kept of the start weighs no more than what is learned, so that a few steps show learning.
SMALL = {
    "views": 2,
    "blocks": 1,
    "text_blocks": 1,
    "batch_size": 8,
    "steps": 20,
    "dropout": 0.0,
    "keep_weight": 1.0,
    "rehearsed": 300,
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """24 noisy images of four colours, each with its colour's name and a number."""
    folder, chance = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    items = []
    for place in range(24):
        name = tuple(COLOURS)[place % 4]
        noisy = np.array(COLOURS[name]) + chance.integers(-60, 60, (40, 48, 3))
        path = folder / f"{place}.png"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
        items.append(TrainingItem(f"{place}", path, (f"{name} thing {place}",), place, place % 4))
    return TrainingSet(items, tuple(COLOURS))


@pytest.fixture(scope="module")
def start(tiny_model: Path) -> StartModel:
    return load_start(str(tiny_model), CPU)


@pytest.fixture(scope="module")
def convolutional(make_model: Callable[..., Path]) -> StartModel:
    """A small EfficientNet, which has batch norms, under a projection of two layers."""
    vision = {
        "timm_model_name": "test_efficientnet",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "mlp",
        "timm_proj_bias": True,
        "image_size": 32,
    }
    gone = dict.fromkeys(("layers", "width", "head_width", "patch_size"))
    return load_start(str(make_model(vision_cfg={**vision, **gone})), CPU)


@pytest.fixture
def trainee(catalog: TrainingSet, start: StartModel, tmp_path: Path) -> MakeTrainee:
    def make(
        method: Method,
        model: StartModel = start,
        items: TrainingSet = catalog,
        cache: Path = tmp_path,
        teacher: Any = None,
        **changes: Any,
    ) -> FineTuneModel:
        wanted = {**SMALL, **changes}
        requested = FinetuneOptions.of(model=model.name, method=method, classes="colour", **wanted)
        options = resolve(requested, train_items=16, device=CPU)
        return FineTuneModel(
            model,
            Sampler(items, TRAIN, sampling_options(options, items)),
            options,
            cache=ImageCache(ImageViews(items, model.preprocessing), OTHERS, "views", cache),
            progress=NullProgress(),
            teacher=teacher,
        )

    return make


def train(model: FineTuneModel, steps: int, rate: float = 3e-3) -> list[dict[str, float]]:
    optimizer = torch.optim.AdamW(model.parameter_groups(LoopOptions(steps, rate)))
    model.train()
    parts = []
    for step in range(steps):
        parts.append(model.backward(step, 0))
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    return parts


def changed(model: FineTuneModel) -> set[str]:
    """The names of the weights that training changed."""
    before, after = model.start_weights(), model.tuned_weights()
    assert set(before) == set(after)
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


TEXT_ENDS = {"text_projection", "logit_scale"}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_its_part_and_learns(
    method: Method, trainee: MakeTrainee, start: StartModel
) -> None:
    model = trainee(method)
    untouched = start.weights()
    parts = train(model, 12)
    assert {"contrast", "titles", "classes", "kept", "loss"} == set(parts[0])
    assert np.mean([each["loss"] for each in parts[-3:]]) < 0.9 * parts[0]["loss"]
    assert all(torch.equal(value, start.weights()[name]) for name, value in untouched.items())
    names = changed(model)
    if method == "head":
        assert names == {"visual.proj", *TEXT_ENDS}
        return
    assert {"visual.proj", *TEXT_ENDS} < names
    first = {name for name in names if ".resblocks.0." in name}
    last = {name for name in names if ".resblocks.1." in name}
    whole = {name for name in untouched if ".resblocks.1." in name}
    if method == "lora":
        assert not first
        # Attention and both layers of the perceptron, of either tower; biases stay.
        assert len(last) == 2 * 4
        assert all(name.endswith("weight") for name in last)
        assert len(names) == 8 + 3
    elif method == "last-n":
        assert not first
        # The key's bias shifts all scores alike: its gradient is rounding alone.
        assert last == whole
        assert "visual.conv1.weight" not in names
    else:
        assert {"visual.conv1.weight", "token_embedding.weight", "positional_embedding"} < names
        assert first


def test_the_text_tower_may_be_trained_less_deep(trainee: MakeTrainee) -> None:
    model = trainee("last-n", text_blocks=0)
    train(model, 3)
    names = changed(model)
    assert {"visual.proj", *TEXT_ENDS} < names
    assert not any(name.startswith("transformer.") for name in names)
    assert any(name.startswith("visual.transformer.resblocks.1.") for name in names)


@pytest.mark.parametrize("lock", ["image", "text"])
@pytest.mark.parametrize("method", METHODS)
def test_a_locked_tower_stays(method: Method, lock: str, trainee: MakeTrainee) -> None:
    model = trainee(method, lock=lock)
    train(model, 2)
    towers = {"image" if name.startswith("visual.") else "text" for name in changed(model)}
    # The temperature belongs to neither, and is counted with the text.
    trained = {name for name in changed(model) if name != "logit_scale"}
    assert trained
    assert towers - {"text"} == ({"image"} if lock == "text" else set())
    if lock == "text":
        assert all(name.startswith("visual.") for name in trained)


@pytest.mark.parametrize("method", METHODS)
def test_vectors_under_given_weights_are_those_of_the_trained_model(
    method: Method, trainee: MakeTrainee
) -> None:
    """Adapters merged, activations from the file: the same numbers, and the start's likewise."""
    model = trainee(method)
    places = np.concatenate([TRAIN, OTHERS])
    texts = ["a red thing", "a much longer text about some blue things on a table", "blue"]

    def vectors(weights: Weights | None = None) -> tuple[Floats, Floats]:
        return model.encode_images(places, weights), model.encode_texts(texts, weights)

    before = vectors()
    train(model, 4)
    tuned, start_weights = model.tuned_weights(), model.start_weights()
    for now, same, old, first in zip(
        vectors(), vectors(tuned), before, vectors(start_weights), strict=True
    ):
        assert np.abs(now - same).max() < 1e-5
        assert np.abs(old - first).max() < 1e-5
        assert np.abs(old - now).max() > 1e-3
        np.testing.assert_allclose(np.linalg.norm(now, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_towers_under_weights_are_those_of_the_whole_model(
    method: Method, trainee: MakeTrainee, start: StartModel
) -> None:
    model = trainee(method)
    train(model, 3)
    tuned, first = model.tuned_weights(), model.start_weights()
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    texts = ["a red thing", "a much longer text about some blue things on a table", "blue"]
    for weights in (first, tuned, interpolate(first, tuned, 0.5)):
        quick = model.towers(weights)
        whole = WholeModel(start, weights)
        np.testing.assert_allclose(
            quick.encode_pixels(pixels), whole.encode_pixels(pixels), atol=1e-5
        )
        np.testing.assert_allclose(quick.encode_texts(texts), whole.encode_texts(texts), atol=1e-5)


def test_the_start_gives_the_encoders_vectors(
    trainee: MakeTrainee, catalog: TrainingSet, tiny_model: Path
) -> None:
    encoder = load_encoder(str(tiny_model), device="cpu")
    images = []
    for item in catalog.items[:5]:
        assert item.image is not None
        with Image.open(item.image) as image:
            images.append(image.convert("RGB"))
    for method in ("head", "full"):
        found = trainee(method).encode_images(np.arange(5))
        # What lies in the file is in half precision.
        np.testing.assert_allclose(found, encoder.encode_images(images), atol=2e-3)
    texts = ["a red thing", "blue"]
    found = trainee("head").encode_texts(texts)
    np.testing.assert_allclose(found, encoder.encode_texts(texts), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_chunks_give_the_whole_batchs_gradients(method: Method, trainee: MakeTrainee) -> None:
    found = []
    for micro in (8, 3):
        model = trainee(method, micro_batch=micro, consistency_weight=0.5)
        model.train()
        parts = model.backward(1, 0)
        assert "views" in parts
        found.append((parts, {k: v.grad for k, v in model.trained().items()}))
    (whole, gradients), (chunked, cached) = found
    assert whole == pytest.approx(chunked, abs=1e-4)
    for name, gradient in gradients.items():
        other = cached[name]
        assert (gradient is None) == (other is None)
        if gradient is not None and other is not None:
            torch.testing.assert_close(gradient, other, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_mixed_images_train_too(
    method: Method, trainee: MakeTrainee, convolutional: StartModel
) -> None:
    """In chunks as in one batch, and otherwise than images by themselves."""
    found = []
    for mixup, micro in ((1.0, 8), (1.0, 3), (0.0, 8)):
        model = trainee(method, model=convolutional, mixup=mixup, micro_batch=micro)
        model.train()
        parts = model.backward(1, 0)
        found.append((parts, {k: v.grad for k, v in model.trained().items()}))
    (whole, gradients), (chunked, cached), (plain, _) = found
    assert whole == pytest.approx(chunked, abs=1e-4)
    assert abs(whole["titles"] - plain["titles"]) > 1e-3
    for name, gradient in gradients.items():
        if gradient is not None:
            torch.testing.assert_close(gradient, cached[name], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("method", ["head", "lora", "last-n"])
def test_frozen_parts_run_once_and_give_the_same(
    method: Method, trainee: MakeTrainee, tmp_path: Path
) -> None:
    kept = trainee(method)
    files = sorted((tmp_path).glob("activations-*.npy"))
    assert len(files) == 2
    stamps = [file.stat().st_mtime_ns for file in files]
    again = trainee(method)
    assert [file.stat().st_mtime_ns for file in files] == stamps
    assert isinstance(kept._inputs, CachedInputs)
    items, views = np.array([3, 9, 20]), np.array([0, 1, -1])
    held, could = kept._inputs(items, views)
    assert could.all()
    assert held.shape[0] == 3
    torch.testing.assert_close(held, again._inputs(items, views)[0])


def test_batch_norms_keep_their_statistics(trainee: MakeTrainee, convolutional: StartModel) -> None:
    for method in METHODS:
        model = trainee(method, model=convolutional)
        train(model, 2)
        names = changed(model)
        assert not [name for name in names if "running" in name or "num_batches" in name]
        assert {"visual.head.mlp.fc1.weight", "visual.head.mlp.fc2.bias"} <= names
        if method == "lora":
            trunk = {name for name in names if name.startswith("visual.trunk.")}
            assert trunk
            # Pointwise convolutions and the linear ones of the gates, not the depthwise.
            state = model.tuned_weights()
            assert all(state[name].shape[-2:] == (1, 1) for name in trunk)


def test_rates_and_decay_by_group(trainee: MakeTrainee) -> None:
    model = trainee("full")
    groups = model.parameter_groups(LoopOptions(10, 1e-4, weight_decay=0.1))
    name_of = {id(value): name for name, value in model.trained().items()}
    settings = {
        name_of[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in groups
        for parameter in group["params"]
    }
    assert set(settings) == set(model.trained())
    assert settings["model.visual.proj"] == pytest.approx((1e-3, 0.1))
    assert settings["model.visual.transformer.resblocks.0.mlp.c_fc.weight"] == (1e-4, 0.1)
    for spared in (
        "model.visual.transformer.resblocks.0.mlp.c_fc.bias",
        "model.ln_final.weight",
        "model.token_embedding.weight",
        "model.positional_embedding",
    ):
        assert settings[spared] == (1e-4, 0.0)
    assert settings["objective.log_scale"] == pytest.approx((1e-3, 0.0))


def test_items_train_what_they_have(
    trainee: MakeTrainee, catalog: TrainingSet, tmp_path: Path
) -> None:
    """Some have no image, some no text and no class, and one image has gone since."""
    gone = tmp_path / "gone.png"
    items = list(catalog.items)
    for place in range(0, 16, 4):
        items[place] = TrainingItem(f"{place}", None, items[place].texts, place, 0)
        items[place + 1] = TrainingItem(f"{place + 1}", items[place + 1].image, (), place + 1, -1)
    items[2] = TrainingItem("2", gone, ("green, and gone",), 2, 2)
    for method, mixup in (("head", 1.0), ("full", 0.0), ("full", 1.0)):
        model = trainee(method, items=TrainingSet(items, catalog.classes), mixup=mixup)
        assert all(np.isfinite(list(each.values())).all() for each in train(model, 3))
        vectors = model.encode_images(np.arange(8))
        assert [bool(row.any()) for row in vectors] == [0, 1, 0, 1, 0, 1, 1, 1]
    # What failed today may be there tomorrow: its file is not kept.
    assert len(list(tmp_path.glob("activations-*.npy"))) == 1


def test_sigmoids_learn_a_scale_and_a_bias(trainee: MakeTrainee) -> None:
    model = trainee("head", loss="sigmoid")
    parts = train(model, 12)
    assert parts[-1]["loss"] < parts[0]["loss"]
    assert {"objective.log_scale", "objective.bias"} <= set(model.trained())
    # The model has no place for a bias, and its own temperature is of the other kind.
    assert "logit_scale" not in changed(model)


def test_a_teacher_of_another_size_teaches(
    trainee: MakeTrainee, make_model: Callable[..., Path]
) -> None:
    teacher = load_encoder(str(make_model(embed_dim=12)), device="cpu")
    model = trainee("head", teacher=teacher, teacher_weight=5.0, keep_weight=0, title_weight=0)
    parts = train(model, 12)
    assert "kept" not in parts[0]
    assert "titles" not in parts[0]
    assert parts[-1]["teacher"] < parts[0]["teacher"]


def test_unknown_towers_are_refused_or_trained_whole(
    trainee: MakeTrainee, make_model: Callable[..., Path]
) -> None:
    resnet = {"layers": [1, 1, 1, 1], "width": 16, "head_width": 16, "patch_size": None}
    model = load_start(str(make_model(vision_cfg=resnet)), CPU)
    with pytest.raises(InputError, match=r"ModifiedResNet.*method=full or lock=image"):
        trainee("lora", model=model)
    train(trainee("head", model=model, lock="image"), 1)
    full = trainee("full", model=model)
    train(full, 1)
    assert "visual.conv1.weight" in changed(full)


def test_the_learned_temperature_goes_with_the_model(trainee: MakeTrainee) -> None:
    model = trainee("head", temperature=0.1)
    scale: Tensor = model.tuned_weights()["logit_scale"]
    assert scale.exp().item() == pytest.approx(10)
    train(model, 3)
    assert model.tuned_weights()["logit_scale"].item() != pytest.approx(scale.item())
