"""Opens the source at a location: a folder of files, a table, or a single file."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.media import sniff
from mmsearch.records import Record, printable_path
from mmsearch.sources import metadata_tables, zipped_tables
from mmsearch.sources.base import Source
from mmsearch.sources.captions import IMAGE_SUFFIXES, read_head, suffix
from mmsearch.sources.folder import DOCUMENT_SUFFIXES, FolderSource
from mmsearch.sources.globs import Globs, is_hidden
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.picture_files import PictureFiles
from mmsearch.sources.shards import ShardSource, is_shard, shards_in
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
    pictures = pictures or PictureFiles()
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
    if location.name.lower().endswith(zipped_tables.SUFFIX):
        archive = zipped_tables.ZippedTable(location, pictures)
        return TableSource(location, name=name, options=options, pictures=pictures, archive=archive)
    if is_shard(location):
        return _open_shards(location, [location], name=name, options=options, pictures=pictures)
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


def _open_folder(folder: Path, name: str, options: SourceOptions, pictures: PictureFiles) -> Source:
    tables = [] if options.kind == "folder" else _tables_in(folder)
    shown = printable_path(folder)
    if options.kind == "table":
        if len(tables) != 1:
            found = ", ".join(printable_path(table.name) for table in tables) or "none"
            raise InputError(f"{shown} should hold one table, it holds {found}; name the file")
        return TableSource(tables[0], name=name, options=options, pictures=pictures)
    if tables and not (options.include or options.exclude):
        table = _open_covering(folder, tables, name=name, options=options, pictures=pictures)
        if table is not None:
            return table
    if options.kind == "auto" and (shards := shards_in(folder)):
        return _open_shards(folder, shards, name=name, options=options, pictures=pictures)
    beside = [table for table in tables if table.name.lower() not in metadata_tables.NAMES]
    notes = _beside(beside, folder) if beside else ()
    return FolderSource(folder, name=name, options=_without_columns(folder, options), notes=notes)


def _open_shards(
    root: Path, shards: list[Path], *, name: str, options: SourceOptions, pictures: PictureFiles
) -> ShardSource:
    options = _without_columns(root, options)
    return ShardSource(root, shards, name=name, options=options, pictures=pictures)


def _open_covering(
    folder: Path, tables: list[Path], *, name: str, options: SourceOptions, pictures: PictureFiles
) -> TableSource | None:
    """Opens the table that names most of the images in the folder, if only one does with texts."""
    covering = []
    for table in tables:
        others = [printable_path(other.name) for other in tables if other != table]
        beside = f"; {', '.join(others)} beside it is left out" if others else ""
        notes = (
            f"{printable_path(folder)} is read as the table {printable_path(table.name)} with its "
            f"pictures{beside}; `kind='folder'` reads every file in it instead",
        )
        try:
            source = TableSource(table, name=name, options=options, notes=notes, pictures=pictures)
        except InputError:
            if options.names_columns and len(tables) == 1:
                raise
            continue
        if _covers(folder, source):
            covering.append(source)
    described = [source for source in covering if source.columns.texts]
    chosen = covering if len(tables) == 1 else described
    return chosen[0] if len(chosen) == 1 else None


def _covers(folder: Path, table: TableSource) -> bool:
    """Whether a table's images are in the folder and are most of those there."""
    inside = folder.absolute()
    if not table.holds_images and not any(
        isinstance(item, Record) and item.image is not None and item.image.is_relative_to(inside)
        for item in islice(table, _LOOKED_AT)
    ):
        return False
    limit = _IMAGES_PER_ROW * table.row_count
    return sum(1 for _ in islice(_images(folder), limit + 1)) <= limit


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
