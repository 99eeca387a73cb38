"""mmsearch index: brings the store up to date with folders and tables."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mmsearch.cli import options
from mmsearch.cli.output.opened_store import lies_above, open_store
from mmsearch.cli.output.progress import ProgressDisplay
from mmsearch.cli.output.render import counted, report_lines, stderr_console, to_json, write_text
from mmsearch.cli.store import index_options
from mmsearch.errors import FailuresFound, InputError
from mmsearch.text import visible

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog
    from mmsearch.records import IngestReport


def index(
    *,
    sources: index_options.Sources = None,
    dry_run: options.DryRun = False,
    prune: index_options.Prune = False,
    drop: index_options.Drop = None,
    undo_prune: index_options.UndoPrune = False,
    retry: index_options.Retry = False,
    store: options.Store = None,
    here: index_options.Here = False,
    lock_timeout: index_options.LockTimeout = None,
    model: options.Model = None,
    architecture: options.Architecture = None,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
    workers: index_options.Workers = None,
    kind: options.Kind = "auto",
    image_column: options.ImageColumn = None,
    text_columns: options.TextColumns = None,
    id_column: options.IdColumn = None,
    image_root: options.ImageRoot = None,
    group_by: options.GroupBy = None,
    metadata: index_options.Metadata = None,
    position: index_options.Position = None,
    include: index_options.Include = None,
    exclude: index_options.Exclude = None,
    index_kind: index_options.Index = None,
    recall: index_options.Recall = None,
    memory: index_options.Memory = None,
    fusion: index_options.Fusion = None,
    rebuild: index_options.Rebuild = False,
    dedup: index_options.Dedup = False,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Index folders and tables, or bring a store up to date.

    Only new and changed files are decoded. An interrupted run is resumed by the next one.
    """
    catalog = open_store(
        Path.cwd() / ".mmsearch" if here else store,
        quiet=quiet,
        model=options.model_name(model, architecture),
        lock_timeout=lock_timeout,
        device=device,
        batch_size=batch_size,
        workers=workers,
        fusion=fusion,
        index=index_kind,
        recall=recall,
        memory=memory,
    )
    if lies_above(catalog, store) and not (here or dry_run):
        ask_to_add(catalog, sources or ())
    console = stderr_console(quiet=quiet)
    with ProgressDisplay(quiet=quiet) as progress:
        if undo_prune:
            console.print(f"restored {counted(catalog.undo_prune(), 'item')}")
            return
        if drop is not None:
            count = catalog.drop_source(drop, progress=progress)
            console.print(
                f"removed {counted(count, 'item')} of '{drop}'; "
                "'mmsearch index --undo-prune' restores them",
                markup=False,
                soft_wrap=True,
            )
            return
        report = catalog.index(
            *(sources or ()),
            options=options.source_options(
                kind,
                image_column,
                text_columns,
                id_column,
                include=include,
                exclude=exclude,
                image_root=image_root,
                group_by=group_by,
            ),
            retry=retry,
            prune=prune,
            rebuild=rebuild,
            dry_run=dry_run,
            metadata=metadata,
            position=position,
            progress=progress,
        )
        copies = duplicates_line(catalog, progress) if dedup and not dry_run else ""
    if as_json:
        write_text(to_json({"dry_run": dry_run, "report": report}))
    else:
        for line in report_lines(report, dry_run=dry_run):
            console.print(line, soft_wrap=True)
        if not dry_run and is_first_run(catalog, report):
            console.print(stronger_model_hint(), soft_wrap=True)
    if copies:
        console.print(copies, soft_wrap=True)
    indexed = report.added + report.updated + report.moved + report.restored + report.unchanged
    if report.failures and not indexed:
        first = report.failures[0]
        raise InputError(
            f"no item could be read; of {counted(len(report.failures), 'failure')} the first is "
            f"{visible(first.key)}: {visible(first.reason)}"
        )
    if strict and report.failures:
        raise FailuresFound(
            f"{counted(len(report.failures), 'item')} failed; 'mmsearch info --failures' lists them"
        )


def ask_to_add(catalog: "Catalog", sources: Sequence[Path]) -> None:
    """Asks before folders become sources of a store that was made for others.

    Raises InputError without a terminal to ask on, Abort if the answer is no.
    """
    from mmsearch.catalog.opening import manifest_of
    from mmsearch.catalog.sources import new_locations

    manifest = manifest_of(catalog.root)
    new = new_locations(sources, manifest) if manifest else []
    if manifest is None or not new:
        return
    added = ", ".join(visible(str(place)) for place in new)
    held = ", ".join(entry.name for entry in manifest.sources)
    about = f"the store {catalog.root}, which lies in a folder above and holds {held or 'nothing'}"
    if not sys.stdin.isatty():
        raise InputError(
            f"{added} would be added to {about}; say so with --store "
            f"{shlex.quote(str(catalog.root))}, or make a store in this folder with --here"
        )
    typer.confirm(f"Add {added} to {about}? (--here makes a store here)", abort=True, err=True)


def duplicates_line(catalog: "Catalog", progress: ProgressDisplay) -> str:
    """Compares what is new with everything else; earlier comparisons are cached."""
    from mmsearch.dedup.find import find_duplicates
    from mmsearch.dedup.options import DedupOptions
    from mmsearch.media import MediaBounds

    found = find_duplicates(
        catalog.folder,
        DedupOptions(tiers=("bytes", "pixels", "edited")),
        MediaBounds.of(catalog.settings),
        progress,
    )
    images = counted(found.duplicates, "duplicate image")
    return f"{images} in {counted(len(found.groups), 'group')}; 'mmsearch dedup' shows them"


def is_first_run(catalog: "Catalog", report: "IngestReport") -> bool:
    """Whether the built-in model has just encoded all that the store holds."""
    state = catalog.info()
    new = report.added + report.resumed
    return state.model == "builtin" and 0 < state.counts["items"] <= new


def stronger_model_hint() -> str:
    """Returns which model is more accurate than the built-in one, and what it costs."""
    from mmsearch.encoders.registry import MODELS

    base = next(model for model in MODELS if model.name == "base")
    return (
        "The built-in model is small; for photographs, --model base is more accurate "
        f"(downloads {base.download_mb:,} MB once from {base.location}; needs its own --store)"
    )
