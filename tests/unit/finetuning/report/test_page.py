"""The page of a fine-tuning: self-contained, escaped, and with the numbers of the run."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from markupsafe import escape

from mmsearch.evaluation.results import metric_text
from mmsearch.finetuning.report.page import render_run, write_run_page
from mmsearch.finetuning.report.results import (
    Change,
    Comparison,
    FinetuneReport,
    read_comparison,
)
from mmsearch.finetuning.scoring import GeneralScore
from tests.support.finetuning_outcome import outcome_of


@pytest.fixture(scope="module")
def outcome(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, make_model: Callable[..., Path]
) -> FinetuneReport:
    folder = tmp_path_factory.mktemp("catalog")
    return outcome_of(folder, tiny_model, make_model(embed_dim=32))


@pytest.fixture(scope="module")
def page(outcome: FinetuneReport) -> str:
    return render_run(outcome)


def test_it_asks_nobody_for_anything(page: str) -> None:
    assert not re.findall(r"(?:src|href|srcset)=\"(?!data:)", page)
    assert "<script" not in page
    assert "default-src 'none'; img-src data:" in page


def test_what_comes_from_the_catalog_is_escaped(page: str) -> None:
    assert "animal &lt;b&gt;wild" in page
    assert "<b>wild" not in page


def test_it_tells_before_and_after_of_every_direction(outcome: FinetuneReport, page: str) -> None:
    start, tuned = outcome.test.models
    for before, after in zip(start.retrieval, tuned.retrieval, strict=True):
        assert f"<h2>{before.title}</h2>" in page
        for metrics in (before.metrics, after.metrics):
            value = metrics["recall@10"]
            shown = [metric_text("recall@10", v) for v in (value.value, value.low, value.high)]
            assert '<strong>{}</strong> <span class="interval">{}–{}</span>'.format(*shown) in page
    changed = {d.part: d for d in outcome.test.differences if d.metric == "recall@10"}
    assert f"{changed['text-to-image'].value:+.3f}" in page


def test_it_tells_how_the_weights_were_chosen(outcome: FinetuneReport, page: str) -> None:
    assert outcome.sweep is not None
    assert outcome.sweep.chosen.alpha == 0.25
    assert escape(outcome.sweep.reason) in page
    assert 'alt="In-domain score against general score for each mix' in page
    assert "fell from" not in page or "Got worse" in page


def test_it_shows_the_hardest_queries_before_and_after(outcome: FinetuneReport, page: str) -> None:
    base = outcome.test.models[0].retrieval[0].hardest[0]
    same = outcome.test.models[1].retrieval[0].same[0]
    assert base.query == same.query
    assert f"right, rank {base.rank:,} → {same.rank:,}" in page
    assert page.count("data:image/webp;base64,") > 20


def test_it_compares_fusions_complete_and_with_texts_missing(page: str) -> None:
    table = page[page.index("products by picture and text") :]
    for name in ("image only", "text only", "late"):
        row = re.search(f'<th scope="row">{name}</th>(.*?)</tr>', table)
        assert row is not None
        assert row[1].count("<strong>") == 6


def test_without_fusion_and_sweep_it_is_still_a_page(outcome: FinetuneReport) -> None:
    page = render_run(replace(outcome, fusion=None, sweep=None))
    assert "products by picture and text" not in page
    assert "Nothing was interpolated" in page


def test_the_same_run_gives_the_same_page(
    outcome: FinetuneReport, page: str, tmp_path: Path
) -> None:
    write_run_page(outcome, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_the_comparison_is_read_as_it_was_written(outcome: FinetuneReport, tmp_path: Path) -> None:
    outcome.comparison.save(tmp_path)
    assert read_comparison(tmp_path) == outcome.comparison
    assert read_comparison(tmp_path / "nowhere") is None


def test_what_counts_as_a_regression(outcome: FinetuneReport) -> None:
    def judged(before: float, after: float, high: float, part: str = "text-to-image") -> Comparison:
        change = Change(part, "recall@10", before, after, after - before - 0.1, high, 0.5)
        return replace(outcome.comparison, changes=(change,))

    assert judged(0.5, 0.6, 0.2).regressions() == []
    assert judged(0.5, 0.5, 0.1).regressions() == []
    assert len(judged(0.5, 0.49, 0.05).regressions()) == 1, "the mean fell"
    assert len(judged(0.5, 0.3, -0.05).regressions()) == 1, "said once"
    assert judged(0.5, 0.3, -0.05, part="text-to-text").regressions() == []
    kept, lost = (
        replace(outcome, general_tuned=GeneralScore({"a": value})).comparison
        for value in (0.496, 0.494)
    )
    assert not any("general" in fault for fault in kept.regressions())
    assert any("98.8% of before; at least 99% is required" in fault for fault in lost.regressions())
