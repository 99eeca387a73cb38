"""The images of a table's items: found by path, named by an id, or stored as bytes."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.media import SNIFF_BYTES, sniff
from mmsearch.records import ImageFile, printable_path
from mmsearch.sources.image_paths import is_url, refuse_raw
from mmsearch.sources.image_roots import ImageRoots
from mmsearch.sources.named_images import NamedImages
from mmsearch.sources.picture_files import PictureFiles
from mmsearch.sources.row_images import image_cells
from mmsearch.sources.rows import Row
from mmsearch.sources.values import as_text

# An item of more images is taken for a mistake, such as a column of a whole shop's.
MOST_IMAGES = 1_000


class TableImages:
    """Finds the images of items, each a row or several rows.

    columns: of images. named: images by id, instead of columns. pictures: where bytes are kept.
    """

    def __init__(
        self,
        roots: ImageRoots,
        columns: Sequence[str],
        *,
        named: NamedImages | None = None,
        pictures: PictureFiles,
    ) -> None:
        self.roots, self.named = roots, named
        self._columns, self._pictures = columns, pictures

    def of(self, rows: Sequence[Row]) -> Iterator[ImageFile | InputError]:
        """Yields the images of an item, in order, and why one cannot be read."""
        seen: set[Path] = set()
        for number, cell in enumerate(self._cells(rows), 1):
            if number > MOST_IMAGES:
                yield InputError(f"names more than {MOST_IMAGES:,} images; the others are left out")
                return
            try:
                path = self._find(cell)
            except InputError as error:
                yield error
                continue
            if path not in seen:
                seen.add(path)
                yield ImageFile(printable_path(path), path)

    def sought(self, rows: Sequence[Row]) -> Iterator[tuple[str, bool]]:
        """Yields what an item names in the file system, and whether it is there."""
        for cell in islice(self._cells(rows), MOST_IMAGES):
            if isinstance(cell, str) and not is_url(cell):
                yield cell, self.roots.exists(cell)

    def _cells(self, rows: Sequence[Row]) -> Iterator[str | bytes | Path]:
        for row in rows:
            if self.named is not None:
                yield from self.named.find(as_text(row.cells.get(self.named.column)) or "")
            for column in self._columns:
                value = row.cells.get(column)
                content = _content(value)
                if content is None:
                    yield from image_cells(value)
                else:
                    yield content

    def _find(self, cell: str | bytes | Path) -> Path:
        if isinstance(cell, Path):
            return self.roots.files.real_file(str(cell))
        if isinstance(cell, str):
            path = self.roots.find(cell)
            refuse_raw(cell, path)
            return path
        kind = sniff(cell[:SNIFF_BYTES])
        if kind is None:
            raise InputError(f"its {len(cell):,} bytes are no image")
        return self._pictures.add(cell, kind)


def _content(value: object) -> bytes | None:
    """Returns the bytes of an image: a cell of bytes, or Hugging Face's {'bytes', 'path'}."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) and value else None
