"""mmsearch info: what is in the store, what was skipped, and how its indexes were tuned."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.render import (
    counted,
    failures_table,
    stderr_console,
    stdout_console,
    to_json,
    write_text,
)
from mmsearch.cli.store.info_tables import info_table, tuning_line, tuning_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmsearch.catalog import Catalog
    from mmsearch.indexes import IndexMeta
    from mmsearch.records import Target


def info(
    *,
    failures: Annotated[
        bool,
        typer.Option("--failures", help="List failed items with the reason, and skipped formats."),
    ] = False,
    index: Annotated[
        bool, typer.Option("--index", help="Show how each index was chosen, and its recall.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Plot recall against effort, to an .html page or a .png image.", metavar="FILE"
        ),
    ] = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what is in the store: model, items, indexes, sizes, sources and the last run."""
    catalog = open_store(store, quiet=quiet)
    if failures:
        show_failures(catalog, as_json=as_json, quiet=quiet)
        return
    if plot is not None:
        from mmsearch.report.tuning_page import write_tuning

        write_tuning(catalog.indexes(), plot)
        stderr_console(quiet=quiet).print(f"wrote {plot}", markup=False, soft_wrap=True)
        if not index:
            return
    if index:
        show_indexes(catalog.indexes(), as_json=as_json)
        return
    state = catalog.info()
    if as_json:
        write_text(to_json({"store": state}))
    else:
        stdout_console().print(info_table(state))


def show_failures(catalog: "Catalog", *, as_json: bool, quiet: bool) -> None:
    """Prints the items that failed, and the formats of files that are not read."""
    failures = catalog.failures()
    skipped = (catalog.info().last_run or {}).get("skipped", {})
    if as_json:
        names = ("key", "source", "uri", "stage", "reason", "seen")
        rows = [{name: getattr(failure, name) for name in names} for failure in failures]
        write_text(to_json({"failures": rows, "skipped": skipped}))
        return
    if failures:
        stdout_console().print(failures_table(failures))
    for source, kinds in skipped.items():
        formats = ", ".join(f"{kind} {count:,}" for kind, count in kinds.items())
        stdout_console().print(
            f"{source}: files of formats that are not read: {formats}",
            markup=False,
            soft_wrap=True,
        )
    stderr_console(quiet=quiet).print(counted(len(failures), "failed item"))


def show_indexes(indexes: "Mapping[Target, IndexMeta]", *, as_json: bool) -> None:
    """Prints how each index was chosen and tuned."""
    if as_json:
        write_text(to_json({"indexes": indexes}))
        return
    console = stdout_console()
    for target, meta in indexes.items():
        console.print(f"[bold]{target}[/bold]: {meta.kind}, {meta.count:,} vectors", soft_wrap=True)
        console.print(meta.reason, markup=False, soft_wrap=True)
        if meta.tuning is None:
            console.print("not tuned: exact search over every vector, so recall is 1")
        else:
            console.print(tuning_table(meta.tuning, console.width))
            console.print(tuning_line(meta.tuning), soft_wrap=True)
