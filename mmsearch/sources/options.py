"""What the user may say about a source; everything left out is recognised."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mmsearch.media import MediaBounds

SourceKind: TypeAlias = Literal["auto", "folder", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How a location is read.

    kind: 'auto' looks at the location; the others insist.
    include, exclude: gitignore-style globs over the path relative to a folder's root, in any case.
    image_column, text_columns, id_column: of a table, by their original names.
    max_text_bytes: of a caption, a document or a table row's text.

    >>> SourceOptions(image_column="photo", text_columns=("title", "details")).names_columns
    True
    """

    kind: SourceKind = "auto"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    image_column: str | None = None
    text_columns: tuple[str, ...] = ()
    id_column: str | None = None
    max_text_bytes: int = MediaBounds().max_text_bytes

    @property
    def names_columns(self) -> bool:
        return bool(self.image_column or self.text_columns or self.id_column)

    @property
    def bounds(self) -> MediaBounds:
        return MediaBounds(max_text_bytes=self.max_text_bytes)
