"""The options of mmsearch index."""

from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli.options import OUTPUT, READING, STORE_AND_MODEL
from mmsearch.indexes import IndexKind
from mmsearch.records import FusionChoice

_INDEX = "Vector index (remembered by the store)"

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Folders or tables (CSV, TSV, JSONL, Parquet). Default: every source in the store.",
        metavar="SOURCE",
        show_default=False,
    ),
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove items whose files no longer exist.")]
Here = Annotated[
    bool,
    typer.Option(
        "--here",
        help="Keep the store in this folder, even if there is one in a folder above.",
        rich_help_panel=STORE_AND_MODEL,
    ),
]
LockTimeout = Annotated[
    float | None,
    typer.Option(
        help="How long to wait while another process writes to the store. Default: 600.",
        metavar="SECONDS",
        rich_help_panel=STORE_AND_MODEL,
    ),
]
Drop = Annotated[str | None, typer.Option(help="Remove a whole source, by name.", metavar="SOURCE")]
UndoPrune = Annotated[
    bool, typer.Option("--undo-prune", help="Restore what the last --prune or --drop removed.")
]
Retry = Annotated[
    bool,
    typer.Option(
        "--retry", help="Try files again that failed before, and split long texts that were cut."
    ),
]
Fetch = Annotated[
    bool | None,
    typer.Option(
        "--fetch/--no-fetch",
        help="Download images that tables name by URL, from public addresses, into the store. "
        "Remembered for each source; default: off.",
        rich_help_panel=READING,
    ),
]
FetchFrom = Annotated[
    list[str] | None,
    typer.Option(
        help="Fetch from this host although its address is not public; repeatable.",
        metavar="HOST",
        rich_help_panel=READING,
    ),
]
Refetch = Annotated[
    bool,
    typer.Option(
        "--refetch",
        help="Ask for every URL again whether its image has changed.",
        rich_help_panel=READING,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that decode images. Default: by the number of cores.",
        metavar="N",
        rich_help_panel=STORE_AND_MODEL,
    ),
]
VectorColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of vectors that --model made elsewhere, as lists of numbers; or two, of "
        "images and of texts, separated by a comma. Their rows are not encoded.",
        metavar="COLUMNS",
        rich_help_panel=READING,
    ),
]
Vectors = Annotated[
    Path | None,
    typer.Option(
        help="NumPy file (.npy) with the vectors of a table's rows, in the same order, instead.",
        metavar="FILE",
        rich_help_panel=READING,
    ),
]
VectorOf = Annotated[
    str | None,
    typer.Option(
        help="What the vectors are of: image or text. Default: text for columns named so, else "
        "image.",
        metavar="image|text",
        rich_help_panel=READING,
    ),
]
Metadata = Annotated[
    bool | None,
    typer.Option(
        "--metadata/--no-metadata",
        help="Read what images say of themselves (EXIF, XMP, IPTC, .xmp files), or leave it out; "
        "remembered by source. --metadata also reads it from images that are indexed already, "
        "without encoding them again. Default: read it.",
        rich_help_panel=READING,
    ),
]
Position = Annotated[
    bool | None,
    typer.Option(
        "--position/--no-position",
        help="Keep where images were taken (coordinates, streets), too; remembered by source. "
        "Default: leave it out.",
        rich_help_panel=READING,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        help="Index only paths that match this glob; repeatable.",
        metavar="GLOB",
        rich_help_panel=READING,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        help="Skip paths that match this glob; repeatable.",
        metavar="GLOB",
        rich_help_panel=READING,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="Kind of a table's column: number, text, date, day-first, month-first, bool, list or "
        "skip; repeatable.",
        metavar="NAME=KIND",
        rich_help_panel=READING,
    ),
]
Table = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        help="How to read a table: decimal=, or decimal=. for numbers, header=yes or header=no, "
        "delimiter=CHARACTER, encoding=NAME; repeatable.",
        metavar="SETTING=VALUE",
        rich_help_panel=READING,
    ),
]
Index = Annotated[
    IndexKind | None,
    typer.Option(
        "--index",
        help="Kind of index: auto (by number of rows and memory), flat, hnsw, ivf-flat, ivf-sq8, "
        "ivf-pq, binary or lance. Default: auto.",
        metavar="KIND",
        rich_help_panel=_INDEX,
    ),
]
Recall = Annotated[
    float | None,
    typer.Option(
        help="Recall@10 to tune the index for, between 0 and 1. Default: 0.95.",
        metavar="RECALL",
        rich_help_panel=_INDEX,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        help="Memory that the index may use while it is searched, such as 2GB. Default: half of "
        "this machine's.",
        metavar="SIZE",
        rich_help_panel=_INDEX,
    ),
]
Fusion = Annotated[
    FusionChoice | None,
    typer.Option(
        help="Combine image and text into a product vector by late fusion (average), by the "
        "early or attention fusion of a fine-tuned model, or auto: the model's fusion if it has "
        "one, else late. Default: auto.",
        metavar="auto|late|early|attention",
        rich_help_panel=_INDEX,
    ),
]
Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild", help="Rebuild the indexes from the stored vectors.", rich_help_panel=_INDEX
    ),
]
Dedup = Annotated[
    bool,
    typer.Option("--dedup", help="Count duplicate images at the end.", rich_help_panel=OUTPUT),
]
