"""Opens the source at a location: a folder of files, a table, or a single file."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.media import sniff
from mmsearch.records import Record, printable_path
from mmsearch.sources.base import Source
from mmsearch.sources.captions import IMAGE_SUFFIXES, read_head, suffix
from mmsearch.sources.folder import DOCUMENT_SUFFIXES, FolderSource
from mmsearch.sources.globs import Globs, is_hidden
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.picture_files import PictureFiles
from mmsearch.sources.table import TableSource
from mmsearch.sources.table_files import TABLE_SUFFIXES, is_table
from mmsearch.sources.walk import FoundFile, reason_of, walk

# A folder is read as its table if that has rows for at least half of the images there.
_IMAGES_PER_ROW = 2
_LOOKED_AT = 50


def open_source(
    location: Path, *, name: str, options: SourceOptions, pictures: PictureFiles | None = None
) -> Source:
    """Opens the source at `location` under `name`; its notes say what was recognised.

    pictures: keeps images that are no files of their own; None: in a temporary folder. Raises
    InputError if there is nothing that mmsearch reads, or the options do not fit it.
    """
    if not name or "/" in name:
        raise InputError(f"a source's name must be non-empty and without '/', got '{name}'")
    if not location.exists():
        raise InputError(
            f"{printable_path(location)} does not exist; {_nearest(location)}give a folder, a "
            f"table ({', '.join(TABLE_SUFFIXES[:2])}, …), a picture or a text, and check that its "
            "drive is mounted"
        )
    if location.is_dir():
        return _open_folder(location, name, options, pictures)
    if options.kind == "folder":
        raise InputError(f"{printable_path(location)} is a file; give its folder")
    if options.kind == "table" or is_table(location):
        return TableSource(location, name=name, options=options, pictures=pictures)
    _require_readable(location)
    return FolderSource(location, name=name, options=_without_columns(location, options))


def _nearest(location: Path) -> str:
    """'did you mean 'photos'? ' where there is such a file or folder; else ''."""
    try:
        names = [path.name for path in location.parent.iterdir() if not is_hidden(path.name)]
    except OSError:
        return ""
    near = get_close_matches(location.name, names, n=1)
    return f"did you mean '{printable_path(near[0])}'? " if near else ""


def _open_folder(
    folder: Path, name: str, options: SourceOptions, pictures: PictureFiles | None
) -> Source:
    tables = [] if options.kind == "folder" else _tables_in(folder)
    shown = printable_path(folder)
    if options.kind == "table":
        if len(tables) != 1:
            found = ", ".join(printable_path(table.name) for table in tables) or "none"
            raise InputError(f"{shown} should hold one table, it holds {found}; name the file")
        return TableSource(tables[0], name=name, options=options, pictures=pictures)
    if len(tables) == 1 and not (options.include or options.exclude):
        table = _open_if_covering(folder, tables[0], name, options)
        if table is not None:
            return table
    notes = _beside(tables, folder) if tables else ()
    return FolderSource(folder, name=name, options=_without_columns(folder, options), notes=notes)


def _open_if_covering(
    folder: Path, table: Path, name: str, options: SourceOptions
) -> TableSource | None:
    """Opens the table if its images are in the folder and are most of those there."""
    notes = (
        f"{printable_path(folder)} is read as the table {printable_path(table.name)} with its "
        "pictures; `kind='folder'` reads every file in it instead",
    )
    try:
        source = TableSource(table, name=name, options=options, notes=notes)
    except InputError:
        if options.names_columns:
            raise
        return None
    inside = folder.absolute()
    if not any(
        isinstance(item, Record) and item.image is not None and item.image.is_relative_to(inside)
        for item in islice(source, _LOOKED_AT)
    ):
        return None
    limit = _IMAGES_PER_ROW * source.row_count
    images = sum(1 for _ in islice(_images(folder), limit + 1))
    return source if images <= limit else None


def _tables_in(folder: Path) -> list[Path]:
    """Lists the tables in a folder. Raises InputError if it cannot be listed."""
    try:
        paths = sorted(folder.iterdir(), key=os.fsencode)
    except OSError as error:
        raise InputError(f"{printable_path(folder)} {reason_of(error)}") from error
    return [
        path for path in paths if is_table(path) and path.is_file() and not is_hidden(path.name)
    ]


def _images(folder: Path) -> Iterator[FoundFile]:
    """Yields the files that are images by name, which is enough to count them."""
    for step in walk(folder, Globs(SourceOptions())):
        if isinstance(step, FoundFile) and suffix(step.name) in IMAGE_SUFFIXES:
            yield step


def _beside(tables: list[Path], folder: Path) -> tuple[str, ...]:
    names = ", ".join(printable_path(table.name) for table in tables)
    return (
        f"{printable_path(folder)} is read file by file; {names} in it is left out, index it by "
        "its own path if you want its rows",
    )


def _without_columns(location: Path, options: SourceOptions) -> SourceOptions:
    if options.names_columns:
        raise InputError(
            f"{printable_path(location)} is not read as a table, so it has no columns; leave out "
            "`image_column`, `text_columns` and `id_column`, or name the table's file"
        )
    return options


def _require_readable(file: Path) -> None:
    """Raises InputError unless a single file is an image or a text."""
    shown = printable_path(file)
    if not file.is_file():
        raise InputError(f"{shown} is neither a file nor a folder; give one of them")
    try:
        is_image = sniff(read_head(str(file))) is not None
    except OSError as error:
        raise InputError(f"{shown} {reason_of(error)}") from error
    if not is_image and suffix(file.name) not in DOCUMENT_SUFFIXES:
        raise InputError(
            f"{shown} is neither a picture, a text ({', '.join(DOCUMENT_SUFFIXES)}) nor a table "
            f"({', '.join(kind for kind in TABLE_SUFFIXES if kind.count('.') == 1)})"
        )
