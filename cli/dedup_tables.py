"""A report of duplicates as lines of a terminal: the summary, groups, findings, what is ignored.

An item takes one line, and its evidence the next where it does not fit beside it. Keys lose their
middle where a line is too short, numbers never.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from mmsearch.cli.render import middle_cut
from mmsearch.report.titles import one_line, visible

if TYPE_CHECKING:
    from mmsearch.dedup.not_duplicates import RememberedSet
    from mmsearch.dedup.results import DedupReport, Family, Finding, Group, Member
    from mmsearch.dedup.summary import Files, Summary

# Of each family, and of each group; --all shows the rest.
GROUPS_SHOWN, MEMBERS_SHOWN, FINDINGS_SHOWN = 10, 5, 10
_FAMILIES: "dict[Family, str]" = {
    "picture": "of one picture",
    "similar": "of similar pictures",
    "text": "of one text",
}
# 'a1b2c3d4e5 kept', 'edited version' and '999.9 MB', each with a space.
_LABEL, _SIZE = 16, 9
# From so many columns on evidence may stand beside its item.
_WIDE = 110
_SHORTEST_ITEM = 12


def summary_lines(report: "DedupReport", summary: "Summary") -> Iterator[Text]:
    """What was found, what is certain, and what a person has to look at."""
    found = [f"{count:,} {_FAMILIES[name]}" for name, count in _counts(summary) if count]
    if not found:
        yield Text(f"no duplicates among {report.items:,} items")
        return
    yield Text(f"{report.items:,} items; groups: {', '.join(found)}", style="bold")
    if summary.files.count:
        yield Text(f"{_files(summary.files)} beside the kept ones")
        for name, files in (("certain", summary.certain), ("needs a look", summary.uncertain)):
            if files.count:
                yield Text(f"  {name:<14}{_files(files)}")
    kinds = [f"{name} {files.count:,}" for name, files in _relations(summary)]
    if kinds:
        yield Text(f"  {', '.join(kinds)}", style="dim")


def group_lines(
    report: "DedupReport", width: int, *, everything: bool = False
) -> Iterator[RenderableType]:
    """The largest groups of each family. everything: all groups with all their items."""
    from mmsearch.dedup.summary import largest

    for family, words in _FAMILIES.items():
        groups = largest([group for group in report.groups if group.family == family])
        shown = groups if everything else groups[:GROUPS_SHOWN]
        if not shown:
            continue
        heading = f"{len(shown):,} largest of {len(groups):,}" if shown != groups else "all"
        yield Text(f"\nGroups {words} ({heading})", style="bold")
        item_width = _item_width(shown, width)
        for place, group in enumerate(shown):
            if place:
                yield Text()
            yield from _group(group, width, item_width, everything=everything)


def findings_lines(
    findings: "Sequence[Finding]", width: int, *, everything: bool = False
) -> Iterator[RenderableType]:
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
    """What a user has said are not duplicates, a set after the other."""
    for each in remembered:
        yield _line(f"{each.name}  {each.since[:10]}  {len(each.items):,} items")
        for item in each.items:
            yield _line(f"  {middle_cut(visible(item.key), max(width - 2, _SHORTEST_ITEM))}")


def size_text(count: int) -> str:
    """Bytes for people, at most eight cells: '51 kB', '4.1 MB', '238 MB'."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return (
                f"{size:.1f} {unit}"
                if size < 99.95 and unit in ("MB", "GB")
                else (f"{size:.0f} {unit}")
            )
        size /= 1000
    return f"{size:,.1f} TB"


def _counts(summary: "Summary") -> "Iterator[tuple[Family, int]]":
    for name in _FAMILIES:
        yield name, summary.groups.get(name, 0)


def _relations(summary: "Summary") -> "Iterator[tuple[str, Files]]":
    from mmsearch.dedup.results import RELATIONS

    return ((name, summary.relations[name]) for name in RELATIONS if name in summary.relations)


def _files(files: "Files") -> str:
    noun = "file" if files.count == 1 else "files"
    return f"{files.count:,} {noun} ({size_text(files.bytes)})"


def _group(
    group: "Group", width: int, item_width: int, *, everything: bool
) -> Iterator[RenderableType]:
    label = Text.assemble((group.id, "dim"), " ", ("kept", "green"))
    yield from _item(
        label, group.kept.key, group.kept.size, (width, item_width), one_line(group.reason)
    )
    shown = group.others if everything else group.others[:MEMBERS_SHOWN]
    for member in shown:
        yield from _item(
            Text(member.relation, style="cyan"),
            *(member.item.key, member.item.size, (width, item_width), _evidence(member, width)),
        )
    if len(shown) < len(group.others):
        yield _line(f"{'':{_LABEL}}… {len(group.others) - len(shown):,} more", style="dim")


def _item(
    label: Text, key: str, size: int, widths: tuple[int, int], evidence: str
) -> Iterator[RenderableType]:
    """widths: of the line, and of the key in it."""
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
    """One line for people; the key of a third item loses its middle."""
    said = one_line(member.evidence)
    if member.changes:
        places = "place" if len(member.changes) == 1 else "places"
        said += f"; differs in {len(member.changes):,} {places}"
    if not member.via:
        return said
    room = width - _LABEL - cell_len(said) - len(" (with )")
    return f"{said} (with {middle_cut(visible(member.via), max(room, _SHORTEST_ITEM))})"


def _item_width(groups: "Sequence[Group]", width: int) -> int:
    """Of the column of keys: as wide as they are, as far as the line has room for the evidence."""
    longest = max(cell_len(visible(item.key)) for group in groups for item in group.items)
    room = width - _LABEL - _SIZE
    if width >= _WIDE:
        said = (cell_len(_evidence(m, width)) for group in groups for m in group.others)
        room = max(room - 2 - max(said), room // 2)
    return max(min(longest, room), _SHORTEST_ITEM)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True)
