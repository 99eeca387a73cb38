"""The source of a table: a record per row, with its image, joined texts and typed metadata."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record, Scalar, Stage, printable_path
from mmsearch.sources.columns import TableColumns, recognise
from mmsearch.sources.fields import join_texts
from mmsearch.sources.image_paths import find_image, is_image, refuse_raw
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.rows import BadRow, Row
from mmsearch.sources.survey import survey
from mmsearch.sources.table_files import open_rows
from mmsearch.sources.values import as_text, convert
from mmsearch.text import one_line


class TableSource:
    """The rows of a CSV, TSV, JSONL or Parquet file; keys are the id column or the row number.

    Opening it reads the file once for its columns and types. Raises InputError if the file cannot
    be read or lacks columns that the options name.
    """

    def __init__(
        self, path: Path, *, name: str, options: SourceOptions, notes: tuple[str, ...] = ()
    ) -> None:
        self._path, self._name, self._options = path.absolute(), name, options
        self._rows = open_rows(self._path)
        self._survey = survey(self._rows)
        self._columns = recognise(
            self._survey, options, exists=self._exists, table=printable_path(path.name)
        )
        self._opening_notes = (*notes, *self._describe())

    @property
    def name(self) -> str:
        """The name, the first part of its records' keys."""
        return self._name

    @property
    def root(self) -> Path:
        """The table's file."""
        return self._path

    @property
    def columns(self) -> TableColumns:
        """The roles of the columns."""
        return self._columns

    @property
    def row_count(self) -> int:
        """The number of readable rows when the table was opened."""
        return self._survey.rows

    @property
    def notes(self) -> tuple[str, ...]:
        """What was recognised, for the user."""
        return self._opening_notes

    def __iter__(self) -> Iterator[Record | Failure]:
        seen: dict[str, int] = {}
        for row in self._rows:
            if isinstance(row, BadRow):
                yield self._failure(f"row {row.number}", row.reason)
            else:
                yield from self._read(row, seen)

    def _read(self, row: Row, seen: dict[str, int]) -> Iterator[Record | Failure]:
        try:
            identity = self._identity(row, seen)
            metadata = self._metadata(row.cells)
        except InputError as error:
            yield self._failure(f"row {row.number}", f"{error} ({row.place})")
            return
        cell, image, whole = self._cell(row), None, True
        if cell:
            try:
                found = find_image(cell, self._path.parent)
                refuse_raw(cell, found)
                image = found
            except InputError as error:
                whole = False
                yield self._failure(identity, f"{error} ({row.place})")
        text = join_texts(as_text(row.cells.get(name)) or "" for name in self._columns.texts)
        if text and len(text.encode()) > self._options.max_text_bytes:
            whole = False
            yield self._failure(identity, f"{self._too_long(text)} ({row.place})", stage="read")
            text = None
        if image or text:
            uri = printable_path(image) if image else ""
            yield Record(self._key(identity), uri, image, text, metadata)
        elif whole:
            yield self._failure(identity, f"has neither a picture nor a text ({row.place})")

    def _identity(self, row: Row, seen: dict[str, int]) -> str:
        """Returns the row's id, or its number in a table without ids. Raises InputError."""
        if self._columns.id is None:
            return str(row.number)
        identity = as_text(row.cells.get(self._columns.id))
        if identity is None:
            raise InputError(f"has no '{self._columns.id}'; give it one")
        first = seen.setdefault(identity, row.number)
        if first != row.number:
            raise InputError(
                f"'{self._columns.id}' is '{identity}' in row {first} and again in row "
                f"{row.number}; give it another"
            )
        return identity

    def _metadata(self, cells: Mapping[str, object]) -> dict[str, Scalar]:
        metadata: dict[str, Scalar] = {}
        for column, name in self._columns.metadata.items():
            try:
                metadata[name] = convert(cells.get(column), self._columns.kinds[column])
            except ValueError as error:
                raise InputError(
                    f"'{column}': {error}; the table has changed since it was opened, run again"
                ) from error
        return metadata

    def _cell(self, row: Row) -> str | None:
        return as_text(row.cells.get(self._columns.image)) if self._columns.image else None

    def _exists(self, cell: str) -> bool:
        try:
            return is_image(str(find_image(cell, self._path.parent)))
        except InputError:
            return False

    def _too_long(self, text: str) -> str:
        return (
            f"its text has {len(text.encode()):,} bytes, the limit is "
            f"{self._options.max_text_bytes:,}; raise max_text_bytes to read it"
        )

    def _failure(self, identity: str, reason: str, *, stage: Stage = "source") -> Failure:
        return Failure(self._key(identity), printable_path(self._path), stage, reason)

    def _key(self, identity: str) -> str:
        return f"{self._name}/{printable_path(identity)}"

    def _describe(self) -> Iterator[str]:
        file = printable_path(self._path.name)
        yield f"{file}: {self._columns.describe()}"
        yield from (f"{file}: {note}" for note in self._rows.notes)
        if not self._survey.rows:
            yield f"{file}: has no rows"
            return
        if self._columns.id is None:
            yield (
                f"{file}: no column of unique ids, so rows are identified by number; name one with "
                "`id_column` if rows may be inserted"
            )
        for column, cell in self._survey.odd.items():
            more = f" and {cell.texts - 1:,} more" if cell.texts > 1 else ""
            yield (
                f"{file}: '{column}' is a text because of '{one_line(cell.text)}' ({cell.place})"
                f"{more}; its other {cell.regular:,} cells are numbers, dates or booleans: "
                "correct or empty that cell to compare them in filters"
            )
        left_out = [
            f"'{name}'"
            for name in self._survey.columns
            if name not in self._columns.metadata
            and name not in (*self._columns.texts, self._columns.image)
        ]
        if left_out:
            yield f"{file}: not stored, as empty, nested or too long: {', '.join(left_out)}"
        if self._options.include or self._options.exclude:
            yield f"{file}: `include` and `exclude` choose files in folders, not rows of a table"
