"""The options of mmsearch evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli.completion import complete_models
from mmsearch.cli.options import STORE_AND_MODEL

_LABELS = "Labels"

Sources = Annotated[
    list[Path],
    typer.Argument(help="Folders or tables, as for 'mmsearch index'.", metavar="SOURCE"),
]
Classes = Annotated[
    str | None,
    typer.Option(
        help="Column of class names: also measure zero-shot classification.", metavar="COLUMN"
    ),
]
Queries = Annotated[
    Path | None,
    typer.Option(
        help="Queries with their relevant keys (JSON Lines or a table). Default: the caption of "
        "each image.",
        metavar="FILE",
    ),
]
Compare = Annotated[
    list[str] | None,
    typer.Option(
        help="Another model to compare with --model; repeatable.",
        metavar="MODEL",
        autocompletion=complete_models,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(help="Write plots and the hardest queries to an HTML page.", metavar="FILE"),
]
Group = Annotated[
    str | None,
    typer.Option(
        help="Column of groups; items of a group are relevant to each other. Default: --classes.",
        metavar="COLUMN",
    ),
]
ClassNames = Annotated[
    Path | None,
    typer.Option(
        help="File with all class names, one a line, if some have no images.",
        metavar="FILE",
        rich_help_panel=_LABELS,
    ),
]
Template = Annotated[
    list[str] | None,
    typer.Option(
        help="Prompt with {} for the class name; repeatable, the embeddings are averaged.",
        metavar="TEXT",
        rich_help_panel=_LABELS,
    ),
]
Store = Annotated[
    Path | None,
    typer.Option(
        help="Also measure the recall of this store's live indexes. Default: models only.",
        metavar="DIR",
        rich_help_panel=STORE_AND_MODEL,
    ),
]
