"""mmsearch dedup apply and undo: acts on a plan after a look and a yes, and takes that back."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmsearch.cli import options
from mmsearch.cli.render import stderr_console, to_json, write_text
from mmsearch.errors import InputError
from mmsearch.report.titles import one_line

if TYPE_CHECKING:
    from mmsearch.dedup.acting import Outcome

_SKIPPED_SHOWN = 20


def apply(
    plan: Annotated[
        Path, typer.Argument(help="What 'mmsearch dedup --plan' wrote.", show_default=False)
    ],
    action: Annotated[
        Literal["hide", "move", "hardlink", "symlink", "trash"],
        typer.Option(help="hide: from searches only; links: for equal bytes only."),
    ],
    to: Annotated[
        Path | None, typer.Option(help="Where 'move' puts the files.", metavar="DIR")
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that is never touched; repeatable.", metavar="DIR"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Carry out a plan: every file is checked again just before, every step can be undone.

    A file that has changed, a link, a reference or the last copy is left alone and named.
    """
    from mmsearch.catalog import open_catalog
    from mmsearch.dedup.acting import apply_plan, require_own, summary_lines
    from mmsearch.dedup.plan import read_plan

    entries = read_plan(plan)
    console = stderr_console(quiet=quiet)
    for line in summary_lines(entries):
        console.print(f"{action}: {line}", soft_wrap=True)
    if dry_run or not entries:
        console.print("nothing was changed")
        return
    folder = open_catalog(store).folder
    require_own(folder, entries)
    if not yes:
        ask(action, len(entries))
    outcome = apply_plan(folder, entries, action, to=to, references=tuple(reference or ()))
    show(outcome, "done", as_json=as_json, quiet=quiet)


def undo(
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Take back the last 'mmsearch dedup apply', also one that was cut short."""
    from mmsearch.catalog import open_catalog
    from mmsearch.dedup.acting import undo_last

    outcome = undo_last(open_catalog(store).folder)
    show(outcome, "undone", as_json=as_json, quiet=quiet)


def ask(action: str, count: int) -> None:
    if not sys.stdin.isatty():
        raise InputError(f"'{action}' for {count:,} files needs a yes; give --yes")
    typer.confirm(f"{action} {count:,} files?", abort=True, err=True)


def show(outcome: "Outcome", word: str, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        write_text(to_json({word: outcome}))
        return
    console = stderr_console(quiet=quiet)
    console.print(
        f"{word}: {len(outcome.done):,} steps; journal: {outcome.journal}", soft_wrap=True
    )
    skipped: Sequence[tuple[str, str]] = outcome.skipped[:_SKIPPED_SHOWN]
    for key, reason in skipped:
        console.print(f"left alone: {one_line(key)}: {reason}", markup=False, soft_wrap=True)
    if len(outcome.skipped) > len(skipped):
        console.print(f"{len(outcome.skipped) - len(skipped):,} more: see --json")
