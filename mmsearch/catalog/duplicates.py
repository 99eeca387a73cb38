"""Finds duplicates in a store, plans which files could go, applies a plan, and ignores pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.config import Settings
from mmsearch.errors import InputError, NotFound
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.store import Store

if TYPE_CHECKING:
    from mmsearch.dedup.actions.apply import Action, ApplyReport
    from mmsearch.dedup.actions.plan import PlanEntry
    from mmsearch.dedup.not_duplicates import MarkedItem, RememberedSet
    from mmsearch.dedup.options import DedupOptions
    from mmsearch.dedup.results import DedupReport


def find(
    folder: Path, options: "DedupOptions", settings: Settings, progress: ProgressListener
) -> "DedupReport":
    """Also saves the groups, so that a later command can name one of them."""
    from mmsearch.dedup.find import find_duplicates
    from mmsearch.dedup.last_groups import save_groups

    report = find_duplicates(folder, options, MediaBounds.of(settings), progress)
    save_groups(folder, report.groups)
    return report


def plan(
    folder: Path, report: "DedupReport", *, versions: bool, path: Path | str | None
) -> "list[PlanEntry]":
    """Plans which files could go, and writes the plan to `path` if one is given."""
    from mmsearch.dedup.actions.plan import make_plan, write_plan

    entries = make_plan(report.groups, Store.open(folder), versions=versions)
    if path is not None:
        write_plan(entries, Path(path))
    return entries


def apply(
    folder: Path,
    plan: "Sequence[PlanEntry] | Path | str",
    action: "Action",
    *,
    to: Path | str | None,
    references: Sequence[Path | str],
) -> "ApplyReport":
    """Carries out a plan that was made for this store, or the one in a file."""
    from mmsearch.dedup.actions.apply import apply_plan, require_own
    from mmsearch.dedup.actions.plan import read_plan

    entries = read_plan(Path(plan)) if isinstance(plan, Path | str) else plan
    require_own(folder, entries)
    return apply_plan(
        folder,
        entries,
        action,
        to=None if to is None else Path(to),
        references=[Path(place) for place in references],
    )


def ignore(folder: Path, names: Sequence[str]) -> "RememberedSet":
    """Marks a group of the last report, or items by key or path, as not duplicates."""
    from mmsearch.dedup.last_groups import items_of_group
    from mmsearch.dedup.not_duplicates import remember

    if not names:
        raise InputError(
            "name a group, or two items by key or path; `catalog.ignored_duplicates()` lists the "
            "ignored ones"
        )
    if len(names) == 1:
        return remember(folder, items_of_group(folder, names[0]), name=names[0])
    return remember(folder, _named(folder, names))


def unignore(folder: Path, names: Sequence[str]) -> None:
    """Takes back a mark by its name, or the part of it that concerns two items."""
    from mmsearch.dedup.not_duplicates import forget_pair, forget_set

    if len(names) == 1:
        count = forget_set(folder, names[0])
    elif len(names) == 2:
        count = forget_pair(folder, *_named(folder, names))
    else:
        raise InputError(
            "name one mark that `catalog.ignored_duplicates()` lists, or two items by key or path"
        )
    if not count:
        raise NotFound(
            f"nothing to undo: {' and '.join(names)} {'are' if len(names) > 1 else 'is'} not "
            "ignored; `catalog.ignored_duplicates()` lists the ignored items"
        )


def _named(folder: Path, names: Sequence[str]) -> "list[MarkedItem]":
    from mmsearch.dedup.last_groups import named_item

    store = Store.open(folder)
    items = [named_item(store, name) for name in names]
    if len(set(items)) < len(items):
        raise InputError("these names refer to the same item; name different ones")
    return items
