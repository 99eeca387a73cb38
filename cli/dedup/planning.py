"""Writes the plan of a report, and sums up what it removes and what it leaves."""

from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.cli.output.render import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsearch.dedup.actions.plan import PlanEntry
    from mmsearch.dedup.results import DedupReport


def write_plan_of(report: "DedupReport", folder: Path, path: Path, *, versions: bool) -> str:
    """Returns what was planned, as a sentence. versions: plan edited versions too."""
    from mmsearch.dedup.actions.plan import make_plan, write_plan
    from mmsearch.store import Store

    entries = make_plan(report.groups, Store.open(folder), versions=versions)
    write_plan(entries, path)
    return f"wrote {path}: {plan_line(entries, report, versions=versions)}"


def plan_line(entries: "Sequence[PlanEntry]", report: "DedupReport", *, versions: bool) -> str:
    """'87 files (238 MB) can be removed; 12 edited versions are kept (…)'."""
    edited = sum(entry.relation == "edited version" for entry in entries)
    size = f" ({size_text(sum(entry.remove.size for entry in entries))})" if entries else ""
    removed = f"{counted(len(entries), 'file')}{size} can be removed"
    if edited:
        duplicates = counted(len(entries) - edited, "duplicate")
        removed += f": {duplicates} and {counted(edited, 'edited version')}"
    parts = [removed]
    others = [m for g in report.groups if g.family == "picture" for m in g.others]
    waiting = 0 if versions else sum(m.relation == "edited version" for m in others)
    if waiting:
        kept = "is kept (--versions plans it too)"
        if waiting > 1:
            kept = "are kept (--versions plans them too)"
        parts.append(f"{counted(waiting, 'edited version')} {kept}")
    if rest := len(others) - len(entries) - waiting:
        parts.append(
            f"{counted(rest, 'more duplicate')} {'is' if rest == 1 else 'are'} kept: with a text "
            "of its own, used by another row, protected, or not compared with the kept file itself"
        )
    return "; ".join(parts)
