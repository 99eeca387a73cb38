"""mmsearch dedup apply and undo: acts on a plan after a look and a yes, and takes that back."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmsearch.cli import options
from mmsearch.cli.render import stderr_console, to_json, write_text
from mmsearch.errors import InputError
from mmsearch.report.titles import one_line, visible

if TYPE_CHECKING:
    from mmsearch.dedup.actions.apply import Outcome

_SKIPPED_SHOWN = 20
# What would become of the files, what was done to them, and what was done to take it back.
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
    "hide": "searches show {files} again",
    "move": "moved {files} back",
    "hardlink": "turned {files} from hard links into files of their own",
    "symlink": "turned {files} from symbolic links into files of their own",
    "trash": "took {files} out of the trash",
}


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
    from mmsearch.dedup.actions.apply import apply_plan, require_own, summary_lines
    from mmsearch.dedup.actions.plan import read_plan

    entries = read_plan(plan)
    console = stderr_console(quiet=quiet)
    for line in summary_lines(entries):
        console.print(f"{action}: {line}", soft_wrap=True)
    if dry_run or not entries:
        said = f"{files_text(len(entries))} would be {_WOULD_BE[action]}; " if entries else ""
        console.print(f"{said}nothing was changed", soft_wrap=True)
        return
    folder = open_catalog(store).folder
    require_own(folder, entries)
    if not yes:
        ask(action, len(entries))
    outcome = apply_plan(folder, entries, action, to=to, references=tuple(reference or ()))
    if as_json:
        write_text(to_json({"done": outcome}))
        return
    said = _DONE[action].format(
        files=files_text(len(outcome.done)), folder=folder_text(to) if to else ""
    )
    takes_back = "; 'mmsearch dedup undo' takes it back" if outcome.done else ""
    show(outcome, f"{said}{takes_back}", quiet=quiet)


def undo(
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Take back the last 'mmsearch dedup apply', also one that was cut short."""
    from mmsearch.catalog import open_catalog
    from mmsearch.dedup.actions.apply import undo_last

    outcome = undo_last(open_catalog(store).folder)
    if as_json:
        write_text(to_json({"undone": outcome}))
        return
    said = _UNDONE[outcome.action].format(files=files_text(len(outcome.done)))
    show(outcome, said, quiet=quiet)


def ask(action: str, count: int) -> None:
    """Raises InputError where nobody can be asked, Abort for a no."""
    if not sys.stdin.isatty():
        raise InputError(
            f"{files_text(count)} would be {_WOULD_BE[action]}; add --yes to do it without asking"
        )
    typer.confirm(f"{files_text(count)} will be {_WOULD_BE[action]}; go on?", abort=True, err=True)


def show(outcome: "Outcome", said: str, *, quiet: bool) -> None:
    """said: what was done, in one line. What was left alone follows, each with its reason."""
    console = stderr_console(quiet=quiet)
    console.print(said, markup=False, soft_wrap=True)
    skipped: Sequence[tuple[str, str]] = outcome.skipped[:_SKIPPED_SHOWN]
    for key, reason in skipped:
        console.print(f"left alone: {one_line(key)}: {reason}", markup=False, soft_wrap=True)
    if len(outcome.skipped) > len(skipped):
        console.print(f"{len(outcome.skipped) - len(skipped):,} more were left alone; see --json")


def files_text(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def folder_text(folder: Path) -> str:
    """As a shell shows it: a relative folder begins with './'."""
    return visible(str(folder) if folder.is_absolute() else f"./{folder}")
