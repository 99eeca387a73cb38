"""What images say of themselves becomes part of their records, and is kept in the store.

Together with what was read, its extent is kept: the options, and the state of the sidecar. A later
run reads again only where these differ, and never an image whose extent is the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from mmsearch.media.metadata import ImageMetadata, MetadataRequest, sidecar_of
from mmsearch.records import Record, Value
from mmsearch.sources.fields import join_texts
from mmsearch.sources.options import SourceOptions

# What is read, and how; raised when more of it is.
_VERSION = 1
# Words of an image that are not part of its item's text.
EMBEDDED_TEXT = "embedded_text"


@dataclass(frozen=True, slots=True)
class StoredMetadata:
    """What was read of an image's metadata: its texts, and columns of the store.

    extent: of what was read, see `MetadataOptions`.
    """

    extent: str
    texts: tuple[str, ...]
    columns: Mapping[str, Value]

    @classmethod
    def of(cls, metadata: ImageMetadata, request: MetadataRequest) -> Self:
        """Returns what is kept of the metadata that a request gave."""
        return cls(extent_of(request), metadata.texts, metadata.columns())

    @classmethod
    def from_column(cls, column: str | None) -> Self | None:
        """Reads what `to_column` wrote; None where nothing was read yet."""
        if not column:
            return None
        extent, texts, columns = json.loads(column)
        if "taken" in columns:
            columns["taken"] = datetime.fromisoformat(columns["taken"])
        return cls(extent, tuple(texts), columns)

    def to_column(self) -> str:
        """Returns the content of the store's column."""
        columns = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in self.columns.items()
        }
        return json.dumps([self.extent, self.texts, columns], ensure_ascii=False)

    def applied_to(self, record: Record) -> Record:
        """Returns the record with the image's words and columns; those of its own stay.

        Title, description and keywords become its text if it has none. What is not part of the text
        becomes a column that keyword search covers.
        """
        words = join_texts(self.texts)
        named = (str(self.columns[name]) for name in ("creator", "place") if name in self.columns)
        others = join_texts((*(self.texts if record.text else ()), *named))
        columns = {**self.columns, **({EMBEDDED_TEXT: others} if others else {})}
        return replace(record, text=record.text or words, metadata={**columns, **record.metadata})


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """What to read of the metadata of a source's images.

    position: also where they were taken. unread: also of unchanged images that were indexed before
    their metadata was read.
    """

    position: bool = False
    unread: bool = False

    @classmethod
    def of(cls, options: SourceOptions, *, unread: bool) -> Self | None:
        """Returns the options of a source; None if it leaves out metadata."""
        return cls(options.position, unread) if options.metadata else None

    def needed(
        self, record: Record, held: StoredMetadata | None, *, decoded: bool
    ) -> tuple[MetadataRequest | None, StoredMetadata | None]:
        """Returns what has to be read of a record's image, or what is held if that suffices.

        held: of a row with the same image. decoded: whether the image will be decoded anyway.
        """
        if record.image is None:
            return None, None
        sidecar = sidecar_of(record.image)
        request = MetadataRequest(sidecar, position=self.position, alone=not decoded)
        if decoded:
            return request, None
        if held is None:
            return (request if self.unread or self.position else None), None
        return (None, held) if held.extent == extent_of(request) else (request, None)


def extent_of(request: MetadataRequest) -> str:
    """Returns the version of the reader, the options and the state of the sidecar as a text."""
    state = ""
    if request.sidecar is not None:
        try:
            status = request.sidecar.stat()
        except OSError:
            state = "unreadable"
        else:
            state = f"{status.st_size} {status.st_mtime_ns}"
    return f"{_VERSION}{' position' if request.position else ''} {state}".strip()
