"""A first pass over a table: its columns, their kinds, and a sample of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from mmsearch.sources.rows import Row, Rows
from mmsearch.sources.values import Kind, as_text, common_kind

SAMPLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass found.

    kinds: of the columns that are not empty. sample: the first readable rows. rows: the number of
    readable rows.
    """

    columns: tuple[str, ...]
    kinds: Mapping[str, Kind]
    sample: Sequence[Mapping[str, object]]
    rows: int

    def texts(self, column: str) -> list[str]:
        """Returns the non-empty cells of a column in the sample, as texts."""
        texts = (as_text(row.get(column)) for row in self.sample)
        return [text for text in texts if text]


def survey(rows: Rows) -> Survey:
    """Reads the whole file once, or only a sample where the file declares its types."""
    if rows.kinds is not None and rows.count is not None:
        head = [row.cells for row in islice(rows, SAMPLE_ROWS) if isinstance(row, Row)]
        return Survey(rows.columns, rows.kinds, head, rows.count)
    return _look_through(rows)


def _look_through(rows: Rows) -> Survey:
    seen: dict[str, set[Kind]] = {column: set() for column in rows.columns}
    texts: set[str] = set()
    sample: list[Mapping[str, object]] = []
    count = 0
    for row in rows:
        if not isinstance(row, Row):
            continue
        count += 1
        if len(sample) < SAMPLE_ROWS:
            sample.append(row.cells)
        for column, value in row.cells.items():
            # With a text among its cells, a column is text.
            if column in texts:
                continue
            kinds = seen.setdefault(column, set())
            kind = rows.kind_of(value)
            if kind is not None:
                kinds.add(kind)
            if kind is Kind.TEXT:
                texts.add(column)
    common = {column: common_kind(kinds) for column, kinds in seen.items()}
    return Survey(
        tuple(seen), {column: kind for column, kind in common.items() if kind}, sample, count
    )
