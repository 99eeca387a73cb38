"""What a user has recorded about a store, such as items that are not duplicates.

One JSON file in the store's folder that outlives re-indexing and a change of model, as it cannot be
derived from anything else. It is replaced atomically under a lock of its own, so that a change does
not wait for an index run. Each kind of record is a section, a list of objects; unknown sections are
preserved.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from mmsearch.errors import CorruptIndex, StoreLocked
from mmsearch.files import write_atomically
from mmsearch.records import printable_path
from mmsearch.store.lock import unwritable
from mmsearch.store.spaces import root_of

FILE_NAME = "user_state.json"
FORMAT = 1
# A change takes milliseconds; a process that holds the lock for longer hangs.
_LOCK_SECONDS = 10.0


def read_section(folder: Path, name: str) -> list[dict[str, Any]]:
    """Reads the objects of a section, [] if there are none. Raises CorruptIndex.

    folder: the store's, or that of one of its spaces.
    """
    return _section(_read(root_of(folder) / FILE_NAME), name)


@contextmanager
def changing_section(folder: Path, name: str) -> Iterator[list[dict[str, Any]]]:
    """Yields the objects of a section as a list to change; it is saved at the end of the block.

    Raises CorruptIndex, StoreLocked, InputError.
    """
    path = root_of(folder) / FILE_NAME
    lock = filelock.FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except filelock.Timeout:
        raise StoreLocked(
            f"another process is writing {printable_path(path)}; run the command again"
        ) from None
    except OSError as fault:
        raise unwritable(path.parent, fault) from fault
    try:
        state = _read(path)
        objects = _section(state, name)
        yield objects
        content = {**state, "format": FORMAT, name: objects}
        try:
            write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False))
        except OSError as fault:
            raise unwritable(path.parent, fault) from fault
    finally:
        lock.release()


def _read(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        version = state["format"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as fault:
        raise CorruptIndex(
            f"{printable_path(path)} is damaged ({fault}); restore it from a backup, or delete it "
            "to start without it"
        ) from fault
    if version != FORMAT:
        raise CorruptIndex(
            f"{printable_path(path)} has format {version}, this mmsearch reads format {FORMAT}; "
            "install the version that wrote it"
        )
    found: dict[str, Any] = state
    return found


def _section(state: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [dict(each) for each in state.get(name, [])]
