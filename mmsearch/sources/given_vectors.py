"""Vectors made elsewhere, in columns of a table or in a NumPy file beside it.

They are checked row by row and become unit rows. Which space they are of is for the caller to say.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mmsearch.errors import InputError
from mmsearch.records import UNIT_TOLERANCE, Floats, Modality, SpaceId, printable_path
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.rows import Row, Rows

# Under this name the space of vectors is in the metadata of a Parquet schema, as JSON.
SPACE = b"mmsearch.space"
_PARQUET = (".parquet", ".pq")
_ROWS_PER_BATCH = 1_024
_LOOKED_AT = 1_000
_SEPARATORS = re.compile(r"[\s,;]+")


class GivenVectors:
    """The vectors of a table's rows. Rows are asked for in order, in any number of passes.

    dim: of the first one; None if all rows lack one. space: that the file names, if it does.
    """

    def __init__(self, table: Path, rows: Rows, options: SourceOptions) -> None:
        """Opens the columns or the file that the options name. Raises InputError."""
        self._table, self._rows = table, rows
        self._file = Path(options.vectors_file) if options.vectors_file else None
        self._columns: dict[str, Modality] = dict(
            zip(options.vector_columns or ("",), _modalities(options), strict=True)
        )
        self._array = self._open_array(self._file) if self._file is not None else None
        self._is_parquet = self._array is None and table.name.lower().endswith(_PARQUET)
        self._batches: Iterator[Mapping[str, Any]] = iter(())
        self._batch: Mapping[str, Any] = {}
        self._batch_start, self._batch_rows = 0, 0
        self.space = self._named_space()
        self.dim = self._first_dim()

    def describe(self) -> str:
        """Describes in a few words where the vectors come from."""
        if self._file is not None:
            return f"vectors: {printable_path(self._file.name)} ({self._columns['']})"
        named = (f"'{name}' ({modality})" for name, modality in self._columns.items())
        return f"vectors: {', '.join(named)}"

    def require_space(self, space: SpaceId) -> None:
        """Raises InputError or SpaceMismatch unless the vectors may be of this space."""
        holder = printable_path(self._file or self._table)
        if self.space is not None:
            self.space.require(space, holder=holder)
        if self.dim not in (None, space.dim):
            raise InputError(
                f"{holder} has vectors of {self.dim:,} numbers, '{space.model}' gives "
                f"{space.dim:,}; name the model that made them with `model`"
            )

    def of(self, row: Row) -> dict[Modality, Floats]:
        """Returns the vectors of a row, float32 (dim,), of length 1; {} if it has none.

        Raises InputError where one is not finite, zero, or of another length than the first.
        """
        found: dict[Modality, Floats] = {}
        for column, modality in self._columns.items():
            vector = self._vector(row, column)
            if vector is not None:
                found[modality] = self._checked(vector, column)
        return found

    def _checked(self, vector: Floats, column: str) -> Floats:
        name = f"'{column}'" if column else printable_path(str(self._file))
        if self.dim is not None and vector.shape != (self.dim,):
            raise InputError(f"{name} has {vector.size:,} numbers here, {self.dim:,} before")
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length):
            raise InputError(f"{name} has a number that is not finite")
        if not length:
            raise InputError(f"{name} has only zeros, which have no direction")
        # Unit rows that were rounded to 16 bits stay as they are.
        return vector if abs(length - 1) <= UNIT_TOLERANCE else vector / np.float32(length)

    def _vector(self, row: Row, column: str) -> Floats | None:
        if self._array is not None:
            return np.asarray(self._array[row.number - 1], np.float32)
        if self._is_parquet:
            return self._of_parquet(row.number - 1, column)
        return _parsed(row.cells.get(column), column)

    def _of_parquet(self, position: int, column: str) -> Floats | None:
        import pyarrow as pa

        if position < self._batch_start or not self._batch_rows:
            self._batches, self._batch_start, self._batch_rows = self._read_parquet(), 0, 0
        while position >= self._batch_start + self._batch_rows:
            self._batch_start += self._batch_rows
            self._batch = next(self._batches)
            self._batch_rows = len(next(iter(self._batch.values())))
        cell = self._batch[column][position - self._batch_start]
        if not cell.is_valid:
            return None
        try:
            values = cell.values.cast(pa.float32())
        except (pa.ArrowException, AttributeError) as error:
            raise InputError(f"'{column}' is not a list of numbers") from error
        return np.asarray(values.to_numpy(zero_copy_only=False), np.float32)

    def _read_parquet(self) -> Iterator[Mapping[str, Any]]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._table) as file:
            for batch in file.iter_batches(_ROWS_PER_BATCH, columns=list(self._columns)):
                yield {name: batch.column(name) for name in self._columns}

    def _open_array(self, file: Path) -> Any:
        shown = printable_path(file)
        try:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{shown} is not a NumPy array: {error}; save it again") from error
        if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
            raise InputError(
                f"{shown} must have one row of floats per row of the table, got shape "
                f"{array.shape} of {array.dtype}"
            )
        count = sum(1 for _ in self._rows)
        if len(array) != count:
            raise InputError(
                f"{shown} has {len(array):,} rows, {printable_path(self._table.name)} has "
                f"{count:,}; both must have the same rows in the same order"
            )
        return array

    def _named_space(self) -> SpaceId | None:
        named: str | bytes | None = None
        if self._is_parquet:
            import pyarrow.parquet as pq

            with pq.ParquetFile(self._table) as file:
                schema = file.schema_arrow
            _require_columns(self._columns, schema.names, self._table)
            named = (schema.metadata or {}).get(SPACE)
        elif self._file is not None:
            with suppress(OSError, ValueError, KeyError, TypeError):
                about = json.loads(self._file.with_suffix(".json").read_text(encoding="utf-8"))
                named = json.dumps(about["space"])
        elif self._rows.columns:
            _require_columns(self._columns, self._rows.columns, self._table)
        try:
            return SpaceId(**json.loads(named)) if named else None
        except (ValueError, TypeError):
            return None

    def _first_dim(self) -> int | None:
        if self._array is not None:
            return int(self._array.shape[1])
        for row in islice(self._rows, _LOOKED_AT):
            if isinstance(row, Row):
                with suppress(InputError):
                    for column in self._columns:
                        vector = self._vector(row, column)
                        if vector is not None:
                            return int(vector.size)
        return None


def _modalities(options: SourceOptions) -> Sequence[Modality]:
    """Returns which vector each column holds: as named, else by its name, else of the image."""
    columns = options.vector_columns or ("",)
    if options.vectors_file and options.vector_columns:
        raise InputError("`vector_columns` and `vectors_file` exclude each other; give one of them")
    guessed: list[Modality] = ["text" if "text" in name.lower() else "image" for name in columns]
    named = options.vectors_of or tuple(guessed)
    distinct = set(named)
    if len(named) != len(columns) or len(distinct) != len(named) or distinct - {"image", "text"}:
        raise InputError(
            f"`vectors_of` must name 'image' or 'text' once for each of the {len(columns)} columns "
            f"of vectors, got {', '.join(named)}"
        )
    return named


def _require_columns(columns: Mapping[str, Modality], present: Sequence[str], table: Path) -> None:
    for name in columns:
        if name not in present:
            raise InputError(
                f"`vector_columns`: {printable_path(table.name)} has no column '{name}'; its "
                f"columns are {', '.join(present)}"
            )


def _parsed(cell: object, column: str) -> Floats | None:
    """Parses a list of numbers, or its text as JSON and NumPy write it; None for an empty cell."""
    if isinstance(cell, str):
        cell = _SEPARATORS.split(cell.strip().strip("[]()").strip())
        cell = [] if cell == [""] else cell
    if not cell:
        return None
    try:
        return np.array(cell, np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(f"'{column}' is not a list of numbers") from error
