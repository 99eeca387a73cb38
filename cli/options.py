"""The options that several commands share, declared once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmsearch.cli.completion import complete_models

if TYPE_CHECKING:
    from mmsearch.sources import SourceOptions

STORE_AND_MODEL, READING, OUTPUT = "Store and model", "Reading sources", "Output"


def named_folder(text: str) -> Path:
    """Refuses '', which an unset variable leaves and which would be the working directory."""
    if not text:
        raise typer.BadParameter("an empty name; is the variable set?")
    return Path(text)


Store = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the store. Default: the nearest .mmsearch in this folder or above it.",
        metavar="DIR",
        parser=named_folder,
        rich_help_panel=STORE_AND_MODEL,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Encoder: builtin, another name that 'mmsearch models' lists, an OpenCLIP "
        "architecture:pretrained or architecture:file, hf-hub:org/model, or a model folder. "
        "Default: the store's model.",
        metavar="NAME",
        autocompletion=complete_models,
        rich_help_panel=STORE_AND_MODEL,
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        "--arch",
        help="OpenCLIP architecture of --model, where that is a file of weights alone.",
        metavar="NAME",
        rich_help_panel=STORE_AND_MODEL,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Device to encode on: auto, cpu, cuda, cuda:N or mps. Default: auto.",
        metavar="NAME",
        rich_help_panel=STORE_AND_MODEL,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="Images or texts per forward pass. Default: by device and model.",
        metavar="N",
        rich_help_panel=STORE_AND_MODEL,
    ),
]
Kind = Annotated[
    Literal["auto", "folder", "table"],
    typer.Option(
        help="Read the sources as folders or as tables.",
        metavar="auto|folder|table",
        rich_help_panel=READING,
    ),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        help="Columns of image paths, separated by commas, or none. Default: recognised by name "
        "and content.",
        metavar="COLUMNS",
        rich_help_panel=READING,
    ),
]
TextColumns = Annotated[
    str | None,
    typer.Option(
        help="Columns of text, separated by commas. Default: recognised by name and content.",
        metavar="COLUMNS",
        rich_help_panel=READING,
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of unique ids. Default: recognised by name and content.",
        metavar="COLUMN",
        rich_help_panel=READING,
    ),
]
ImageRoot = Annotated[
    Path | None,
    typer.Option(
        help="Folder to which a table's image paths are relative. Default: the one near the table "
        "or the working directory in which they are found.",
        metavar="DIR",
        parser=named_folder,
        rich_help_panel=READING,
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        help="Column that is equal in all rows of an item, which follow each other. Default: "
        "recognised by rows without a title.",
        metavar="COLUMN",
        rich_help_panel=READING,
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Exit with code 6 if any item failed.", rich_help_panel=OUTPUT),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON (schema version 1) to stdout.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print no progress and no notes.", rich_help_panel=OUTPUT),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]


def names(text: str | None) -> tuple[str, ...]:
    """'title, brand' → ('title', 'brand'); None → ()."""
    return tuple(name for part in (text or "").split(",") if (name := part.strip()))


def model_name(model: str | None, architecture: str | None) -> str | None:
    """Returns 'architecture:file' where both are given, else the model."""
    return f"{architecture}:{model}" if architecture and model else model


def source_options(
    kind: Literal["auto", "folder", "table"],
    image_column: str | None,
    text_columns: str | None,
    id_column: str | None,
    *,
    include: list[str] | None = None,
    exclude: list[str] | None = None,
    image_root: Path | None = None,
    group_by: str | None = None,
) -> "SourceOptions | None":
    """Returns how to read the sources; None if nothing was given: as the store remembers."""
    from mmsearch.records import printable_path
    from mmsearch.sources import SourceOptions

    given = SourceOptions(
        kind=kind,
        image_column=image_column,
        text_columns=names(text_columns),
        id_column=id_column,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        image_root=printable_path(image_root.absolute()) if image_root else None,
        group_by=group_by,
    )
    return None if given == SourceOptions() else given
