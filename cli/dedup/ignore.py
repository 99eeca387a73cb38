"""mmsearch dedup ignore: remembers which items are not duplicates of each other."""

from typing import Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.dedup.tables import remembered_lines
from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.render import counted, stderr_console, stdout_console, to_json, write_text


def ignore(
    *,
    items: Annotated[
        list[str] | None,
        typer.Argument(
            help="Id of a group in the last report, or two or more items by key or path.",
            metavar="GROUP | ITEM ITEM...",
            show_default=False,
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Stop ignoring these items.")] = False,
    show_list: Annotated[
        bool, typer.Option("--list", help="List the ignored items; change nothing.")
    ] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Mark items as not duplicates of each other: they are never grouped together again.

    The marks survive re-indexing and moved files. No file is changed.
    """
    catalog = open_store(store, quiet=quiet)
    if not show_list:
        if undo:
            catalog.unignore_duplicates(*items or ())
            done = "no longer ignored; the next 'mmsearch dedup' compares them again"
        else:
            new = catalog.ignore_duplicates(*items or ())
            done = (
                f"{counted(len(new.items), 'item')} marked as not duplicates of each other; "
                f"'mmsearch dedup ignore --undo {new.name}' takes it back"
            )
        stderr_console(quiet=quiet).print(done, markup=False, soft_wrap=True)
        if not as_json:
            return
    ignored = catalog.ignored_duplicates()
    if as_json:
        write_text(to_json({"ignored": ignored}))
        return
    console = stdout_console()
    for line in remembered_lines(ignored, console.width):
        console.print(line, no_wrap=True, crop=False)
    if not ignored:
        stderr_console().print("no items are ignored in this store")
