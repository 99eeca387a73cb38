"""The tables of mmsearch info: the store as a whole, and the tuning of its indexes."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table

from mmsearch.cli.output.render import MiddleCut, counted, plain_table, size_text

if TYPE_CHECKING:
    from mmsearch.catalog import StoreInfo
    from mmsearch.indexes import Tuning


def info_table(state: "StoreInfo") -> Table:
    """Returns the state of a store, a row per fact."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", max_width=24)
    table.add_column(overflow="fold")
    for name, value in _rows(state):
        table.add_row(MiddleCut(name), value)
    return table


def _rows(state: "StoreInfo") -> list[tuple[str, RenderableType]]:
    """Names and values; what is empty or zero is left out."""
    counts, run = state.counts, state.last_run
    size, free = size_text(state.bytes), size_text(state.free_bytes)
    rows: list[tuple[str, RenderableType]] = [
        ("store", MiddleCut(state.folder, end=f" ({size}; {free} free on disk)")),
        ("model", f"{state.model}, {state.space['dim']:,} dimensions"),
        (
            "items",
            f"{counts['items']:,}: {counts['image']:,} with an image, {counts['text']:,} with a "
            f"text, {counts['both']:,} with both",
        ),
    ]
    if counts.get("image_parts") or counts.get("passages"):
        parts = (
            f"{counts['image_parts']:,} images of items with several, "
            f"{counts['passages']:,} passages of long texts"
        )
        rows.append(("parts", parts))
    if counts["missing"]:
        rows.append(("missing", f"{counts['missing']:,} (files gone; restored if they come back)"))
    if counts["failures"]:
        rows.append(("failures", f"{counts['failures']:,} ('mmsearch info --failures' lists them)"))
    if skipped := sum(sum(kinds.values()) for kinds in (run or {}).get("skipped", {}).values()):
        files = counted(skipped, "file")
        rows.append(("skipped", f"{files} of other formats ('mmsearch info --failures')"))
    rows += [
        (
            f"source {source['name']}",
            MiddleCut(str(source["location"]), end=f", {counted(source['items'], 'item')}"),
        )
        for source in state.sources
    ]
    rows += [
        (f"{target} index", f"{i['kind']}, {i['count']:,} vectors, {size_text(i['bytes'])}")
        for target, i in state.indexes.items()
    ]
    if "product" in state.indexes:
        rows.append(("products", fusion_line(state.fusion)))
    columns = ", ".join(f"{name} ({kind})" for name, kind in state.columns.items())
    rows.append(("columns", columns))
    last_run = "none has finished"
    if run:
        ended = datetime.fromisoformat(run["ended"]).astimezone()
        last_run = f"{ended:%Y-%m-%d %H:%M}, {float(run['seconds']):,.1f} s"
    rows.append(("last run", last_run))
    if state.interrupted:
        rows.append(("note", "the last run was interrupted; 'mmsearch index' resumes it"))
    if state.index_behind:
        rows.append(("note", "rows newer than the index are searched exactly"))
    return rows


def tuning_table(tuning: "Tuning", width: int) -> Table:
    """Recall@10 against exact search at each effort that was tried; the chosen one is marked.

    Where the terminal is narrow, the lower bounds go below the values.
    """
    queries = [f"{group} queries" for group in tuning.queries]
    narrow = width < 40 + 20 * len(queries)
    table = plain_table()
    for heading in ("effort", *queries, "ms per query"):
        table.add_column(heading, justify="right", no_wrap=not narrow)
    for point in tuning.curve:
        between = "\n" if narrow else " "
        recalls = [
            f"{point.recall[g]:.3f}{between}(≥ {point.lowest[g]:.3f})" for g in tuning.queries
        ]
        chosen = point.effort == tuning.effort
        table.add_row(
            f"→ {point.effort:,}" if chosen else f"{point.effort:,}",
            *recalls,
            f"{point.milliseconds_per_query:,.3f}",
            style="bold" if chosen else None,
        )
    return table


def tuning_line(tuning: "Tuning") -> str:
    """Returns whether the tuning reached its recall, and on how many queries it was measured."""
    sizes = " and ".join(f"{count:,} {group}" for group, count in tuning.queries.items())
    result = "reached" if tuning.reached else "NOT reached; the highest effort is used"
    return f"recall@10 of at least {tuning.floor:g}: {result} (measured on {sizes} queries)"


def fusion_line(fusion: Mapping[str, Any] | None) -> str:
    """Returns the kind of fusion, and the weight of late fusion. None: not built yet."""
    if fusion is None:
        return "not built yet"
    if fusion["kind"] == "late":
        return f"late fusion, image weight {fusion['image_weight']:.0%}"
    return f"{fusion['kind']} fusion, trained with the model"
