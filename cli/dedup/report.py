"""Prints a report of duplicates: summary, largest groups and findings, then notes."""

from typing import TYPE_CHECKING

from mmsearch.cli.dedup.tables import findings_lines, group_lines, summary_lines
from mmsearch.cli.output.render import counted, stderr_console, stdout_console
from mmsearch.cli.parameters import with_options

if TYPE_CHECKING:
    from mmsearch.dedup.results import DedupReport


def show(report: "DedupReport", *, everything: bool, quiet: bool) -> None:
    """Prints summary, groups and findings to stdout, notes to stderr. everything: all groups."""
    from mmsearch.dedup.summary import summarised

    console, notes = stdout_console(), stderr_console(quiet=quiet)
    for line in summary_lines(report, summarised(report.groups)):
        console.print(line)
    for part in (
        group_lines(report, console.width, everything=everything),
        findings_lines(report.findings, console.width, everything=everything),
    ):
        for each in part:
            console.print(each)
    if report.groups and not everything:
        notes.print(
            "--all prints every group, --html FILE shows them with their images; "
            "'mmsearch dedup ignore GROUP' marks a group as not duplicates",
            soft_wrap=True,
        )
    if report.silence_line:
        notes.print(with_options(report.silence_line), markup=False, soft_wrap=True)
    if report.unread:
        notes.print(
            f"{counted(len(report.unread), 'image')} changed or unreadable since indexing; run "
            "'mmsearch index' first",
            soft_wrap=True,
        )
    used = report.thresholds
    notes.print(
        f"thresholds: edited {used.edited:.2f}, similar {used.similar:.2f}, text-near "
        f"{used.text_near:.2f} ({with_options(used.source)}); {report.seconds:,.1f} s",
        soft_wrap=True,
    )
