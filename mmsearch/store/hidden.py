"""Rows that a user has hidden: they stay in the store, and searches leave them out.

A small file of uids beside the table, replaced atomically. A row that gets a new uid, because its
image or text has changed, is visible again.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from mmsearch.errors import CorruptIndex
from mmsearch.files import write_atomically
from mmsearch.typed_json import parse_json

FILE_NAME = "hidden.json"


def read_hidden(folder: Path) -> set[int]:
    """Reads the uids of a store's hidden rows. Raises CorruptIndex."""
    path = folder / FILE_NAME
    try:
        return parse_json(set[int], path.read_bytes())
    except FileNotFoundError:
        return set()
    except ValueError as error:
        raise CorruptIndex(
            f"{path} is damaged ({error}); delete it, and hide the duplicates again"
        ) from error


def change_hidden(folder: Path, *, hide: Iterable[int] = (), show: Iterable[int] = ()) -> None:
    """Hides and shows rows by uid. Call it under the store's write lock."""
    changed = (read_hidden(folder) | set(hide)) - set(show)
    write_atomically(folder / FILE_NAME, json.dumps(sorted(changed)))
