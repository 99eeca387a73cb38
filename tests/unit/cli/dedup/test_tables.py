"""Reports of duplicates in terminals of several widths: what is truncated, and what never is."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from mmsearch.cli.dedup.groups_csv import groups_csv
from mmsearch.cli.dedup.planning import plan_line
from mmsearch.cli.dedup.tables import findings_lines, group_lines, summary_lines
from mmsearch.cli.output.render import size_text
from mmsearch.dedup.items import Item
from mmsearch.dedup.results import (
    Box,
    DedupReport,
    Finding,
    Group,
    Member,
    Relation,
    Thresholds,
    Tier,
)
from mmsearch.dedup.summary import largest, summarised

LONG = "shop/holiday pictures of the year 2024 from the old phone/IMG_20240711_183012_edited.jpg"
EVIDENCE = "turned by a quarter to the left, patches agree to 0.93"
REASON = "whole picture, 4.1 times the detail, has EXIF"
RELATIONS: dict[Relation, Tier] = {
    "exact": "bytes",
    "same image": "edited",
    "edited version": "edited",
}


def item(key: str, size: int = 2_345_678) -> Item:
    return Item(1, key, "shop", f"/data/{key}", "", 400, 300, size, 1, "h")


def group(number: int, relations: list[Relation], via: str = "") -> Group:
    members = tuple(
        Member(
            item(f"{number}-{place} {LONG}"),
            RELATIONS[relation],
            0.93,
            EVIDENCE,
            via,
            relation,
            (Box(0.1, 0.2, 0.3, 0.4),) if relation == "edited version" else (),
        )
        for place, relation in enumerate(relations)
    )
    return Group(f"{number:010x}", "picture", "edited", item(f"kept {LONG}"), members, REASON)


def report(*groups: Group) -> DedupReport:
    finding = Finding.of("same picture, different text", groups[0].items, "a: red; b: blue")
    thresholds = Thresholds(0.72, 0.92, 0.7, "fixed", {})
    return DedupReport(2_936, groups, (finding,), thresholds, (), 1.0)


EVERY: list[Relation] = ["exact", "same image", "edited version"]
MANY = report(*(group(number, EVERY) for number in range(12)), group(12, ["exact"] * 9))


def printed(found: DedupReport, width: int, *, everything: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    with console.capture() as capture:
        for line in summary_lines(found, summarised(found.groups)):
            console.print(line)
        for each in group_lines(found, width, everything=everything):
            console.print(each)
        for each in findings_lines(found.findings, width, everything=everything):
            console.print(each)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 120, 10_000])
def test_lines_fit_and_numbers_are_whole(width: int) -> None:
    lines = printed(MANY, width)
    assert max(map(cell_len, lines)) <= width
    named = [
        line for line in lines if line.startswith(("exact ", "same image ", "edited version "))
    ]
    assert len(named) == 5 + 9 * 3
    assert all("2.3 MB" in line and "edited.jpg" in line for line in named)
    # Wrapped at 60 columns at most, but complete.
    said = " ".join(" ".join(lines).split())
    assert said.count(EVIDENCE) == len(named)
    assert said.count(REASON) == 10
    assert said.count(f"{EVIDENCE}; differs in 1 place") == 9


def test_a_pair_takes_two_lines_at_80_columns_and_one_where_there_is_room() -> None:
    one = report(group(1, ["same image"]))
    for width, expected in ((80, 2), (10_000, 1)):
        lines = printed(one, width)
        start = next(n for n, line in enumerate(lines) if line.startswith("same image "))
        assert lines.index("", start) - start == expected
    assert LONG in " ".join(printed(one, 10_000))


def test_the_summary_comes_first_and_counts_each_file_once() -> None:
    lines = printed(MANY, 80)
    assert lines[0] == "2,936 items; groups: 13 of duplicate images"
    assert lines[1] == "45 files (106 MB) besides the kept ones"
    assert [" ".join(line.split()) for line in lines[2:5]] == [
        "certain 33 files (77.4 MB)",
        "to review 12 files (28.1 MB)",
        "exact 21, same image 12, edited version 12",
    ]
    twice = report(group(1, ["exact"]), group(1, ["exact"]))
    assert summarised(twice.groups).files.count == 1
    nobody_compared = report(group(1, ["exact"], via="shop/other.jpg"))
    assert summarised(nobody_compared.groups).certain.count == 0


def test_the_ten_largest_groups_are_shown_and_all_on_request() -> None:
    assert "(10 largest of 13 groups)" in " ".join(printed(MANY, 80))
    assert largest(MANY.groups)[0].id == f"{12:010x}"
    assert sum(line.startswith("00000") for line in printed(MANY, 80)) == 10
    assert any(line.strip() == "… 4 more" for line in printed(MANY, 80))
    everything = printed(MANY, 80, everything=True)
    assert sum(line.startswith("00000") for line in everything) == 13
    assert not any(line.endswith(" more") for line in everything)


def test_hostile_names_cannot_steer_the_terminal() -> None:
    hostile = "shop/\x1b[2J[bold red]\u202e.jpg"
    copy = Member(item(hostile), "bytes", 1.0, hostile, hostile, "exact")
    found = report(Group("0" * 10, "picture", "bytes", item(hostile), (copy,), hostile))
    text = "\n".join(printed(found, 80))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold red]" in text


def test_csv_has_relations_changes_and_reasons() -> None:
    lines = groups_csv(report(group(1, EVERY))).splitlines()
    assert lines[0].endswith("evidence,via,relation,changes,reason")
    assert lines[1].endswith(f'"{REASON}"')
    assert lines[4].endswith(",edited version,0.100 0.200 0.300 0.400,")


def test_a_plan_says_what_goes_and_what_stays() -> None:
    nothing = plan_line([], report(group(1, ["edited version"])), versions=False)
    assert nothing == ("0 files can be removed; 1 edited version is kept (--versions plans it too)")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (51_200, "51 kB"), (4_100_000, "4.1 MB"), (238e6, "238 MB"),
     (999_600, "1.0 MB"), (2.5e12, "2.5 TB")],
)  # fmt: skip
def test_sizes_are_short(count: int, text: str) -> None:
    assert size_text(int(count)) == text
