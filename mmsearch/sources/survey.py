"""A first pass over a table: its columns, their kinds, and a sample of rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mmsearch.sources.rows import Row, Rows
from mmsearch.sources.values import Kind, as_text, common_kind

SAMPLE_ROWS = 1_000
# So many texts among the cells of a column may be mistakes; with more, it is a column of texts.
_MOST_ODD = 10
# The share of numbers, dates or booleans that makes the few texts look like mistakes.
_REGULAR = 0.9


@dataclass(frozen=True, slots=True)
class OddCell:
    """The first text in a column of numbers, dates or booleans. regular: how many of these."""

    text: str
    place: str
    texts: int
    regular: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass found.

    kinds: of the columns that are not empty. sample: the first readable rows. rows: the number of
    readable rows. odd: by column, what alone makes it one of texts.
    """

    columns: tuple[str, ...]
    kinds: Mapping[str, Kind]
    sample: Sequence[Mapping[str, object]]
    rows: int
    odd: Mapping[str, OddCell] = field(default_factory=dict)

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
    seen: dict[str, Counter[Kind]] = {column: Counter() for column in rows.columns}
    texts: set[str] = set()
    first_texts: dict[str, tuple[str, str]] = {}
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
            kinds = seen.setdefault(column, Counter())
            kind = rows.kind_of(value)
            if kind is not None:
                kinds[kind] += 1
            if kind is Kind.TEXT:
                first_texts.setdefault(column, (as_text(value) or "", row.place))
                if kinds[kind] > _MOST_ODD:
                    texts.add(column)
    common = {column: common_kind(set(kinds)) for column, kinds in seen.items()}
    odd = {
        column: OddCell(*first_texts[column], kinds[Kind.TEXT], regular)
        for column, kinds in seen.items()
        if column in first_texts
        and column not in texts
        and (regular := kinds.total() - kinds[Kind.TEXT]) >= _REGULAR * kinds.total()
    }
    return Survey(
        tuple(seen), {column: kind for column, kind in common.items() if kind}, sample, count, odd
    )
