"""mmsearch info: what is in the store, and what was skipped."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mmsearch.cli import options
from mmsearch.cli.render import failures_table, stderr_console, stdout_console, to_json, write_text

if TYPE_CHECKING:
    from mmsearch.catalog import StoreInfo


def info(
    failures: Annotated[
        bool, typer.Option("--failures", help="List every skipped item with stage and reason.")
    ] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what is in the store: model, items by modality, indexes, sizes, sources, last run."""
    from mmsearch.catalog import open_catalog

    catalog = open_catalog(store)
    if failures:
        show_failures(catalog.failures(), as_json=as_json, quiet=quiet)
        return
    state = catalog.info()
    if as_json:
        write_text(to_json({"store": state}))
    else:
        stdout_console().print(info_table(state))


def show_failures(ledger: list[dict[str, object]], *, as_json: bool, quiet: bool) -> None:
    from mmsearch.records import Failure

    if as_json:
        write_text(to_json({"failures": ledger}))
        return
    rows = [
        Failure(str(row["key"]), str(row["uri"]), row["stage"], str(row["reason"]))  # type: ignore[arg-type]
        for row in ledger
    ]
    if rows:
        stdout_console().print(failures_table(rows))
    stderr_console(quiet=quiet).print(f"{len(rows)} skipped items")


def info_table(state: "StoreInfo") -> Table:
    counts, run = state.counts, state.last_run
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = [
        ("store", f"{state.folder} ({megabytes(state.bytes)}, {megabytes(state.free_bytes)} free)"),
        ("model", f"{state.model}, {state.space['dim']} dimensions"),
        (
            "items",
            f"{counts['items']:,}: {counts['image']:,} with a picture, {counts['text']:,} with "
            f"text, {counts['both']:,} with both",
        ),
        ("missing", f"{counts['missing']:,} (files gone; back when they are)"),
        ("failures", f"{counts['failures']:,} (mmsearch info --failures)"),
        *((f"source {s['name']}", f"{s['location']}, {s['items']:,} items") for s in state.sources),
        *(
            (f"{target} index", f"{i['kind']}, {i['count']:,} vectors, {megabytes(i['bytes'])}")
            for target, i in state.indexes.items()
        ),
        ("columns", ", ".join(f"{name} ({kind})" for name, kind in state.columns.items())),
        ("last run", f"{run['ended']}, {run['seconds']} s" if run else "none has ended"),
    ]
    hidden = {name for name in ("missing", "failures") if not counts[name]}
    for name, value in rows:
        if name not in hidden:
            table.add_row(name, value)
    if state.interrupted:
        table.add_row("note", "the last run was interrupted; 'mmsearch index' goes on with it")
    if state.index_behind:
        table.add_row("note", "the index lags behind the table; the rest is searched exactly")
    return table


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"
