"""mmsearch dedup: duplicates of pictures and texts in the store, tier by tier, with evidence."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from mmsearch.cli import options
from mmsearch.cli.progress import ProgressDisplay
from mmsearch.cli.render import (
    MiddleCut,
    plain_table,
    stderr_console,
    stdout_console,
    to_json,
    write_text,
)
from mmsearch.records import printable_path
from mmsearch.report.titles import one_line

if TYPE_CHECKING:
    from mmsearch.dedup.results import DedupReport

_SHOWN = 50
_CSV_COLUMNS = ("group", "family", "role", "tier", "score", "key", "uri", "evidence", "via")


def dedup(
    context: typer.Context,
    tiers: Annotated[
        str | None,
        typer.Option(
            help="Which to look for, separated by commas: bytes, pixels, edited, similar, "
            "text-same, text-near. Default: all.",
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Only rows that match, in SQL, as in search.")
    ] = None,
    across: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Only groups that span these two sources.", metavar="SOURCE SOURCE"),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="A folder whose items always stay; repeatable.", metavar="DIR"),
    ] = None,
    within_folder: Annotated[
        bool, typer.Option("--within-folder", help="Only pairs that lie in one folder.")
    ] = False,
    keep: Annotated[
        str,
        typer.Option(
            help="What stays, by rules in order: largest, smallest, sharpest, oldest, newest, "
            "metadata:complete, path:GLOB."
        ),
    ] = "largest,sharpest,oldest",
    edited: Annotated[
        float | None,
        typer.Option(help="Agreement from which a picture is an edited copy.", min=0, max=1),
    ] = None,
    similar: Annotated[
        float | None, typer.Option(help="Cosine from which pictures are similar.", min=0, max=1)
    ] = None,
    fpr: Annotated[
        float | None,
        typer.Option(
            help="Calibrate the thresholds on this catalog, for this share of false positives "
            "among nearest neighbours (0.001, say); kept for later runs.",
            min=1e-6,
            max=0.5,
        ),
    ] = None,
    suspicions: Annotated[
        bool,
        typer.Option(
            "--suspicions",
            help="List texts that are possibly on the wrong picture as well, each with the "
            "estimated chance.",
        ),
    ] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a line per item.")] = False,
    plan: Annotated[
        Path | None,
        typer.Option(help="Write which copies could go, for 'dedup apply'.", metavar="FILE"),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="Write a page that shows the groups side by side.", metavar="FILE"
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Find duplicates in the store: equal bytes, equal pixels, edited copies, similar shots, texts.

    Changes nothing. Pictures and texts are joined into findings, as one picture with two texts.
    'mmsearch dedup apply' acts on a plan, 'mmsearch dedup undo' takes that back.
    """
    if context.invoked_subcommand is not None:
        return
    from mmsearch.catalog import open_catalog
    from mmsearch.dedup.find import find_duplicates
    from mmsearch.dedup.options import DedupOptions, parse_tiers
    from mmsearch.media import MediaBounds

    catalog = open_catalog(store)
    chosen = DedupOptions(
        tiers=parse_tiers(tiers),
        where=where,
        across=across,
        references=tuple(reference or ()),
        within_folder=within_folder,
        keep=keep,
        edited=edited,
        similar=similar,
        fpr=fpr,
        suspicions=suspicions,
    )
    with ProgressDisplay(quiet=quiet) as progress:
        bounds = MediaBounds.of(catalog.settings)
        report = find_duplicates(catalog.folder, chosen, bounds, progress)
    if plan is not None:
        count = write_plan_of(report, catalog.folder, plan)
        left = report.duplicates - count
        stays = (
            f"; {left:,} further copies stay: their text says more, another row uses their file, "
            "or they are protected"
        )
        stderr_console(quiet=quiet).print(
            f"wrote {count:,} steps to {plan}{stays if left else ''}", soft_wrap=True
        )
    if html is not None:
        from mmsearch.dedup.page import write_dedup_page

        write_dedup_page(report, html)
        stderr_console(quiet=quiet).print(f"wrote {html}", soft_wrap=True)
    if as_json:
        write_text(to_json({"dedup": report}))
    elif as_csv:
        write_text(groups_csv(report))
    else:
        show(report, quiet=quiet)


