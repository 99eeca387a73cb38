"""Formats a report of duplicates for a terminal: summary, groups, findings, ignored items.

An item takes one line, and its evidence the next one if it does not fit beside it. Long keys are
shortened in the middle, numbers never.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from mmsearch.cli.output.render import counted, middle_cut, size_text
from mmsearch.report.titles import one_line, visible

if TYPE_CHECKING:
    from mmsearch.dedup.not_duplicates import RememberedSet
    from mmsearch.dedup.results import DedupReport, Family, Finding, Group, Member
    from mmsearch.dedup.summary import Files, Summary

# Per family and per group; --all shows the rest.
GROUPS_SHOWN, MEMBERS_SHOWN, FINDINGS_SHOWN = 10, 5, 10
_FAMILIES: "dict[Family, str]" = {
    "picture": "duplicate images",
    "similar": "similar images",
    "text": "equal texts",
}
# 'a1b2c3d4e5 kept' or 'edited version', and '999.9 MB', each with a space.
_LABEL, _SIZE = 16, 9
# Terminals of at least this width have room for evidence beside the item.
_WIDE = 110
_SHORTEST_ITEM = 12


def summary_lines(report: "DedupReport", summary: "Summary") -> Iterator[Text]:
    """Yields the number of groups, then the files that are certain or need a review."""
    found = [f"{count:,} of {_FAMILIES[name]}" for name, count in _counts(summary) if count]
    if not found:
        yield Text(f"no duplicates among {counted(report.items, 'item')}")
        return
    yield Text(f"{counted(report.items, 'item')}; groups: {', '.join(found)}", style="bold")
    if summary.files.count:
        yield Text(f"{_files(summary.files)} besides the kept ones")
        for name, files in (("certain", summary.certain), ("to review", summary.uncertain)):
            if files.count:
                yield Text(f"  {name:<14}{_files(files)}")
    kinds = [f"{name} {files.count:,}" for name, files in _relations(summary)]
    if kinds:
        yield Text(f"  {', '.join(kinds)}", style="dim")


def group_lines(
    report: "DedupReport", width: int, *, everything: bool = False
) -> Iterator[RenderableType]:
    """Yields the largest groups of each family. everything: all groups with all their items."""
    from mmsearch.dedup.summary import largest

    for family, words in _FAMILIES.items():
        groups = largest([group for group in report.groups if group.family == family])
        shown = groups if everything else groups[:GROUPS_SHOWN]
        if not shown:
            continue
        total = counted(len(groups), "group")
        heading = f"{len(shown):,} largest of {total}" if shown != groups else total
        yield Text(f"\n{words.capitalize()} ({heading})", style="bold")
        item_width = _item_width(shown, width)
        for place, group in enumerate(shown):
            if place:
                yield Text()
            yield from _group(group, width, item_width, everything=everything)


def findings_lines(
    findings: "Sequence[Finding]", width: int, *, everything: bool = False
) -> Iterator[RenderableType]:
    """Yields each finding's kind, its items and the detail; the first few unless `everything`."""
    shown = findings if everything else findings[:FINDINGS_SHOWN]
    if not shown:
        return
    of_all = f" ({len(shown):,} of {len(findings):,})" if len(shown) < len(findings) else ""
    yield Text(f"\nFindings{of_all}", style="bold")
    for finding in shown:
        yield Text(finding.kind)
        for key in finding.keys[:4]:
            yield _line(f"  {middle_cut(visible(key), max(width - 2, _SHORTEST_ITEM))}")
        if len(finding.keys) > 4:
            yield _line(f"  … {len(finding.keys) - 4:,} more", style="dim")
        yield Padding(Text(one_line(finding.detail), style="dim"), (0, 0, 0, 2), expand=False)


def remembered_lines(remembered: "Sequence[RememberedSet]", width: int) -> Iterator[Text]:
    """Yields the sets of items that are marked as not duplicates."""
    for each in remembered:
        yield _line(f"{each.name}  {each.since[:10]}  {counted(len(each.items), 'item')}")
        for item in each.items:
            yield _line(f"  {middle_cut(visible(item.key), max(width - 2, _SHORTEST_ITEM))}")


def _counts(summary: "Summary") -> "Iterator[tuple[Family, int]]":
    for name in _FAMILIES:
        yield name, summary.groups.get(name, 0)


def _relations(summary: "Summary") -> "Iterator[tuple[str, Files]]":
    from mmsearch.dedup.results import RELATIONS

    return ((name, summary.relations[name]) for name in RELATIONS if name in summary.relations)


def _files(files: "Files") -> str:
    return f"{counted(files.count, 'file')} ({size_text(files.bytes)})"


def _group(
    group: "Group", width: int, item_width: int, *, everything: bool
) -> Iterator[RenderableType]:
    label = Text.assemble((group.id, "dim"), " ", ("kept", "green"))
    kept, widths = group.kept, (width, item_width)
    yield from _item(label, kept.key, kept.size, widths, evidence=one_line(group.reason))
    shown = group.others if everything else group.others[:MEMBERS_SHOWN]
    for member in shown:
        yield from _item(
            Text(member.relation, style="cyan"), member.item.key, member.item.size, widths,
            evidence=_evidence(member, width),
        )  # fmt: skip
    if len(shown) < len(group.others):
        yield _line(f"{'':{_LABEL}}… {len(group.others) - len(shown):,} more", style="dim")


def _item(
    label: Text, key: str, size: int, widths: tuple[int, int], *, evidence: str
) -> Iterator[RenderableType]:
    """Yields an item and its evidence. widths: of the line, and of the key in it."""
    width, item_width = widths
    name = middle_cut(visible(key), item_width)
    line = Text(no_wrap=True)
    line.append_text(label).append(" " * (_LABEL - label.cell_len))
    line.append(name + " " * (item_width - cell_len(name)))
    line.append(f"{size_text(size) if size else '':>{_SIZE}}")
    if evidence and width >= _WIDE and line.cell_len + 2 + cell_len(evidence) <= width:
        yield line.append(f"  {evidence}", style="dim")
        return
    yield line
    if evidence:
        yield Padding(Text(evidence, style="dim"), (0, 0, 0, _LABEL), expand=False)


def _evidence(member: "Member", width: int) -> str:
    """Returns the evidence on one line; the key of a third item is shortened in the middle."""
    text = one_line(member.evidence)
    if member.changes:
        text += f"; differs in {counted(len(member.changes), 'place')}"
    if not member.via:
        return text
    room = width - _LABEL - cell_len(text) - len(" (with )")
    return f"{text} (with {middle_cut(visible(member.via), max(room, _SHORTEST_ITEM))})"


def _item_width(groups: "Sequence[Group]", width: int) -> int:
    """Returns the width of the keys, less what the evidence beside them needs."""
    longest = max(cell_len(visible(item.key)) for group in groups for item in group.items)
    room = width - _LABEL - _SIZE
    if width >= _WIDE:
        longest_evidence = max(
            cell_len(_evidence(member, width)) for group in groups for member in group.others
        )
        room = max(room - 2 - longest_evidence, room // 2)
    return max(min(longest, room), _SHORTEST_ITEM)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True)
