"""The source of a table: a record per row, with its image, joined texts and typed metadata."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record, Scalar, Stage, printable_path
from mmsearch.sources.columns import recognise
from mmsearch.sources.fields import join_texts
from mmsearch.sources.given_vectors import GivenVectors
from mmsearch.sources.image_paths import find_image, is_image, refuse_raw
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.rows import BadRow, Row
from mmsearch.sources.survey import Survey, survey
from mmsearch.sources.table_files import open_rows
from mmsearch.sources.values import Kind, as_text, convert
from mmsearch.text import one_line


class TableSource:
    """The rows of a CSV, TSV, JSONL or Parquet file; keys are the id column or the row number.

    Opening it reads the file once for its columns and types. Raises InputError if the file cannot
    be read or lacks columns that the options name.

    root: the file. columns: their roles. vectors: made elsewhere, None if the options name none.
    row_count: of the readable rows when it was opened. notes:
    what was recognised, for the user.
    """

    def __init__(
        self, path: Path, *, name: str, options: SourceOptions, notes: tuple[str, ...] = ()
    ) -> None:
        self.root, self.name, self._options = path.absolute(), name, options
        self._rows = open_rows(self.root)
        self.vectors = (
            GivenVectors(self.root, self._rows, options) if options.gives_vectors else None
        )
        self._survey = _without(survey(self._rows), options.vector_columns)
        self.columns = recognise(
            self._survey, options, exists=self._exists, table=printable_path(path.name)
        )
        self.row_count = self._survey.rows
        self.notes = (*notes, *self._describe())

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
        try:
            vectors = self.vectors.of(row) if self.vectors is not None else {}
        except InputError as error:
            yield self._failure(identity, f"{error} ({row.place})", stage="read")
            return
        cell, image, uri, whole = self._cell(row), None, "", True
        if cell:
            try:
                found = find_image(cell, self.root.parent)
                refuse_raw(cell, found)
                image, uri = found, printable_path(found)
            except InputError as error:
                if "image" in vectors:
                    # The image need not be here if its vector is.
                    uri = cell
                else:
                    whole = False
                    yield self._failure(identity, f"{error} ({row.place})")
        text = join_texts(as_text(row.cells.get(name)) or "" for name in self.columns.texts)
        if text and len(text.encode()) > self._options.max_text_bytes:
            whole = False
            yield self._failure(identity, f"{self._too_long(text)} ({row.place})", stage="read")
            text = None
        if image or text or vectors:
            yield Record(
                self._key(identity), uri, image, text, metadata,
                image_vector=vectors.get("image"), text_vector=vectors.get("text"),
            )  # fmt: skip
        elif whole:
            yield self._failure(identity, f"has neither a picture nor a text ({row.place})")

    def _identity(self, row: Row, seen: dict[str, int]) -> str:
        """Returns the row's id, or its number in a table without ids. Raises InputError."""
        if self.columns.id is None:
            return str(row.number)
        identity = as_text(row.cells.get(self.columns.id))
        if identity is None:
            raise InputError(f"has no '{self.columns.id}'; give it one")
        first = seen.setdefault(identity, row.number)
        if first != row.number:
            raise InputError(
                f"'{self.columns.id}' is '{identity}' in row {first} and again in row "
                f"{row.number}; give it another"
            )
        return identity

    def _metadata(self, cells: Mapping[str, object]) -> dict[str, Scalar]:
        metadata: dict[str, Scalar] = {}
        for column, name in self.columns.metadata.items():
            try:
                metadata[name] = convert(cells.get(column), self.columns.kinds[column])
            except ValueError as error:
                raise InputError(
                    f"'{column}': {error}; the table has changed since it was opened, run again"
                ) from error
        return metadata

    def _cell(self, row: Row) -> str | None:
        return as_text(row.cells.get(self.columns.image)) if self.columns.image else None

    def _exists(self, cell: str) -> bool:
        try:
            return is_image(str(find_image(cell, self.root.parent)))
        except InputError:
            return False

    def _too_long(self, text: str) -> str:
        return (
            f"its text has {len(text.encode()):,} bytes, the limit is "
            f"{self._options.max_text_bytes:,}; raise max_text_bytes to read it"
        )

    def _failure(self, identity: str, reason: str, *, stage: Stage = "source") -> Failure:
        return Failure(self._key(identity), printable_path(self.root), stage, reason)

    def _key(self, identity: str) -> str:
        return f"{self.name}/{printable_path(identity)}"

    def _describe(self) -> Iterator[str]:
        file = printable_path(self.root.name)
        yield f"{file}: {self.columns.describe()}"
        if self.vectors is not None:
            yield f"{file}: {self.vectors.describe()}"
        yield from (f"{file}: {note}" for note in self._rows.notes)
        if not self._survey.rows:
            yield f"{file}: has no rows"
            return
        for kind in (Kind.DECIMAL_COMMA, Kind.GROUPED):
            names = [f"'{name}'" for name, held in self.columns.kinds.items() if held is kind]
            if names:
                yield f"{file}: {kind.value}: {', '.join(names)}"
        if self.columns.id is None:
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
            if name not in self.columns.metadata
            and name not in (*self.columns.texts, self.columns.image)
        ]
        if left_out:
            yield f"{file}: not stored, as empty, nested or too long: {', '.join(left_out)}"
        if self._options.include or self._options.exclude:
            yield f"{file}: `include` and `exclude` choose files in folders, not rows of a table"


def _without(found: Survey, columns: Collection[str]) -> Survey:
    return replace(
        found,
        columns=tuple(name for name in found.columns if name not in columns),
        kinds={name: kind for name, kind in found.kinds.items() if name not in columns},
        odd={name: cell for name, cell in found.odd.items() if name not in columns},
    )
