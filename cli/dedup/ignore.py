"""mmsearch dedup ignore: remembers which items are not duplicates of each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.dedup.tables import remembered_lines
from mmsearch.cli.output.render import counted, stderr_console, stdout_console, to_json, write_text
from mmsearch.errors import InputError, NotFound

if TYPE_CHECKING:
    from mmsearch.dedup.not_duplicates import MarkedItem


def ignore(
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
    from mmsearch.catalog import open_catalog

    folder = open_catalog(store).folder
    names = items or []
    if show_list:
        print_remembered(folder, as_json=as_json)
        return
    if not names:
        raise InputError("name a group, or two items by key or path; --list shows the ignored ones")
    done = unmark(folder, names) if undo else mark(folder, names)
    stderr_console(quiet=quiet).print(done, markup=False, soft_wrap=True)
    if as_json:
        print_remembered(folder, as_json=True)


def mark(folder: Path, names: list[str]) -> str:
    """Returns what was done, as a sentence."""
    from mmsearch.dedup.last_groups import items_of_group
    from mmsearch.dedup.not_duplicates import remember

    if len(names) == 1:
        new = remember(folder, items_of_group(folder, names[0]), name=names[0])
    else:
        new = remember(folder, named(folder, names))
    return (
        f"{counted(len(new.items), 'item')} marked as not duplicates of each other; "
        f"'mmsearch dedup ignore --undo {new.name}' takes it back"
    )


def unmark(folder: Path, names: list[str]) -> str:
    """Returns what was done, as a sentence. Raises NotFound where nothing was marked."""
    from mmsearch.dedup.not_duplicates import forget_pair, forget_set

    if len(names) == 1:
        count = forget_set(folder, names[0])
    elif len(names) == 2:
        count = forget_pair(folder, *named(folder, names))
    else:
        raise InputError("--undo takes a name from --list, or two items")
    if not count:
        raise NotFound(
            f"nothing to undo: {' and '.join(names)} {'are' if len(names) > 1 else 'is'} not "
            "ignored; --list shows the ignored items"
        )
    return "no longer ignored; the next 'mmsearch dedup' compares them again"


def named(folder: Path, names: list[str]) -> "list[MarkedItem]":
    from mmsearch.dedup.last_groups import named_item
    from mmsearch.store import Store

    store = Store.open(folder)
    items = [named_item(store, name) for name in names]
    if len(set(items)) < len(items):
        raise InputError("these names refer to the same item; name different ones")
    return items


def print_remembered(folder: Path, *, as_json: bool) -> None:
    from mmsearch.dedup.not_duplicates import read_remembered

    remembered = read_remembered(folder)
    if as_json:
        write_text(to_json({"ignored": remembered}))
        return
    console = stdout_console()
    for line in remembered_lines(remembered, console.width):
        console.print(line, no_wrap=True, crop=False)
    if not remembered:
        stderr_console().print("no items are ignored in this store")
