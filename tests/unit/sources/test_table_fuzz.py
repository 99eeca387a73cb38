"""Whatever a table holds: rows and failures, or an InputError, and nothing else."""

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record
from mmsearch.sources import SourceOptions, TableSource

CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["1,299", "1.299,00", "$5", "31.12.2025", "12/31/2025", "Ja", "nein", "<p>x</p>", "a.jpg",
         "00123", "n/a", "1e400", '"', "\x00", "9" * 30, "0000-00-00", "€", "- 5", "٣"]
    ),
)  # fmt: skip
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def items(file: Path, content: bytes) -> list[Record | Failure]:
    file.write_bytes(content)
    try:
        return list(TableSource(file, name="t", options=SourceOptions()))
    except InputError:
        return []


@QUICK
@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=5), min_size=1, max_size=15))
def test_any_cells(tmp_path: Path, rows: list[list[str]]) -> None:
    content = "\n".join(",".join(cells) for cells in rows).encode("utf-8", "surrogatepass")
    items(tmp_path / "t.csv", content)


@QUICK
@given(content=st.binary(max_size=200), name=st.sampled_from(["csv", "jsonl", "json", "xlsx"]))
def test_any_bytes(tmp_path: Path, content: bytes, name: str) -> None:
    items(tmp_path / f"t.{name}", content)


@QUICK
@given(cells=st.lists(CELLS.filter(lambda cell: '"' not in cell), min_size=1, max_size=40))
def test_every_row_of_any_column_is_an_item_or_a_failure(tmp_path: Path, cells: list[str]) -> None:
    lines = [json.dumps({"title": f"thing {n}", "value": cell}) for n, cell in enumerate(cells)]
    found = items(tmp_path / "t.jsonl", "\n".join(lines).encode())
    # A cell such as 'a.jpg' is an image that is missing, which is a failure beside its item.
    keys = [item.key for item in found if isinstance(item, Record)]
    assert keys == [f"t/{n}" for n in range(1, len(cells) + 1)]


def test_ten_thousand_columns(tmp_path: Path) -> None:
    names = ",".join(f"c{number}" for number in range(10_000))
    row = ",".join(map(str, range(10_000)))
    content = f"title,{names}\n" + f"A long title of this thing,{row}\n" * 3
    found = items(tmp_path / "t.csv", content.encode())
    assert [item.key for item in found] == ["t/1", "t/2", "t/3"]
