"""The table of mmsearch models."""

from rich.table import Table
from rich.text import Text

from mmsearch.cli.output.render import fits, plain_table
from mmsearch.encoders.model_zoo import MODELS, KnownModel


def models_table(here: dict[str, bool], width: int) -> Table:
    """A row per model; where the terminal is too narrow, a name with its facts in a few lines."""
    table = plain_table()
    for name in ("name", "download", "dim", "licence", "languages", "ImageNet", "COCO", "here"):
        right = name in ("download", "dim", "ImageNet", "COCO")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    table.add_column("architecture", no_wrap=True)
    for model in MODELS:
        table.add_row(*_cells(model, here[model.name]))
    return table if fits(table, width) else _narrow_table(here)


def _narrow_table(here: dict[str, bool]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for model in MODELS:
        languages = "multilingual" if model.languages == "many" else model.languages
        facts = [model.licence, _download(model), f"{model.dim:,} dimensions", languages]
        scores = [
            f"{name} {value:.3f}"
            for name, value in (
                ("ImageNet", model.imagenet_top1),
                ("COCO", model.coco_recall_at_1),
            )
            if value is not None
        ]
        table.add_row(model.name, ", ".join(facts))
        table.add_row("", ", ".join([*scores, "here" if here[model.name] else "not downloaded"]))
        table.add_row("", Text(model.architecture, style="dim"))
    return table


def _cells(model: KnownModel, here: bool) -> list[str]:
    return [
        model.name,
        _download(model),
        f"{model.dim:,}",
        model.licence,
        model.languages,
        _score(model.imagenet_top1),
        _score(model.coco_recall_at_1),
        "yes" if here else "no",
        model.architecture,
    ]


def _download(model: KnownModel) -> str:
    return f"{model.download_mb:,} MB" if model.download_mb else "included"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
