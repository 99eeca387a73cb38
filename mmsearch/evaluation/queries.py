"""Reads files of queries with the keys of their relevant items and optional grades.

JSONL, CSV or any other table with the columns `text` or `image`, `relevant`, optionally `grades`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.evaluation.labels import NONE, LabelledItem, Pool
from mmsearch.records import printable_path
from mmsearch.sources.image_roots import ImageRoots
from mmsearch.sources.rows import BadRow, Row
from mmsearch.sources.table_files import open_rows

_LISTED = 5
_EXAMPLE = '{"text": "red shoes", "relevant": ["shop/17", "shop/23"]}'


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """A query with its relevant items.

    image or text: a position in the pools, the other is NONE. grades: by item position.
    """

    image: int
    text: int
    grades: Mapping[int, float]


def read_queries(path: Path, items: Sequence[LabelledItem], pool: Pool) -> list[LabelledQuery]:
    """Reads queries and adds them to the pool. Raises InputError that lists the faulty rows."""
    if not path.is_file():
        raise InputError(f"`queries`: there is no file {printable_path(path)}")
    positions = _positions(items)
    queries: list[LabelledQuery] = []
    faults: list[str] = []
    for row in open_rows(path, nested=True):
        if isinstance(row, BadRow):
            faults.append(row.reason)
            continue
        try:
            queries.append(_query(row, path.parent, positions, pool))
        except InputError as error:
            faults.append(f"{row.place}: {error}")
    if faults:
        more = f"; and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise InputError(f"`queries`: {'; '.join(faults[:_LISTED])}{more}")
    if not queries:
        raise InputError(
            f"`queries`: {printable_path(path)} holds no queries; write one a line, as {_EXAMPLE}"
        )
    return queries


def _query(row: Row, folder: Path, positions: Mapping[str, int], pool: Pool) -> LabelledQuery:
    text, image = _word(row, "text"), _word(row, "image")
    if (text is None) == (image is None):
        raise InputError(f"a query has either a 'text' or an 'image', as {_EXAMPLE}")
    grades = _grades(row.cells.get("relevant"), row.cells.get("grades"))
    unknown = [key for key in grades if key not in positions]
    if unknown:
        raise InputError(
            f"no single item of the catalog has the key '{unknown[0]}'; keys look like "
            f"'{next(iter(positions))}'"
        )
    return LabelledQuery(
        pool.add_image(ImageRoots(folder).find(image)) if image is not None else NONE,
        pool.add_text(text) if text is not None else NONE,
        {positions[key]: grade for key, grade in grades.items()},
    )


def _word(row: Row, column: str) -> str | None:
    value = row.cells.get(column)
    if value is not None and not isinstance(value, str):
        raise InputError(f"'{column}' must be text, got {type(value).__name__}")
    return value.strip() or None if value else None


def _grades(relevant: object, grades: object) -> dict[str, float]:
    """Reads grades by key. relevant: keys as a list, as 'a; b', or an object with their grades."""
    if isinstance(relevant, Mapping):
        keys, values = list(map(str, relevant)), list(relevant.values())
    else:
        keys = _parts(relevant)
        values = list[object](_parts(grades)) or [1.0] * len(keys)
    if not keys:
        raise InputError(f"'relevant' names no item, as {_EXAMPLE}")
    if len(values) != len(keys):
        raise InputError(f"{len(keys)} relevant keys, but {len(values)} grades")
    graded = {key: _number(value) for key, value in zip(keys, values, strict=True)}
    answers = {key: grade for key, grade in graded.items() if grade > 0}
    if not answers:
        raise InputError("no relevant item has a grade above 0")
    return answers


def _parts(cell: object) -> list[str]:
    if isinstance(cell, list):
        return [str(part) for part in cell]
    if isinstance(cell, str):
        return [part.strip() for part in cell.split(";") if part.strip()]
    return [] if cell is None else [str(cell)]


def _number(value: object) -> float:
    try:
        grade = float(str(value))
    except ValueError:
        grade = float("nan")
    if not 0 <= grade < float("inf"):
        raise InputError(f"a grade must be a number from 0 up, got '{value}'")
    return grade


def _positions(items: Sequence[LabelledItem]) -> dict[str, int]:
    """Returns positions by key, and by unique keys without their source's name."""
    short = Counter(item.key.partition("/")[2] for item in items)
    positions = {item.key: position for position, item in enumerate(items)}
    for position, item in enumerate(items):
        name = item.key.partition("/")[2]
        if short[name] == 1:
            positions.setdefault(name, position)
    return positions
