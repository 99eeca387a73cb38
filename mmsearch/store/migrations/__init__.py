"""Brings stores of earlier versions to the present format, one numbered step after another.

A store's format is the number in its manifest. The step at STEPS[n] leads from format n to n + 1.
A step may be interrupted and started again; only the manifest, which is replaced last, says that it
is done. A step adds to what is there, or copies what it changes into the folder `backup` first, and
encodes nothing: stores of an earlier format can still be searched.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mmsearch.store.manifest import FILE_NAME, FORMAT
from mmsearch.store.rows import EMBEDDED
from mmsearch.store.writing import Store

BACKUP = "backup"


@dataclass(frozen=True, slots=True)
class Step:
    """A migration from one format to the next.

    about: what it does, for the user. run: may be called again after an interruption.
    """

    about: str
    run: Callable[[Store], None]


def _add_columns(store: Store) -> None:
    store.add_word_forms()
    if EMBEDDED not in store.items.schema.names:
        store.items.add_columns([pa.field(EMBEDDED, pa.string())])


STEPS: Mapping[int, Step] = {
    1: Step("keyword search finds other spellings, items may have parts", _add_columns),
}


def migrate(store: Store, note: Callable[[str], None]) -> None:
    """Brings a store to the present format. Call it under the write lock.

    note: receives a line for each step. The manifest from before a step is kept in
    `backup/format-<n>`; putting it back undoes a step that only adds.
    """
    while (number := store.manifest.format) < FORMAT:
        step = STEPS[number]
        note(
            f"migrating the store from format {number} to {number + 1}: {step.about}; nothing is "
            f"encoded again, the manifest from before is kept in {BACKUP}/format-{number}"
        )
        _back_up_manifest(store.folder, number)
        step.run(store)
        store.update_manifest(format=number + 1)


def _back_up_manifest(folder: Path, number: int) -> None:
    kept = folder / BACKUP / f"format-{number}" / FILE_NAME
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(folder / FILE_NAME, kept)
