"""The card of a fine-tuned model, written from the run: Markdown with a hub's front matter."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mmsearch.evaluation.results import Estimate, metric_text
from mmsearch.finetuning.fusion.scores import MISSING
from mmsearch.finetuning.report.outcome import Outcome
from mmsearch.report.titles import value_text
from mmsearch.text import one_line

_METRICS = ("recall@1", "recall@5", "recall@10", "MRR", "accuracy", "macro F1")
# A licence's identifier, as 'Apache-2.0'; a folder's licence is not known by one.
_SPDX = re.compile(r"[\w.+-]+")
_METHODS = {
    "head": "a projection on frozen towers",
    "lora": "low-rank adapters, merged into the weights",
    "last-n": "the last blocks of the towers",
    "full": "all weights",
}


def write_card(outcome: Outcome) -> str:
    """The card as Markdown. All numbers are the run's own; nothing is claimed beyond them."""
    licence = outcome.licence if _SPDX.fullmatch(outcome.licence) else None
    lines = [
        "---",
        "library_name: open_clip",
        "pipeline_tag: zero-shot-image-classification",
        f"license: {licence.lower() if licence else 'other'}",
        "tags:",
        "- fine-tuned",
        "---",
        f"# {one_line(outcome.name)}",
        "",
        f"`{outcome.start}`, fine-tuned with mmsearch on the user's own catalog: "
        f"{_METHODS.get(outcome.method, outcome.method)}. A dual encoder in OpenCLIP's format: "
        "`open_clip.create_model_and_transforms('local-dir:FOLDER')` or "
        "`mmsearch index --model FOLDER`.",
        "",
        "## Licence and data",
        "",
        f"The licence of `{outcome.start}`{f', {licence},' if licence else ''} holds on. The data "
        "are the user's, who answers for the right to train on them:",
        "",
        *(f"- `{one_line(source)}`" for source in outcome.data),
        "",
        *_table(("read", "count"), _counts(outcome)),
        "",
        "Items of one product and nearly equal pictures stand in one split.",
        "",
        "## Training",
        "",
        f"{outcome.steps:,} steps on {outcome.device}, {outcome.seconds / 60:,.1f} minutes.",
        "",
        *_table(
            ("setting", "value"),
            ((name, value_text(value) or "–") for name, value in outcome.settings.items()),
        ),
        "",
        "## Measured on the test split",
        "",
        "Never trained on; 95% bootstrap intervals; differences are paired by query.",
        "",
        *_measured(outcome),
        "",
        "## General knowledge",
        "",
        *_general(outcome),
        "",
        *_fusion(outcome),
        "## Limits",
        "",
        *(f"- {line}" for line in _limits(outcome)),
        "",
    ]
    return "\n".join(lines)


def write_card_file(outcome: Outcome, folder: Path) -> None:
    """Writes README.md into the model's folder."""
    (folder / "README.md").write_text(write_card(outcome), encoding="utf-8")


def _counts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for name, count in outcome.counts.items():
        yield name, f"{count:,}"
    for name, count in outcome.split.items():
        yield f"{name} split", f"{count:,}"


def _measured(outcome: Outcome) -> list[str]:
    start, tuned = outcome.test.models
    parts: list[tuple[str, str, Mapping[str, Estimate], Mapping[str, Estimate]]] = [
        (before.title, before.direction, before.metrics, after.metrics)
        for before, after in zip(start.retrieval, tuned.retrieval, strict=True)
    ]
    if start.classification and tuned.classification:
        metrics = (start.classification.metrics, tuned.classification.metrics)
        parts.append(("class by name", "zero-shot", *metrics))
    found = {(d.part, d.metric): d for d in outcome.test.differences}
    rows = []
    for title, part, before, after in parts:
        for name in _METRICS:
            if name in before:
                d = found[part, name]
                change = " to ".join(metric_text(name, v, signed=True) for v in (d.low, d.high))
                rows.append(
                    (
                        f"{title} {name}",
                        _interval(name, before[name]),
                        _interval(name, after[name]),
                        f"{metric_text(name, d.value, signed=True)} ({change})",
                    )
                )
    head = ("measure", one_line(outcome.start), one_line(outcome.name), "change")
    return _table(head, rows)


def _general(outcome: Outcome) -> list[str]:
    before, after = outcome.general_start, outcome.general_tuned
    rows = [
        *((name, f"{v:.3f}", f"{after.parts[name]:.3f}") for name, v in before.parts.items()),
        ("mean", f"{before.score:.3f}", f"{after.score:.3f}"),
    ]
    table = _table(("on the sample catalog", one_line(outcome.start), one_line(outcome.name)), rows)
    if outcome.sweep is None:
        return [*table, "", "Nothing was interpolated: these are the weights as trained."]
    return [
        *table,
        "",
        "Start and tuned weights were interpolated (WiSE-FT, Wortsman et al. 2022) and chosen on "
        f"the validation split: {outcome.sweep.reason}.",
    ]


def _fusion(outcome: Outcome) -> list[str]:
    if outcome.fusion is None:
        return []
    table = outcome.fusion
    rows = []
    for name in dict.fromkeys(score.name for score in table.scores):
        cells = (
            _interval("MRR", table.score(name, missing=missing).metrics["MRR"])
            for missing in (0.0, MISSING)
        )
        rows.append((name, *cells))
    return [
        "## Products by picture and text",
        "",
        *_table(("MRR", "all texts there", f"{MISSING:.0%} of texts missing"), rows),
        "",
    ]


def _limits(outcome: Outcome) -> Iterator[str]:
    yield (
        f"The numbers hold for catalogs like the one it was tuned on ({outcome.test.items:,} items "
        "were tested); on others, measure with `mmsearch evaluate --compare`."
    )
    yield f"What `{outcome.start}` cannot do, it cannot do either: see that model's card."
    yield from outcome.verdict.regressions()
    yield from (one_line(note) for note in outcome.notes)


def _interval(name: str, value: Estimate) -> str:
    low, high = (metric_text(name, each) for each in (value.low, value.high))
    return f"{metric_text(name, value.value)} ({low}–{high})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; the first column is words, the others figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return [f"| {' | '.join(line)} |" for line in escaped]