def write_plan_of(report: "DedupReport", folder: Path, path: Path) -> int:
    from mmsearch.dedup.plan import make_plan, write_plan
    from mmsearch.store.lance import Store

    entries = make_plan(report.groups, Store.open(folder))
    write_plan(entries, path)
    return len(entries)


def show(report: "DedupReport", *, quiet: bool) -> None:
    console, notes = stdout_console(), stderr_console(quiet=quiet)
    if report.groups:
        console.print(groups_table(report))
    if report.findings:
        console.print(findings_table(report))
    hidden = len(report.groups) - _SHOWN
    if hidden > 0:
        notes.print(f"{hidden:,} more groups: --json or --csv has them all")
    if report.unread:
        notes.print(
            f"{len(report.unread):,} pictures could not be read as they were indexed: run "
            "'mmsearch index' first"
        )
    if report.silence_line:
        notes.print(report.silence_line, soft_wrap=True)
    used = report.thresholds
    notes.print(
        f"thresholds: edited {used.edited:.2f}, similar {used.similar:.2f}, text-near "
        f"{used.text_near:.2f} ({used.source})",
        soft_wrap=True,
    )
    families = {"picture": "of one picture", "similar": "of similar ones", "text": "of one text"}
    counts = [
        f"{sum(group.family == family for group in report.groups):,} {words}"
        for family, words in families.items()
    ]
    notes.print(
        f"{report.items:,} items in {report.seconds:,.1f} s; groups: {', '.join(counts)}; "
        f"{report.duplicates:,} pictures are there more than once",
        soft_wrap=True,
    )


def groups_table(report: "DedupReport") -> Table:
    table = plain_table()
    for name in ("group", "tier", "score"):
        table.add_column(name, no_wrap=True)
    table.add_column("item", no_wrap=True)
    table.add_column("evidence", overflow="fold")
    for group in report.groups[:_SHOWN]:
        mark = Text(group.id, style="dim")
        table.add_row(mark, Text("kept", style="green"), "", MiddleCut(group.kept.key), "")
        for member in group.others:
            evidence = f"{member.evidence} (with {member.via})" if member.via else member.evidence
            table.add_row(
                "",
                Text(member.tier),
                Text(f"{min(member.score, 1):.2f}", style="cyan"),
                MiddleCut(member.item.key),
                Text(one_line(evidence)),
            )
    return table


def findings_table(report: "DedupReport") -> Table:
    table = plain_table()
    table.add_column("finding", no_wrap=True)
    table.add_column("items", overflow="fold")
    table.add_column("detail", overflow="fold")
    for finding in report.findings[:_SHOWN]:
        shown = ", ".join(finding.keys[:4]) + (" …" if len(finding.keys) > 4 else "")
        table.add_row(Text(finding.kind), Text(one_line(shown)), Text(one_line(finding.detail)))
    return table


def groups_csv(report: "DedupReport") -> str:
    """A line per item: the kept one of each group first."""
    rows: list[dict[str, str | float | None]] = []
    for group in report.groups:
        shared = {"group": group.id, "family": group.family}
        rows.append({**shared, "role": "kept", "key": group.kept.key, "uri": group.kept.uri})
        rows += [
            {
                **shared,
                "role": "duplicate",
                "tier": member.tier,
                "score": min(member.score, 1.0),
                "key": member.item.key,
                "uri": member.item.uri,
                "evidence": member.evidence,
                "via": member.via,
            }
            for member in group.others
        ]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, _CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return lines.getvalue()


def _cell(value: str | float | None) -> str:
    text = "" if value is None else printable_path(str(value))
    # What a spreadsheet would run as a formula (OWASP, CSV injection).
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
