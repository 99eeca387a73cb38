"""Tables beside images that describe them: `metadata.csv`, `.jsonl` or `.parquet` in a folder.

The layout of Hugging Face's ImageFolder, where the column `file_name` names the images.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record, Scalar, printable_path
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.table import TableSource
from mmsearch.sources.walk import Folder, FoundFile

NAMES = frozenset({"metadata.csv", "metadata.jsonl", "metadata.parquet"})
_COLUMN = "file_name"


class MetadataTables:
    """The rows of these tables in the folders of a source, by the images that they name.

    notes: what was recognised in them.
    """

    def __init__(self, name: str, max_text_bytes: int) -> None:
        """name: of the source."""
        self.notes: list[str] = []
        self._name, self._max_text_bytes = name, max_text_bytes
        self._read: set[str] = set()
        self._tables: set[str] = set()
        self._rows: dict[str, Record] = {}

    def enter(self, folder: Folder | None) -> Iterator[Failure]:
        """Reads the tables of a folder and of those above it; yields what cannot be read."""
        while folder is not None and folder.path not in self._read:
            self._read.add(folder.path)
            for name in sorted(NAMES.intersection(folder.names)):
                yield from self._add(folder, name)
            folder = folder.parent

    def holds(self, file: FoundFile) -> bool:
        """Whether a file is one of these tables."""
        return file.path in self._tables

    def row(self, image: FoundFile) -> tuple[str, dict[str, Scalar]]:
        """Returns the text and the metadata of an image, once; empty if no row names it."""
        record = self._rows.pop(os.path.normpath(image.path), None)
        return (record.text or "", dict(record.metadata)) if record else ("", {})

    def _add(self, folder: Folder, name: str) -> Iterator[Failure]:
        path = Path(folder.path, name)
        options = SourceOptions(
            image_column=_COLUMN, image_root=folder.path, max_text_bytes=self._max_text_bytes
        )
        try:
            table = TableSource(path, name=self._name, options=options)
        except InputError:
            # Another table, which happens to be called so.
            return
        self._tables.add(str(path))
        prefix = printable_path(folder.relative)
        self.notes += [f"{prefix}{note}" for note in table.notes if "unique ids" not in note]
        for item in table:
            if isinstance(item, Record) and item.image is not None:
                self._rows[os.path.normpath(item.image)] = item
            elif isinstance(item, Failure):
                row = item.key.removeprefix(f"{self._name}/")
                key = f"{self._name}/{prefix}{name}/{row}"
                yield Failure(key, item.uri, item.stage, item.reason)
