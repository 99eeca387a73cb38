"""Finds duplicates in a store, plans which files could go, applies a plan, and undoes it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.config import Settings
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.store import Store

if TYPE_CHECKING:
    from mmsearch.dedup.actions.apply import Action, ApplyReport
    from mmsearch.dedup.actions.plan import PlanEntry
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
