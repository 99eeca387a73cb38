"""The model card of a fine-tuned model, README.md in its folder."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from huggingface_hub import ModelCardData

from mmsearch.evaluation.results import Estimate, metric_text
from mmsearch.finetuning.fusion.scores import MISSING
from mmsearch.finetuning.report.results import FinetuneReport
from mmsearch.report.titles import value_text
from mmsearch.text import one_line
from mmsearch.training.model_folder import CARD_NAME, render_card

_METRICS = ("recall@1", "recall@5", "recall@10", "MRR", "accuracy", "macro F1")
# A licence's SPDX identifier, such as 'Apache-2.0'; that of a folder is unknown.
_SPDX = re.compile(r"[\w.+-]+")
_METHODS = {
    "head": "projections on frozen towers",
    "lora": "low-rank adapters (LoRA), merged into the weights",
    "last-n": "the last blocks of the towers",
    "full": "all weights",
}
Row = tuple[str, ...]


def write_card(report: FinetuneReport) -> str:
    """Returns the model card as Markdown; all numbers are those of the run."""
    licence = report.licence if _SPDX.fullmatch(report.licence) else None
    data = ModelCardData(
        library_name="open_clip",
        pipeline_tag="zero-shot-image-classification",
        license=licence.lower() if licence else "other",
        tags=["fine-tuned"],
    )
    before, after = report.general_start, report.general_tuned
    return render_card(
        data,
        "mmsearch.finetuning.report",
        "model_card.md.jinja",
        report=report,
        licence=licence,
        method=_METHODS.get(report.method, report.method),
        models=[one_line(report.start), one_line(report.name)],
        counts=[
            *((name, f"{count:,}") for name, count in report.counts.items()),
            *((f"{name} split", f"{count:,}") for name, count in report.split.items()),
        ],
        settings=[(name, value_text(value) or "–") for name, value in report.settings.items()],
        metrics=list(_metric_rows(report)),
        general=[
            *((name, f"{v:.3f}", f"{after.parts[name]:.3f}") for name, v in before.parts.items()),
            ("mean", f"{before.score:.3f}", f"{after.score:.3f}"),
        ],
        fusion=list(_fusion_rows(report)),
        missing=f"{MISSING:.0%}",
        limits=[
            "The numbers hold for catalogs like the one it was tuned on "
            f"({report.test.items:,} items were tested); for others, use "
            "`mmsearch evaluate --compare`.",
            f"The limits of `{report.start}` apply as well: see its model card.",
            *report.comparison.regressions(),
            *(one_line(note) for note in report.notes),
        ],
    )


def write_card_file(report: FinetuneReport, folder: Path) -> None:
    """Writes the model card into the model's folder."""
    (folder / CARD_NAME).write_text(write_card(report), encoding="utf-8")


def _metric_rows(report: FinetuneReport) -> Iterator[Row]:
    start, tuned = report.test.models
    parts: list[tuple[str, str, Mapping[str, Estimate], Mapping[str, Estimate]]] = [
        (before.title, before.direction, before.metrics, after.metrics)
        for before, after in zip(start.retrieval, tuned.retrieval, strict=True)
    ]
    if start.classification and tuned.classification:
        metrics = (start.classification.metrics, tuned.classification.metrics)
        parts.append(("class by name", "zero-shot", *metrics))
    differences = {(each.part, each.metric): each for each in report.test.differences}
    for title, part, before, after in parts:
        for name in filter(before.__contains__, _METRICS):
            found = differences[part, name]
            numbers = (found.value, found.low, found.high)
            value, low, high = (metric_text(name, each, signed=True) for each in numbers)
            change = f"{value} ({low} to {high})"
            yield f"{title} {name}", _cell(name, before[name]), _cell(name, after[name]), change


def _fusion_rows(report: FinetuneReport) -> Iterator[Row]:
    if (table := report.fusion) is not None:
        for name in dict.fromkeys(score.name for score in table.scores):
            complete, missing = (table.score(name, missing=each) for each in (0.0, MISSING))
            yield name, _cell("MRR", complete.metrics["MRR"]), _cell("MRR", missing.metrics["MRR"])


def _cell(name: str, value: Estimate) -> str:
    low, high = (metric_text(name, each) for each in (value.low, value.high))
    return f"{metric_text(name, value.value)} ({low}–{high})"
