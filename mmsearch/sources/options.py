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
    image_column, text_columns, id_column: of a table, by their original names.
    vector_columns: of a table, with vectors made elsewhere; vectors_file: a NumPy file instead,
    with a row per row of the table. vectors_of: whether each is of the 'image' or of the 'text'; by
    default by the column's name, else of the image.
    metadata: read what images say of themselves (EXIF, XMP, IPTC); position: also where they were
    taken. max_text_bytes: of a caption, a document or a table row's text.

    >>> SourceOptions(image_column="photo", text_columns=("title", "details")).names_columns
    True
    """

    kind: SourceKind = "auto"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    image_column: str | None = None
    text_columns: tuple[str, ...] = ()
    id_column: str | None = None
    vector_columns: tuple[str, ...] = ()
    vectors_file: str | None = None
    vectors_of: tuple[Modality, ...] = ()
    metadata: bool = True
    position: bool = False
    max_text_bytes: int = MediaBounds().max_text_bytes

    @property
    def names_columns(self) -> bool:
        """Whether any column of a table is named."""
        return bool(self.image_column or self.text_columns or self.id_column or self.gives_vectors)

    @property
    def gives_vectors(self) -> bool:
        """Whether vectors made elsewhere are named."""
        return bool(self.vector_columns or self.vectors_file)

    @property
    def bounds(self) -> MediaBounds:
        """The bounds for text files."""
        return MediaBounds(max_text_bytes=self.max_text_bytes)
