"""Options of a source; what they leave open is detected."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mmsearch.media import MediaBounds
from mmsearch.records import Modality

SourceKind: TypeAlias = Literal["auto", "folder", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How a location is read.

    kind: 'auto' detects it from the location.
    include, exclude: gitignore-style globs over the path relative to a folder's root, in any case.
    image_column, text_columns, id_column: of a table, by their original names. Several columns of
        images are separated by commas; 'none' stands for no images.
    image_root: the folder to which a table's image paths are relative.
    group_by: the column of a table whose value is the same in all rows of an item, which follow
        each other.
    vector_columns: of a table, with vectors made elsewhere.
    vectors_file: a NumPy file of them instead, with a row per row of the table.
    vectors_of: whether each is of the 'image' or of the 'text'; by default by the column's name,
        else of the image.
    metadata: read what images say of themselves (EXIF, XMP, IPTC).
    position: also where they were taken.
    fetch: whether images that a table names by URL are fetched.
    columns: kinds of a table's columns as 'NAME=KIND': number, text, date, day-first, month-first,
        bool, list or skip.
    table: how a table is read, as 'SETTING=VALUE': decimal, header, delimiter or encoding.
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
    image_root: str | None = None
    group_by: str | None = None
    vector_columns: tuple[str, ...] = ()
    vectors_file: str | None = None
    vectors_of: tuple[Modality, ...] = ()
    metadata: bool = True
    position: bool = False
    fetch: bool = False
    columns: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    max_text_bytes: int = MediaBounds().max_text_bytes

    @property
    def names_columns(self) -> bool:
        """Whether any column of a table is named."""
        return bool(
            self.image_column
            or self.text_columns
            or self.id_column
            or self.group_by
            or self.columns
            or self.table
            or self.gives_vectors
        )

    @property
    def gives_vectors(self) -> bool:
        """Whether vectors made elsewhere are named."""
        return bool(self.vector_columns or self.vectors_file)

    @property
    def bounds(self) -> MediaBounds:
        """The bounds for text files."""
        return MediaBounds(max_text_bytes=self.max_text_bytes)
