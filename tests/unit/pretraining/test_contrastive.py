"""Contrastive training: what it changes, what a step depends on, and what it resumes with."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip import CLIP
from torch import Tensor

from mmsearch.pretraining import model
from mmsearch.pretraining.images.image_set import ImageSet
from mmsearch.pretraining.recipe import BackboneStage, ImageTower, Recipe, TextTower
from mmsearch.pretraining.stages.backbone import backbone_trainee
from mmsearch.pretraining.stages.contrastive import ClassTexts, ContrastiveTrainee, PairData
from mmsearch.pretraining.stages.prototypes import fit_prototypes
from mmsearch.pretraining.stages.stage_run import Run, run_stage
from mmsearch.progress import NullProgress
from mmsearch.training.ema import copies
from mmsearch.training.loop import LoopOptions
from mmsearch.training.metrics_log import MetricsLog
from mmsearch.training.tower_split import split_tower

COUNT, TEXTS, CLASSES = 24, 40, 6
RECIPE = Recipe(
    name="tiny",
    sources=("catalog",),
    embed_dim=24,
    image=ImageTower(trunk="test_efficientnet", weights="w", size=64, views=2),
    text=TextTower(context=8, width=16, heads=2, layers=1),
    backbone=BackboneStage(
        blocks=2, steps=8, batch=12, photos=4, negatives=10, dropout=0.0, learning_rate=1e-3
    ),
)


def tiny(seed: int = 0) -> CLIP:
    torch.manual_seed(seed)
    return model.build_model(model.model_config(RECIPE, vocabulary=300)["model_cfg"])


class Texts:
    """Encodes rows of random texts by the projection, as the backbone stage does."""

    def __init__(self, clip: CLIP) -> None:
        self._clip, self._pooled = clip, torch.randn(TEXTS, 16)
        self.parameters = {"text_projection": clip.text_projection}

    def __call__(self, rows: Tensor) -> Tensor:
        vectors = self._pooled[rows] @ self._clip.text_projection
        return torch.nn.functional.normalize(vectors, dim=-1)


def trainee_of(clip: CLIP, work: Path) -> ContrastiveTrainee:
    halves = split_tower(clip.visual, RECIPE.backbone.blocks)
    assert halves is not None
    prefix, suffix = halves
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.normal(size=(2 * COUNT, 3, 64, 64)).astype(np.float32))
    with torch.no_grad():
        activations = prefix(pixels)
        features = suffix.features(activations)
    classifier = torch.nn.Linear(features.shape[1], CLASSES)
    pairs = PairData(
        index=np.arange(COUNT),
        texts=rng.integers(TEXTS, size=(COUNT, 3)),
        concepts=np.arange(COUNT) // 2,
        weights=np.ones(COUNT),
        photos=np.arange(0, COUNT, 3),
        all_texts=[str(row) for row in range(TEXTS)],
        classes=ClassTexts(
            rng.integers(TEXTS, size=(2, CLASSES)), fit_prototypes(classifier, features)
        ),
        teacher=None,
    )
    images = ImageSet([], np.arange(COUNT), np.arange(0), by_view(features))
    with MetricsLog(work / "metrics.jsonl") as log:
        run = Run(RECIPE, clip, None, work, log, NullProgress())  # type: ignore[arg-type]
        return backbone_trainee(
            run,
            images,
            pairs,
            Texts(clip),  # type: ignore[arg-type]
            suffix=suffix,
            activations=by_view(activations),
        )


def by_view(table: Tensor) -> np.ndarray:
    return table.numpy().astype(np.float16).reshape(COUNT, 2, *table.shape[1:])


def run(trainee: ContrastiveTrainee, steps: int) -> list[float]:
    groups = trainee.parameter_groups(LoopOptions(steps=steps, learning_rate=1e-3))
    optimizer = torch.optim.AdamW(groups)
    trainee.train()
    losses = []
    for step in range(steps):
        losses.append(trainee.backward(step, 0)["loss"])
        optimizer.step()
        optimizer.zero_grad()
    return losses


def test_only_what_follows_the_cut_is_trained(tmp_path: Path) -> None:
    clip = tiny()
    before = copies(clip.state_dict())
    run(trainee_of(clip, tmp_path), 3)
    changed = {n for n, t in clip.state_dict().items() if not torch.equal(t, before[n])}
    assert {"text_projection", "logit_scale", "visual.trunk.conv_head.weight"} <= changed
    last = len(clip.visual.trunk.blocks)
    blocks = [f"visual.trunk.blocks.{last - i}." for i in (1, 2)]
    ours = ("text_projection", "logit_scale", "visual.head", "visual.trunk.conv_head", *blocks)
    assert all(name.startswith(ours) for name in changed)
    assert not any(".bn" in name for name in changed)


def test_each_parameter_is_in_one_group_and_vectors_do_not_decay(tmp_path: Path) -> None:
    trainee = trainee_of(tiny(), tmp_path)
    groups = trainee.parameter_groups(LoopOptions(steps=1, learning_rate=1e-3, weight_decay=0.1))
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(tensor) for tensor in trainee.trained().values()}
    for group in groups:
        ranks = {parameter.ndim > 1 for parameter in group["params"]}
        assert ranks == {group["weight_decay"] > 0}


def test_a_step_depends_on_its_number_alone(tmp_path: Path) -> None:
    trainee = trainee_of(tiny(), tmp_path)
    first = trainee.backward(3, 0)
    assert trainee.backward(4, 0) != first
    assert trainee.backward(3, 0) == first


def test_the_loss_falls(tmp_path: Path) -> None:
    losses = run(trainee_of(tiny(), tmp_path), 30)
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_synthetic_features_are_of_their_class() -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    classifier = torch.nn.Linear(64, 12)
    torch.nn.init.normal_(classifier.weight, std=0.3)
    features = torch.rand(400, 64, generator=generator)
    synthetic = fit_prototypes(classifier, features).draw(features, generator=generator)
    assert synthetic.min() >= 0
    with torch.inference_mode():
        before, after = (classifier(x).softmax(dim=1) for x in (features, synthetic))
    assert after.max(dim=1).values.median() > before.max(dim=1).values.median() + 0.2
    assert len(set(after.argmax(dim=1).tolist())) == 12


def test_an_interrupted_stage_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, resumed = tiny(1), tiny(1)
    train_stage(whole, tmp_path / "whole", steps_before_stop=8)
    with pytest.raises(KeyboardInterrupt):
        train_stage(resumed, tmp_path / "resumed", steps_before_stop=3)
    again = tiny(1)
    train_stage(again, tmp_path / "resumed", steps_before_stop=8)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    lines = [
        (tmp_path / name / "metrics.jsonl").read_text("utf-8") for name in ("whole", "resumed")
    ]
    assert lines[0] == lines[1]
    # Without validation the last weights are kept, not the initial ones.
    assert len(lines[0].splitlines()) == 8
    assert not torch.equal(whole.text_projection, tiny(1).text_projection)


def train_stage(clip: CLIP, folder: Path, *, steps_before_stop: int) -> None:
    """Trains eight steps, interrupted as by Ctrl-C after some."""
    (folder / "work").mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    trainee = trainee_of(clip, folder)
    backward = trainee.backward

    def interrupted(step: int, micro: int) -> dict[str, float]:
        if step == steps_before_stop - 1 < 7:
            signal.raise_signal(signal.SIGINT)
        return backward(step, micro)

    trainee.backward = interrupted  # type: ignore[method-assign]
    options = LoopOptions(steps=8, learning_rate=1e-3, average=0.9, seed=1, resume=True)
    with MetricsLog(folder / "metrics.jsonl") as log:
        stage = Run(RECIPE, clip, None, folder / "work", log, NullProgress())  # type: ignore[arg-type]
        run_stage(stage, "align", trainee, options, identity=["same"])
