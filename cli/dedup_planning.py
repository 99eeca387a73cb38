"""Writes the plan of a report, and says in one line what can go and what stays for a look."""

from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.cli.dedup_tables import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsearch.dedup.actions.plan import PlanEntry
    from mmsearch.dedup.results import DedupReport


def write_plan_of(report: "DedupReport", folder: Path, path: Path, *, versions: bool) -> str:
    """Returns what was planned, for people. versions: whether edited versions are planned too."""
    from mmsearch.dedup.actions.plan import make_plan, write_plan
    from mmsearch.store import Store

    entries = make_plan(report.groups, Store.open(folder), versions=versions)
    write_plan(entries, path)
    return f"wrote {path}: {plan_line(entries, report, versions=versions)}"


def plan_line(entries: "Sequence[PlanEntry]", report: "DedupReport", *, versions: bool) -> str:
    """'87 files (238 MB) are copies and can go; 12 edited versions stay (…)'."""
    edited = sum(entry.relation == "edited version" for entry in entries)
    copies = len(entries) - edited
    noun = "file is a copy" if len(entries) == 1 else "files are copies"
    size = f" ({size_text(sum(entry.remove.size for entry in entries))})" if entries else ""
    parts = [f"{len(entries):,} {noun.replace(' ', f'{size} ', 1)} and can go"]
    if edited:
        parts = [
            f"{len(entries):,} {'file' if len(entries) == 1 else 'files'}{size} can go: "
            f"{_counted(copies, 'copy', 'copies')}, "
            f"{_counted(edited, 'edited version', 'edited versions')}"
        ]
    others = [m for g in report.groups if g.family == "picture" for m in g.others]
    waiting = 0 if versions else sum(m.relation == "edited version" for m in others)
    if waiting:
        verb = "stays" if waiting == 1 else "stay"
        them = "it" if waiting == 1 else "them"
        said = _counted(waiting, "edited version", "edited versions")
        parts.append(f"{said} {verb} (--versions plans {them} too)")
    if rest := len(others) - len(entries) - waiting:
        said = _counted(rest, "further copy", "further copies")
        parts.append(
            f"{said} {'stays' if rest == 1 else 'stay'}: with a text of its own, in a file that "
            "another row uses, protected, or never compared with the kept one"
        )
    return "; ".join(parts)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
