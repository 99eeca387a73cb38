"""The card of a fine-tuned model says what the run found, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmsearch.finetuning.report.card import write_card
from mmsearch.finetuning.report.results import FinetuneReport
from tests.support.finetuning_outcome import outcome_of


@pytest.fixture(scope="module")
def outcome(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, make_model: Callable[..., Path]
) -> FinetuneReport:
    folder = tmp_path_factory.mktemp("catalog")
    return outcome_of(folder, tiny_model, make_model(embed_dim=32))


def test_the_card_names_model_licence_data_and_numbers(outcome: FinetuneReport) -> None:
    card = write_card(outcome)
    assert card.startswith("---\nlibrary_name: open_clip\n")
    assert "\nlicense: apache-2.0\n" in card
    assert "The licence of `builtin`, Apache-2.0, still applies." in card
    assert "# shop-model\n\n`builtin`, fine-tuned with mmsearch" in card
    assert f"- `{outcome.data[0]}`" in card
    assert "| train split | 84 |" in card
    assert "| learning_rate | 0.001 |" in card
    assert outcome.sweep is not None
    assert outcome.sweep.reason in card
    before, after = (model.retrieval[0].metrics["recall@10"] for model in outcome.test.models)
    row = next(line for line in card.splitlines() if line.startswith("| text → image recall@10 "))
    assert f"| {before.value:.3f} ({before.low:.3f}–{before.high:.3f}) |" in row
    assert f"| {after.value:.3f} ({after.low:.3f}–{after.high:.3f}) |" in row
    assert f"{after.value - before.value:+.3f} (" in row
    assert "| mean | 0.500 | 0.498 |" in card


def test_a_start_model_whose_licence_has_no_name_passes_it_on_unnamed(
    outcome: FinetuneReport,
) -> None:
    card = write_card(replace(outcome, start="folder", licence="that of the start model"))
    assert "\nlicense: other\n" in card
    assert "The licence of `folder` still applies." in card


def test_every_row_of_a_table_has_the_head_s_columns(outcome: FinetuneReport) -> None:
    settings = {**outcome.settings, "template": "a | b"}
    lines = write_card(replace(outcome, settings=settings)).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 20
    columns = 0
    for number, line in enumerate(lines):
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            if not lines[number - 1].startswith("|"):
                columns = cells
            assert cells == columns, line


def test_without_fusion_and_sweep_nothing_is_said_of_them(outcome: FinetuneReport) -> None:
    card = write_card(replace(outcome, fusion=None, sweep=None))
    assert "Products by image and text" not in card
    assert "Nothing was interpolated" in card
