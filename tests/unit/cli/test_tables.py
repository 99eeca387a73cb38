"""Every table in terminals of several widths: lines fit, names are shortened, numbers never."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

import mmsearch
from mmsearch.catalog import StoreInfo
from mmsearch.cli.doctor.checks import Check
from mmsearch.cli.doctor.command import checks_table
from mmsearch.cli.evaluation.score_tables import score_tables, summary
from mmsearch.cli.models.tables import models_table
from mmsearch.cli.output.render import failures_table
from mmsearch.cli.search.hits_table import hits_table
from mmsearch.cli.search.shown_columns import shown_columns
from mmsearch.cli.store.info_tables import info_table, tuning_table
from mmsearch.cli.training.finetune_tables import comparison_table
from mmsearch.encoders.model_zoo import MODELS
from mmsearch.evaluation.results import (
    ClassificationScores,
    ClassScore,
    Difference,
    Estimate,
    Evaluation,
    IndexScores,
    ModelScores,
    RetrievalScores,
)
from mmsearch.indexes import Tuning
from mmsearch.indexes.base import EffortPoint
from mmsearch.records import Failure, Hit, SpaceId

WIDTHS = [60, 80, 120, 10_000]
LONG = "/home/anna/a folder of catalogs from last year/spring and summer/products-of-all-shops"
METRICS = ("recall@1", "recall@10", "MRR", "nDCG@10", "coverage@10", "median rank")
CLASS_METRICS = ("accuracy", "top-5 accuracy", "weighted precision")


def estimate(value: float) -> Estimate:
    return Estimate(value, value * 0.9, value * 1.1, np.zeros(3))


def evaluation(*models: str, queries: int = 1234) -> Evaluation:
    def scores(place: int, model: str) -> ModelScores:
        value = 0.321 + place / 10
        retrieval = RetrievalScores(
            "text-to-image",
            queries,
            5678,
            {name: estimate(12.5 if name.endswith("rank") else value) for name in METRICS},
            [1, 10],
            [0.3, 0.6],
            np.ones(3, dtype=np.int64),
            (),
        )
        classes = [ClassScore(name, name, 40, 0.5, 0.5, 0.5) for name in (LONG, "shoe")]
        confusion = np.asarray([[30, 10], [0, 40]])
        named = ClassificationScores(
            80, ["{}"], {name: estimate(value) for name in CLASS_METRICS}, classes, confusion
        )
        space = SpaceId(model, "a" * 64, 512, "b" * 64)
        return ModelScores(model, space, (retrieval,), named, 1.5, 0)

    parts = {"text-to-image": METRICS, "zero-shot": CLASS_METRICS}
    differences = [
        Difference(model, part, name, 0.1, 0.05, 0.15, 0.012)
        for model in models[1:]
        for part, metrics in parts.items()
        for name in metrics
    ]
    index = IndexScores(
        "text", "product", "ivf-sq8", 1_234_567, 1000, estimate(0.951), 900, estimate(0.7),
        estimate(0.69),
    )  # fmt: skip
    return Evaluation(
        ("shop",), 1234, 1234, 1234, [scores(*each) for each in enumerate(models)],
        differences, (index,), (), (),
    )  # fmt: skip


def tuning() -> Tuning:
    lowest = {"text": 0.93, "image": 0.94}
    recall = {"text": 0.95, "image": 0.96}
    points = tuple(EffortPoint(effort, recall, lowest, 0.125) for effort in (16, 1024))
    return Tuning(1024, 0.95, True, {"text": 1000, "image": 1000}, points)


def store() -> StoreInfo:
    return StoreInfo(
        folder=f"{LONG}/.mmsearch",
        model="builtin",
        space={"dim": 512},
        counts={"items": 34250, "image": 34250, "text": 9, "both": 9, "missing": 3, "failures": 2},
        sources=({"name": "spring-and-summer-of-last-year", "location": LONG, "items": 34241},),
        columns={"price": "float", "category": "text"},
        indexes={"image": {"kind": "flat", "count": 34250, "bytes": 70_144_000}},
        fusion=None,
        index_behind=True,
        bytes=123_456_789,
        free_bytes=9_876_543_210,
        last_run={"ended": "2026-03-01 12:30", "seconds": 1234.5},
        interrupted=True,
    )


HITS = [
    Hit(1, f"spring/{LONG}/7.jpg", f"{LONG}/7.jpg", 0.312, "image", {"title": LONG, "price": 4.5}),
    Hit(10, "spring/8", "", -0.011, "product", {"title": "B", "price": 1234.25}),
]
SHOWN = ("rank", "similarity", "title", "price", "key", "path")
FAILURES = [Failure("a", f"{LONG}/a.jpg", "decode", "the file is empty (0 bytes)")]
CHECKS = [Check("disk", "warn", f"{LONG}: 1,234.5 GiB free", "free some space")]
HERE = {model.name: False for model in MODELS}

# What is rendered at a width, and what must be whole in it.
TABLES: dict[str, tuple[Callable[[int], Sequence[RenderableType]], Sequence[str]]] = {
    "hits": (
        lambda width: [hits_table(HITS, columns=SHOWN, width=width)],
        ["0.312", "-0.011", "1234.25", "4.5"],
    ),
    "failures": (lambda _: [failures_table(FAILURES)], ["decode", "the file is empty (0 bytes)"]),
    "checks": (lambda _: [checks_table(CHECKS)], ["1,234.5 GiB free", "free some space"]),
    "models": (lambda width: [models_table(HERE, width)], ["2,611 MB", "0.804", "Apache-2.0"]),
    "info": (
        lambda _: [info_table(store())],
        ["34,250", "34,241 items", "123 MB", "9.9 GB", "70.1 MB", "1,234.5 s"],
    ),
    "tuning": (lambda width: [tuning_table(tuning(), width)], ["→ 1,024", "0.960", "0.125"]),
    "one model": (
        lambda width: list(score_tables(evaluation("builtin"), width)),
        ["recall@1", "weighted precision", "0.321", "0.289–0.353", "1,234,567"],
    ),
    "two models": (
        lambda width: list(score_tables(evaluation("builtin", LONG), width)),
        ["recall@1", "weighted precision", "0.421", "+0.100", "0.012", "0.700"],
    ),
    "four models": (
        lambda width: list(score_tables(evaluation("builtin", LONG, "small", "base"), width)),
        ["recall@1", "weighted precision", "0.621", "+0.100", "0.012"],
    ),
    "fine-tuning": (
        lambda _: [comparison_table(evaluation("builtin", LONG))],
        ["recall@1", "0.421", "+0.100", "0.012", "zero-shot"],
    ),
}


def printed(parts: Sequence[RenderableType], width: int, **settings: Any) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, **settings)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TABLES)
def test_lines_fit_and_numbers_are_whole(name: str, width: int) -> None:
    render, whole = TABLES[name]
    text = printed(render(width), width)
    assert max(map(cell_len, text.splitlines())) <= width
    words = " ".join(text.split())
    for each in whole:
        assert re.search(rf"(?<![\w.]){re.escape(each)}(?![\w.…])", words), f"{each}\n{text}"


@pytest.mark.parametrize("name", ["hits", "failures", "info", "two models", "four models"])
def test_long_names_are_shortened_in_the_middle_and_whole_where_there_is_room(name: str) -> None:
    render, _ = TABLES[name]
    for width in (60, 80):
        assert re.search(r"\w…\S*\w", printed(render(width), width))
    assert LONG in printed(render(10_000), 10_000)


@pytest.mark.parametrize("name", TABLES)
def test_terminals_of_40_columns_and_without_unicode_do_not_fail(name: str) -> None:
    render, _ = TABLES[name]
    assert printed(render(40), 40)
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    console = Console(file=file, width=40, force_terminal=True, no_color=True)
    for part in render(40):
        console.print(part)
    file.flush()


def test_columns_of_the_filter_are_shown_once(tmp_path: Path) -> None:
    catalog = mmsearch.open(tmp_path)
    where = "title LIKE 'B%' AND price > 3"
    assert shown_columns(catalog, HITS, None, where=where) == [
        "rank", "similarity", "matched", "title", "price", "key", "path",
    ]  # fmt: skip
    assert shown_columns(catalog, HITS[:1], "price") == [
        "rank", "similarity", "title", "price", "key", "path",
    ]  # fmt: skip


def test_a_title_that_is_the_file_name_is_not_shown(tmp_path: Path) -> None:
    photos = [Hit(1, "photos/a.jpg", "/data/photos/a.jpg", 0.3, "image", {"width": 640})]
    columns = shown_columns(mmsearch.open(tmp_path), photos, None)
    assert columns == ["rank", "similarity", "key", "path"]


def test_a_summary_says_what_was_found() -> None:
    one, other = summary(evaluation("builtin", "tuned"))
    assert one == ("text → image: a relevant item is among the first 10 for 32% of 1,234 queries")
    # The median rank went up by 0.1, which is worse.
    assert other == (
        "'tuned' against 'builtin': better in 8 and worse in 1 of 9 metrics (p < 0.05); "
        "'mmsearch models --promote tuned' moves a store to it"
    )


def test_a_summary_of_one_model_says_what_to_measure_next() -> None:
    (line,) = summary(evaluation("builtin"))
    assert line.endswith("; --compare base measures another model too")
    (line,) = summary(evaluation("base"))
    assert line.endswith("; --compare MODEL measures another model too")
