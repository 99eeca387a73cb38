"""Only what follows the cut is trained, and the best mix with the start is what stays."""

from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip import CLIP
from torch import Tensor

from mmsearch.digests import digest_of_json
from mmsearch.pretraining import model
from mmsearch.pretraining.recipe import Backbone
from mmsearch.pretraining.stages.align import ClassTask
from mmsearch.pretraining.stages.backbone import BackboneTrainee, Material, mix_with_start
from mmsearch.pretraining.stages.prototypes import fit_prototypes
from mmsearch.pretraining.stages.stage_files import StageRecord, recall_stage, remember_stage
from mmsearch.training.ema import copies
from mmsearch.training.loop import LoopOptions
from mmsearch.training.metrics_log import MetricsLog
from mmsearch.training.tower_split import split_tower

COUNT, TEXTS, CLASSES = 24, 40, 6
OPTIONS = Backbone(
    blocks=2, steps=8, batch=12, photos=4, negatives=10, dropout=0.0, learning_rate=1e-3
)


def tiny(seed: int = 0) -> CLIP:
    torch.manual_seed(seed)
    config = model.model_config(
        embed_dim=24,
        trunk="test_efficientnet",
        size=64,
        text={"context_length": 8, "width": 16, "heads": 2, "layers": 1},
        vocab=300,
    )
    return model.build(config)


def trainee_of(clip: CLIP) -> BackboneTrainee:
    halves = split_tower(clip.visual, OPTIONS.blocks)
    assert halves is not None
    prefix, suffix = halves
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.normal(size=(2 * COUNT, 3, 64, 64)).astype(np.float32))
    with torch.no_grad():
        activations = prefix(pictures)
        features = suffix.features(activations)
    classifier = torch.nn.Linear(features.shape[1], CLASSES)
    classes = ClassTask(
        rng.integers(TEXTS, size=(2, CLASSES)), fit_prototypes(classifier, features)
    )
    material = Material(
        index=np.arange(COUNT),
        activations=by_view(activations),
        features=by_view(features),
        texts=rng.integers(TEXTS, size=(COUNT, 3)),
        pooled=torch.randn(TEXTS, 16),
        concepts=np.arange(COUNT) // 2,
        weights=np.ones(COUNT),
        photos=np.arange(0, COUNT, 3),
    )
    return BackboneTrainee(clip, suffix, material, classes, None, OPTIONS, seed=1)


def by_view(table: Tensor) -> np.ndarray:
    return table.numpy().astype(np.float16).reshape(COUNT, 2, *table.shape[1:])


def run(trainee: BackboneTrainee, steps: int) -> list[float]:
    groups = trainee.parameter_groups(LoopOptions(steps=steps, learning_rate=1e-3))
    optimizer = torch.optim.AdamW(groups)
    trainee.train()
    losses = []
    for step in range(steps):
        losses.append(trainee.backward(step, 0)["loss"])
        optimizer.step()
        optimizer.zero_grad()
    return losses


def test_only_what_follows_the_cut_is_trained() -> None:
    clip = tiny()
    before = copies(clip.state_dict())
    run(trainee_of(clip), 3)
    changed = {n for n, t in clip.state_dict().items() if not torch.equal(t, before[n])}
    assert {"text_projection", "logit_scale", "visual.trunk.conv_head.weight"} <= changed
    last = len(clip.visual.trunk.blocks)
    blocks = [f"visual.trunk.blocks.{last - i}." for i in (1, 2)]
    ours = ("text_projection", "logit_scale", "visual.head", "visual.trunk.conv_head", *blocks)
    assert all(name.startswith(ours) for name in changed)
    assert not any(".bn" in name for name in changed)


def test_each_parameter_is_in_one_group_and_vectors_do_not_decay() -> None:
    trainee = trainee_of(tiny())
    groups = trainee.parameter_groups(LoopOptions(steps=1, learning_rate=1e-3, weight_decay=0.1))
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(tensor) for tensor in trainee.trained().values()}
    for group in groups:
        ranks = {parameter.ndim > 1 for parameter in group["params"]}
        assert ranks == {group["weight_decay"] > 0}


def test_a_step_hangs_on_its_number_alone() -> None:
    trainee = trainee_of(tiny())
    first = trainee.backward(3, 0)
    assert trainee.backward(4, 0) != first
    assert trainee.backward(3, 0) == first


def test_the_loss_falls() -> None:
    losses = run(trainee_of(tiny()), 30)
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


@pytest.mark.parametrize(
    ("agreements", "chosen"),
    [((0.9, 0.9, 0.9, 0.9, 0.9), 0.75), ((0.9, 0.895, 0.892, 0.88, 0.7), 0.5)],
)
def test_the_best_mix_that_keeps_the_agreement(
    agreements: tuple[float, ...], chosen: float
) -> None:
    weights = {"a": torch.tensor([8.0])}
    recalls = {0.0: 0.1, 2.0: 0.2, 4.0: 0.3, 6.0: 0.5, 8.0: 0.4}

    def measure() -> tuple[float, float]:
        value = weights["a"].item()
        return recalls[value], agreements[int(value / 2)]

    share, swept = mix_with_start(weights, {"a": torch.zeros(1)}, measure)
    assert share == chosen
    assert weights["a"].item() == 8 * chosen
    assert [line[0] for line in swept] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_stage_is_taken_again_with_its_curve(tmp_path: Path) -> None:
    made, again = tiny(1), tiny(2)
    file = tmp_path / f"aligned-{digest_of_json(['a', 1])}.safetensors"
    lines = []
    for number, clip in enumerate((made, again)):
        with MetricsLog(tmp_path / f"{number}.jsonl") as log:
            if not recall_stage(file, clip, log):
                record = StageRecord(log)
                record.stage("align", lambda n: None)(0, {"loss": 2.5, "contrast": 1.5})
                remember_stage(file, clip, ("visual.head", "text_projection"), record)
        lines.append((tmp_path / f"{number}.jsonl").read_text())
    assert lines[0] == lines[1] != ""
    assert torch.equal(made.text_projection, again.text_projection)
    assert torch.equal(made.visual.head.mlp.fc1.weight, again.visual.head.mlp.fc1.weight)
    assert not torch.equal(made.token_embedding.weight, again.token_embedding.weight)
