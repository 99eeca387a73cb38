"""A finished fine-tuning for tests of what is written about one: its measurements are real."""

from pathlib import Path

import numpy as np

from mmsearch.arrays import unit
from mmsearch.encoders.registry import load_encoder
from mmsearch.evaluation.labels import LabelledItem, LabelledSet, Pool
from mmsearch.evaluation.results import Evaluation
from mmsearch.evaluation.run import EvaluationOptions, evaluate_labelled
from mmsearch.finetuning.fusion.data import NO_ITEM, FusionData, FusionQueries
from mmsearch.finetuning.fusion.scores import fusion_table
from mmsearch.finetuning.report.results import FinetuneReport, TrainingCurves
from mmsearch.finetuning.scoring import GeneralScore
from mmsearch.fusion import late_base
from mmsearch.progress import NullProgress
from mmsearch.sample import write_sample
from mmsearch.training.weight_interpolation import SweepPoint, SweepScore, choose

KINDS = ("fruit", "animal <b>wild", "tool")


def outcome_of(folder: Path, start: Path, tuned: Path) -> FinetuneReport:
    """folder: for images. start, tuned: model folders, measured on part of the sample."""
    points = [
        SweepPoint(alpha / 4, SweepScore(0.3 + 0.1 * alpha, 0.5 - 0.002 * alpha**2))
        for alpha in range(5)
    ]
    return FinetuneReport(
        name="shop-model",
        start="builtin",
        licence="Apache-2.0",
        method="lora",
        data=[str(folder)],
        counts={"items": 120, "images": 118, "texts": 90, "classes": 3},
        split={"train": 84, "val": 24, "test": 12},
        settings={"method": "lora", "rank": 8, "learning_rate": 1e-3, "lock": "none", "fusion": ""},
        device="cpu",
        steps=200,
        seconds=754.0,
        curves=TrainingCurves(
            [(step, 3 * np.exp(-step / 80) + 0.4) for step in range(1, 201)],
            [(step, 0.7 - 0.4 * np.exp(-step / 60)) for step in range(0, 201, 20)],
        ),
        sweep=choose(points),
        general_start=GeneralScore({"text → image recall@1": 0.4, "accuracy by title": 0.6}),
        general_tuned=GeneralScore({"text → image recall@1": 0.39, "accuracy by title": 0.606}),
        test=_test(folder, start, tuned),
        fusion=fusion_table({"late": late_base(8, 0.5)}, _fusion_data()),
        notes=["2 items have neither image nor text: left out"],
    )


def _test(folder: Path, start: Path, tuned: Path) -> Evaluation:
    images = sorted((write_sample(folder).table.parent / "images").glob("*.webp"))[:36]
    pool, items = Pool(), list[LabelledItem]()
    for number, image in enumerate(images):
        text = pool.add_text(image.stem.replace("-", " "))
        items.append(LabelledItem(image.stem, pool.add_image(image), text, KINDS[number % 3], None))
    return evaluate_labelled(
        LabelledSet(items, pool, ()),
        [str(start), str(tuned)],
        lambda name: load_encoder(name, device="cpu"),
        EvaluationOptions(classes="kind"),
        sources=["test split"],
        progress=NullProgress(),
    )


def _fusion_data() -> FusionData:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 3)
    centres = random.normal(size=(12, 8))

    def near(noise: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        rows = centres[groups] + noise * random.normal(size=(36, 8))
        return unit(rows.astype(np.float32))

    own = np.arange(36)
    return FusionData(
        near(0.8),
        near(0.6),
        groups,
        FusionQueries(near(0.6), groups, own),
        FusionQueries(near(0.8), groups, np.full(36, NO_ITEM)),
    )
