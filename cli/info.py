"""mmsearch info: what is in the store, and what was skipped."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from mmsearch.cli import options
from mmsearch.cli.render import (
    failures_table,
    plain_table,
    stderr_console,
    stdout_console,
    to_json,
    write_text,
)
from mmsearch.records import Failure, Target

if TYPE_CHECKING:
    from mmsearch.catalog import StoreInfo
    from mmsearch.indexes import IndexMeta, Tuning


def info(
    failures: Annotated[
        bool, typer.Option("--failures", help="List every skipped item with stage and reason.")
    ] = False,
    index: Annotated[
        bool, typer.Option("--index", help="Show why each index is what it is, and its recall.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw recall over effort into a .html page or a .png picture.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
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
    if plot is not None:
        from mmsearch.report.tuning_page import write_tuning

        write_tuning(catalog.indexes(), plot)
        stderr_console(quiet=quiet).print(f"wrote {plot}", soft_wrap=True)
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


def show_failures(failures: "Sequence[Failure]", *, as_json: bool, quiet: bool) -> None:
    if as_json:
        names = ("key", "source", "uri", "stage", "reason", "seen")
        rows = [{name: getattr(failure, name) for name in names} for failure in failures]
        write_text(to_json({"failures": rows}))
        return
    if failures:
        stdout_console().print(failures_table(failures))
    stderr_console(quiet=quiet).print(f"{len(failures)} skipped items")


def show_indexes(indexes: "Mapping[Target, IndexMeta]", *, as_json: bool) -> None:
    if as_json:
        write_text(to_json({"indexes": indexes}))
        return
    console = stdout_console()
    for target, meta in indexes.items():
        console.print(f"[bold]{target}[/bold]: {meta.kind}, {meta.count:,} vectors", soft_wrap=True)
        console.print(meta.reason, markup=False, soft_wrap=True)
        if meta.tuning is None:
            console.print("not tuned: every vector is compared, so recall is 1")
        else:
            console.print(tuning_table(meta.tuning))
            console.print(tuning_line(meta.tuning))


def tuning_table(tuning: "Tuning") -> Table:
    """Recall@10 against exact search at each effort tried; the one chosen is marked."""
    table = plain_table()
    for heading in ("effort", *(f"{group} queries" for group in tuning.queries), "ms per query"):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in tuning.curve:
        recalls = [f"{point.recall[g]:.3f} (≥ {point.lowest[g]:.3f})" for g in tuning.queries]
        chosen = point.effort == tuning.effort
        effort = f"→ {point.effort}" if chosen else str(point.effort)
        style = "bold" if chosen else None
        table.add_row(effort, *recalls, f"{point.milliseconds_per_query:.3f}", style=style)
    return table


def tuning_line(tuning: "Tuning") -> str:
    asked = " and ".join(f"{count:,} {group}" for group, count in tuning.queries.items())
    outcome = "reached" if tuning.reached else "NOT reached: the best effort was taken"
    return f"recall@10 of at least {tuning.floor:g}: {outcome}, held on {asked} queries"


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
        *([("products", fusion_line(state.fusion))] if "product" in state.indexes else []),
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


def fusion_line(fusion: "Mapping[str, Any] | None") -> str:
    if fusion is None:
        return "not made yet"
    if fusion["kind"] == "late":
        return f"late fusion, {fusion['image_weight']:.0%} picture"
    return f"{fusion['kind']} fusion, trained with the model"


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"
