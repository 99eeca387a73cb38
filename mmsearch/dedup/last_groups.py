"""The groups of the last report, so that later commands can refer to them by id.

This is derived data: without it, deduplication has to run again first.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from mmsearch.dedup.find import FOLDER
from mmsearch.dedup.not_duplicates import MarkedItem, text_content
from mmsearch.dedup.results import Group
from mmsearch.errors import InputError, RecordNotFound
from mmsearch.files import write_atomically
from mmsearch.records import printable_path
from mmsearch.store import Store
from mmsearch.store.filters import LIVE, quoted
from mmsearch.store.spaces import root_of

FILE_NAME = "groups.json"
FORMAT = 1
_COLUMNS = ("key", "text", "_image_hash")


def save_groups(folder: Path, groups: Sequence[Group]) -> None:
    """Saves the groups to a store's folder. Raises InputError if it is not writable."""
    path = root_of(folder) / FOLDER / FILE_NAME
    items = {
        group.id: [[mark.key, mark.content] for mark in map(MarkedItem.of, group.items)]
        for group in groups
    }
    try:
        write_atomically(path, json.dumps({"format": FORMAT, "groups": items}))
    except OSError as fault:
        raise InputError(
            f"cannot write {printable_path(path)}: {fault.strerror}; allow it for this user"
        ) from fault


def items_of_group(folder: Path, group: str) -> tuple[MarkedItem, ...]:
    """Items of a group. Raises RecordNotFound if the last report does not contain the group."""
    path = root_of(folder) / FOLDER / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        groups = content["groups"] if content["format"] == FORMAT else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        groups = {}
    if group not in groups:
        raise RecordNotFound(
            f"no group '{group}' in the last report; run `catalog.find_duplicates()` for the ids "
            "of groups, or name two items by their keys or paths"
        )
    return tuple(MarkedItem(key, content) for key, content in groups[group])


def named_item(store: Store, name: str) -> MarkedItem:
    """The item with this key, or else the file with this path. Raises RecordNotFound."""
    rows = store.rows_of_keys([printable_path(name)], _COLUMNS)
    if not rows:
        path = printable_path(Path(name).absolute())
        rows = store.scan(_COLUMNS, f"{LIVE} AND uri = {quoted([path])}").to_pylist()
    if not rows:
        raise RecordNotFound(
            f"no item '{name}' in this store; name it by its key, as "
            "`catalog.find_duplicates()` reports it, or by the path of its file"
        )
    row = min(rows, key=lambda each: str(each["key"]))
    return MarkedItem(row["key"], row["_image_hash"] or text_content(row["text"] or ""))
