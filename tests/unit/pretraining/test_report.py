"""What a run reports: JSON and the model card."""

from pathlib import Path

import pytest

from mmsearch.pretraining.held_out import HeldOutMetrics
from mmsearch.pretraining.recipe import BackboneStage, ImageTower, Recipe, TextTower
from mmsearch.pretraining.report import TrainReport, write_card
from mmsearch.training.weight_interpolation import Sweep, SweepPoint, SweepScore


def report(metrics: HeldOutMetrics, sweep: Sweep | None = None) -> TrainReport:
    return TrainReport(
        folder=Path("model"),
        images=1234,
        sources={"catalog": 1234},
        taught_texts=4321,
        paired_texts=10,
        parameters=2_000_000,
        seconds=1.5,
        first_loss=3.0,
        last_loss=1.0,
        measures=metrics,
        interpolation=sweep,
    )


@pytest.fixture
def sweep() -> Sweep:
    points = [SweepPoint(alpha, SweepScore(0.4 + alpha / 10, 0.9)) for alpha in (0.0, 0.5, 1.0)]
    return Sweep(points, points[1], 0.99)


def test_the_card_says_what_was_measured_and_what_was_not() -> None:
    recipe = Recipe(
        name="shop",
        sources=("catalog",),
        image=ImageTower(weights="w"),
        limits=("no scenes",),
        origins={"catalog": "Our shop, CC0"},
        license="cc0-1.0",
    )
    card = write_card(recipe, report(HeldOutMetrics(50, 0.25, 0.5, 7, sure_images=20)))
    for part in (
        "---\nlanguage: en\nlibrary_name: open_clip\nlicense: cc0-1.0\n",
        "---\n# shop\n",
        "2.0 million",
        "| Our shop, CC0 | 1,234 |\n",
        "| text-to-image recall@10 | 0.500 |\n",
        "on 20 held-out images",
        "\n## Limits\n\n- no scenes\n",
        "mmsearch train RECIPE --out FOLDER \\\n  --data catalog=PATH\n```\n",
    ):
        assert part in card, part
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings == ["## Architecture", "## Data", "## Training", "## Metrics", "## Limits"]
    assert all(f"\n\n{heading}\n\n" in card for heading in headings)
    assert "\n\n\n" not in card
    assert "1. Alignment" in card
    assert "Backbone" not in card
    assert "Nothing was held out" in write_card(recipe, report(HeldOutMetrics()))


def test_the_card_names_every_stage_in_one_numbered_list(sweep: Sweep) -> None:
    recipe = Recipe(
        name="shop",
        sources=("catalog",),
        image=ImageTower(weights="w"),
        text=TextTower(teacher="t"),
        backbone=BackboneStage(blocks=2),
    )
    card = write_card(recipe, report(HeldOutMetrics(50), sweep))
    stages = [line[:12] for line in card.splitlines() if line.startswith("1. ")]
    assert stages == ["1. Word vect", "1. Text towe", "1. Alignment", "1. Backbone:"]
    assert "4,321 texts" in card
    assert "50% were kept" in card


def test_the_json_report_keeps_its_old_names(sweep: Sweep) -> None:
    json = report(HeldOutMetrics(sure_images=3), sweep).as_json()
    assert json["pictures"] == json["images"] == 1234
    assert json["mix"] == json["interpolation"]
    assert json["measures"]["sure_pictures"] == json["measures"]["sure_images"] == 3
    assert json["interpolation"] == {
        "share": 0.5,
        "tried": [(0.0, 0.4, 0.9), (0.5, 0.45, 0.9), (1.0, 0.5, 0.9)],
    }
