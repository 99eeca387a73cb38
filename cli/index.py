"""mmsearch index: brings the store up to date with folders and tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmsearch.cli import options
from mmsearch.cli.progress import ProgressDisplay
from mmsearch.cli.render import report_lines, stderr_console, to_json, write_text
from mmsearch.indexes import IndexKind
from mmsearch.records import FusionChoice

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog


def index(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders, or tables (CSV, TSV, JSONL, Parquet). None: all that the store knows.",
            show_default=False,
        ),
    ] = None,
    store: options.Store = None,
    model: options.Model = None,
    device: options.Device = None,
    kind: Annotated[
        Literal["auto", "folder", "table"], typer.Option(help="How to read the sources.")
    ] = "auto",
    fusion: Annotated[
        FusionChoice | None,
        typer.Option(
            help="How picture and text become a product: late averages them, early and attention "
            "come with a model that was tuned for it, auto takes what the model brings, else late. "
            "The store remembers it.",
            show_default=False,
        ),
    ] = None,
    index_kind: Annotated[
        IndexKind | None,
        typer.Option(
            "--index",
            help="The vector index: auto chooses by rows and memory. The store remembers it.",
            show_default=False,
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            help="The recall@10 that the index is tuned to; 0.95 at first. The store remembers it.",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What an index may take while it is searched, like 2GB; auto: half of the "
            "machine's. The store remembers it.",
            metavar="SIZE",
            show_default=False,
        ),
    ] = None,
    image_column: Annotated[str | None, typer.Option(help="The table's image column.")] = None,
    text_columns: Annotated[
        str | None, typer.Option(help="The table's text columns, separated by commas.")
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="The table's id column.")] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Only paths that match this glob; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="No paths that match this glob; repeatable.")
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Read files again that failed before.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Take out items whose files are gone.")
    ] = False,
    drop: Annotated[
        str | None, typer.Option(help="Take a whole source out, by its name.", metavar="SOURCE")
    ] = None,
    undo_prune: Annotated[
        bool, typer.Option("--undo-prune", help="Bring back what --prune or --drop took out last.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build the vector index again from the table.")
    ] = False,
    dedup: Annotated[
        bool,
        typer.Option("--dedup", help="Count duplicate images at the end."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 6 if any item failed.")
    ] = False,
    batch_size: Annotated[int | None, typer.Option(help="Pictures per forward pass.")] = None,
    workers: Annotated[int | None, typer.Option(help="Decoding processes.")] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Index folders and tables: new, changed, moved and missing files are found; the rest is kept.

    A second run decodes only what changed. A run that was stopped goes on where it was.
    """
    from mmsearch.catalog import open_catalog
    from mmsearch.errors import FailuresFound
    from mmsearch.sources import SourceOptions

    catalog = open_catalog(
        store,
        model=model,
        device=device,
        batch_size=batch_size,
        workers=workers,
        fusion=fusion,
        index=index_kind,
        recall=recall,
        memory=memory,
    )
    console = stderr_console(quiet=quiet)
    with ProgressDisplay(quiet=quiet) as progress:
        if undo_prune:
            console.print(f"brought back {catalog.undo_prune()} items")
            return
        if drop is not None:
            count = catalog.drop_source(drop, progress=progress)
            console.print(f"took out {count} items of {drop}; --undo-prune brings them back")
            return
        given = SourceOptions(
            kind=kind,
            image_column=image_column,
            text_columns=tuple(text_columns.split(",")) if text_columns else (),
            id_column=id_column,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
        )
        report = catalog.index(
            *(sources or ()),
            options=given if given != SourceOptions() else None,
            retry=retry,
            prune=prune,
            rebuild=rebuild,
            dry_run=dry_run,
            progress=progress,
        )
        copies = duplicates_line(catalog, progress) if dedup and not dry_run else ""
    if as_json:
        write_text(to_json({"dry_run": dry_run, "report": report}))
    else:
        for line in (["dry run: nothing was written"] if dry_run else []) + report_lines(report):
            console.print(line, soft_wrap=True)
        if not dry_run and catalog.info().model == "builtin":
            console.print(base_advice(), soft_wrap=True)
    if copies:
        console.print(copies, soft_wrap=True)
    if strict and report.failures:
        raise FailuresFound(
            f"{len(report.failures)} items failed; 'mmsearch info --failures' lists them"
        )


def duplicates_line(catalog: "Catalog", progress: ProgressDisplay) -> str:
    """Compares what is new with all that is there; what was compared before is remembered."""
    from mmsearch.dedup.find import find_duplicates
    from mmsearch.dedup.options import DedupOptions
    from mmsearch.media import MediaBounds

    options = DedupOptions(tiers=("bytes", "pixels", "edited"))
    bounds = MediaBounds.of(catalog.settings)
    found = find_duplicates(catalog.folder, options, bounds, progress)
    images = (
        "1 duplicate image" if found.duplicates == 1 else (f"{found.duplicates:,} duplicate images")
    )
    groups = "1 group" if len(found.groups) == 1 else f"{len(found.groups):,} groups"
    return f"{images} in {groups}; 'mmsearch dedup' shows them"


def base_advice() -> str:
    from mmsearch.encoders.registry import MODELS

    base = next(model for model in MODELS if model.name == "base")
    return (
        "The built-in model is small: for photographs in the wild '--model base' is stronger "
        f"(downloads {base.location} once, {base.download_mb:,} MB; give it its own --store)"
    )
