"""mmsearch dedup apply and undo: carries out a plan after confirmation, and reverts it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmsearch.cli import options
from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.render import counted, stderr_console, to_json, write_text
from mmsearch.errors import InputError
from mmsearch.report.titles import one_line, visible

if TYPE_CHECKING:
    from mmsearch.dedup.actions.apply import ApplyReport

_SKIPPED_SHOWN = 20
# What an action would do to the files, what it did, and what undo did.
_WOULD_BE = {
    "hide": "hidden from searches",
    "move": "moved",
    "hardlink": "replaced by hard links",
    "symlink": "replaced by symbolic links",
    "trash": "moved to the trash",
}
_DONE = {
    "hide": "hid {files} from searches",
    "move": "moved {files} to {folder}",
    "hardlink": "replaced {files} by hard links",
    "symlink": "replaced {files} by symbolic links",
    "trash": "moved {files} to the trash",
}
_UNDONE = {
    "hide": "restored {files} to search results",
    "move": "moved {files} back",
    "hardlink": "replaced {files} that were hard links by separate files",
    "symlink": "replaced {files} that were symbolic links by separate files",
    "trash": "restored {files} from the trash",
}


def apply(
    *,
    plan: Annotated[
        Path,
        typer.Argument(
            help="Plan that 'mmsearch dedup --plan' wrote.", metavar="PLAN", show_default=False
        ),
    ],
    action: Annotated[
        Literal["hide", "move", "hardlink", "symlink", "trash"],
        typer.Option(
            help="What to do with the files: hide (from search results only), move, trash, "
            "hardlink or symlink (both for equal bytes only).",
            metavar="ACTION",
        ),
    ],
    to: Annotated[
        Path | None, typer.Option(help="Folder to move the files to.", metavar="DIR")
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="Folder that is never changed; repeatable.", metavar="DIR"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    dry_run: options.DryRun = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Carry out a plan. Every file is checked again first, and every step can be undone.

    Files that have changed since, links, reference files and last copies are skipped and listed.
    """
    from mmsearch.dedup.actions.apply import apply_plan, require_own, summary_lines
    from mmsearch.dedup.actions.plan import read_plan

    entries = read_plan(plan)
    console = stderr_console(quiet=quiet)
    for line in summary_lines(entries):
        console.print(f"{action}: {line}", soft_wrap=True)
    if dry_run or not entries:
        text = f"{counted(len(entries), 'file')} would be {_WOULD_BE[action]}; " if entries else ""
        console.print(f"{text}nothing was changed", soft_wrap=True)
        return
    folder = open_store(store, quiet=quiet).folder
    require_own(folder, entries)
    if not yes:
        ask(action, len(entries))
    outcome = apply_plan(folder, entries, action, to=to, references=tuple(reference or ()))
    if as_json:
        write_text(to_json({"done": outcome}))
        return
    text = _DONE[action].format(
        files=counted(len(outcome.done), "file"), folder=folder_text(to) if to else ""
    )
    hint = "; 'mmsearch dedup undo' takes it back" if outcome.done else ""
    show(outcome, f"{text}{hint}", quiet=quiet)


def undo(
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Undo the last 'mmsearch dedup apply', even if it was interrupted."""
    from mmsearch.dedup.actions.apply import undo_last

    outcome = undo_last(open_store(store, quiet=quiet).folder)
    if as_json:
        write_text(to_json({"undone": outcome}))
        return
    text = _UNDONE[outcome.action].format(files=counted(len(outcome.done), "file"))
    show(outcome, text, quiet=quiet)


def ask(action: str, count: int) -> None:
    """Raises InputError without a terminal to ask on, Abort if the answer is no."""
    files = counted(count, "file")
    if not sys.stdin.isatty():
        raise InputError(f"{files} would be {_WOULD_BE[action]}; add --yes to do it without asking")
    typer.confirm(f"{files} will be {_WOULD_BE[action]}; continue?", abort=True, err=True)


def show(outcome: "ApplyReport", text: str, *, quiet: bool) -> None:
    """Prints what was done (text), then what was skipped, each with the reason."""
    console = stderr_console(quiet=quiet)
    console.print(text, markup=False, soft_wrap=True)
    skipped: Sequence[tuple[str, str]] = outcome.skipped[:_SKIPPED_SHOWN]
    for key, reason in skipped:
        console.print(f"skipped {one_line(key)}: {reason}", markup=False, soft_wrap=True)
    if len(outcome.skipped) > len(skipped):
        console.print(f"{len(outcome.skipped) - len(skipped):,} more were skipped; see --json")


def folder_text(folder: Path) -> str:
    """Returns the folder as a shell would show it: a relative one begins with './'."""
    return visible(str(folder) if folder.is_absolute() else f"./{folder}")
