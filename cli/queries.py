"""A file of queries, one JSON object a line, and its answers, one JSON object a line."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from mmsearch.errors import BadQuery
from mmsearch.query import Query, QueryParts, query_of

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog
    from mmsearch.records import Hit

# What is asked at once: enough for full batches, few enough that answers come soon.
AT_ONCE = 256
NUMBERS, TEXT, FLAG = (int, float), (str,), (bool,)
FIELDS: Mapping[str, tuple[type, ...]] = {
    "text": TEXT, "image": TEXT, "image_weight": NUMBERS, "like": TEXT, "without": TEXT,
    "keyword": TEXT, "hybrid": FLAG, "where": TEXT, "k": (int,), "target": TEXT, "unique": FLAG,
    "diverse": NUMBERS, "threshold": NUMBERS, "fuse": TEXT, "keyword_weight": NUMBERS,
}  # fmt: skip
# A caller's own name for a query: it comes back with the answer.
ID = "id"

Asked = tuple[dict[str, Any], Query]


def answers(
    catalog: "Catalog", file: IO[str], name: str, defaults: QueryParts
) -> Iterator[tuple[dict[str, Any], list["Hit"]]]:
    """Each query as it was written, and its hits, in the file's order.

    defaults: what holds where a line says nothing of it. Raises BadQuery with the line's number.
    """
    queries = read_queries(file, name, defaults)
    while batch := list(islice(queries, AT_ONCE)):
        found = catalog.search_many([query for _, query in batch])
        yield from zip((written for written, _ in batch), found, strict=True)


def read_queries(file: IO[str], name: str, defaults: QueryParts) -> Iterator[Asked]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield read_query(line, defaults)
            except BadQuery as error:
                raise BadQuery(f"{name}, line {number}: {error}") from error


def read_query(line: str, defaults: QueryParts) -> Asked:
    """line: a JSON object with any of FIELDS and 'id', or a JSON text, which is the words alone."""
    try:
        content = json.loads(line)
    except ValueError as error:
        raise BadQuery(f'this is not JSON ({error}); write {{"text": "red apple"}}') from error
    written = {"text": content} if isinstance(content, str) else content
    if not isinstance(written, dict):
        raise BadQuery(f"a query is a JSON object or a text, got {line.strip()[:60]}")
    for field, value in written.items():
        if field != ID:
            require_field(field, value)
    parts = {field: value for field, value in written.items() if field not in (ID, "text")}
    if "image" in parts:
        parts["image"] = Path(parts["image"])
    return written, query_of(written.get("text"), **cast(QueryParts, {**defaults, **parts}))


def require_field(field: str, value: object) -> None:
    if field not in FIELDS:
        raise BadQuery(f"no field {field!r}; there are {', '.join(FIELDS)} and {ID}")
    kinds = FIELDS[field]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise BadQuery(f"{field!r} must be {wanted}, got {value!r}")
