"""A file of queries in JSON Lines, answered in JSON Lines."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from mmsearch.cli.output.render import counted, stderr_console, to_json, write_text
from mmsearch.cli.parameters import with_options
from mmsearch.errors import BadQuery, InputError, MMSearchError, NotFound, StoreNotFound
from mmsearch.query import Query, QueryParts, query_of

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog
    from mmsearch.records import Hit

# Most queries per batch: enough to fill the encoder's.
BATCH = 256
NUMBERS, TEXT, FLAG = (int, float), (str,), (bool,)
_JSON_TYPES = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
FIELDS: Mapping[str, tuple[type, ...]] = {
    "text": TEXT, "image": TEXT, "image_weight": NUMBERS, "like": TEXT, "without": TEXT,
    "keyword": TEXT, "hybrid": FLAG, "where": TEXT, "k": (int,), "target": TEXT, "unique": FLAG,
    "diverse": NUMBERS, "threshold": NUMBERS, "fuse": TEXT, "keyword_weight": NUMBERS,
    "parts": FLAG,
}  # fmt: skip
# The caller's own id of a query; it is repeated with the answer.
ID = "id"

T = TypeVar("T")
# A line as it was written, and its query, or why it is none.
ParsedQuery = tuple[Any, Query | MMSearchError]


def answer_all(catalog: "Catalog", queries: str, defaults: QueryParts, *, quiet: bool) -> None:
    """Prints the answers to a file of queries, or to those of stdin ('-').

    A query that cannot be answered is a line with its error; they are counted at the end. Raises
    BadQuery where no query can be answered.
    """
    answered, failed = 0, 0
    try:
        with (
            nullcontext(sys.stdin)
            if queries == "-"
            else Path(queries).open(encoding="utf-8") as file
        ):
            for written, found in answers(catalog, file, queries, defaults):
                if isinstance(found, MMSearchError):
                    failed += 1
                    result: dict[str, Any] = {"error": with_options(str(found))}
                else:
                    answered += 1
                    result = {"hits": found}
                write_text(to_json({"query": written, **result}, indent=None))
    except (OSError, UnicodeDecodeError) as error:
        raise BadQuery(f"cannot read {queries}: {error}") from error
    if failed and not answered:
        raise BadQuery(f"none of the {counted(failed, 'query', 'queries')} could be answered")
    if failed:
        stderr_console(quiet=quiet).print(
            f"{counted(failed, 'query', 'queries')} could not be answered; their lines have an "
            "'error'",
            soft_wrap=True,
        )


def answers(
    catalog: "Catalog", file: IO[str], name: str, defaults: QueryParts
) -> Iterator[tuple[Any, list["Hit"] | MMSearchError]]:
    """Yields each query as it was written, with its hits or its error, in the order of the file.

    defaults: the parts of a query that a line leaves out.
    """
    for batch in as_they_come(read_queries(file, name, defaults), BATCH):
        queries = [query for _, query in batch if isinstance(query, Query)]
        found = iter(found_or_errors(catalog, queries))
        for written, query in batch:
            yield written, next(found) if isinstance(query, Query) else query


def found_or_errors(
    catalog: "Catalog", queries: Sequence[Query]
) -> list[list["Hit"] | MMSearchError]:
    """Searches in one batch; where that fails, in halves, down to the queries at fault."""
    if not queries:
        return []
    try:
        return list(catalog.search_many(queries))
    except StoreNotFound:
        raise
    except (InputError, NotFound) as error:
        if len(queries) == 1:
            return [error]
    middle = len(queries) // 2
    return found_or_errors(catalog, queries[:middle]) + found_or_errors(catalog, queries[middle:])


def as_they_come(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """Yields what has come, at least one item and at most `most`, without waiting for more.

    A program that writes a query and waits for its answer gets it; of a file, the next batch is
    read while one is answered.
    """
    arrived: Queue[T | None] = Queue(most)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for item in items:
                arrived.put(item)
        except (MMSearchError, OSError, ValueError) as error:
            errors.append(error)
        arrived.put(None)

    Thread(target=read, daemon=True).start()
    item = arrived.get()
    while item is not None:
        batch = [item]
        while len(batch) < most and not arrived.empty() and (item := arrived.get()) is not None:
            batch.append(item)
        yield batch
        item = arrived.get() if item is not None else None
    if errors:
        raise errors[0]


def read_queries(file: IO[str], name: str, defaults: QueryParts) -> Iterator[ParsedQuery]:
    """Yields the query of each line that is not empty. Raises BadQuery with the line's number."""
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield read_query(line, defaults)
            except BadQuery as error:
                yield line.strip(), BadQuery(f"{name}, line {number}: {error}")


def read_query(line: str, defaults: QueryParts) -> ParsedQuery:
    """Parses a JSON object with any of FIELDS and 'id', or a JSON string: the text alone."""
    try:
        content = json.loads(line)
    except ValueError as error:
        raise BadQuery(
            f'invalid JSON ({error}); write a line such as {{"text": "red apple"}}'
        ) from error
    written = {"text": content} if isinstance(content, str) else content
    if not isinstance(written, dict):
        raise BadQuery(f"a query is a JSON object or a JSON string, got {line.strip()[:60]}")
    for field, value in written.items():
        if field != ID:
            require_field(field, value)
    parts = {field: value for field, value in written.items() if field not in (ID, "text")}
    if "image" in parts:
        parts["image"] = Path(parts["image"])
    return written, query_of(written.get("text"), **cast(QueryParts, {**defaults, **parts}))


def require_field(field: str, value: object) -> None:
    """Raises BadQuery for an unknown field, or a value of the wrong JSON type."""
    if field not in FIELDS:
        raise BadQuery(f"unknown field {field!r}; the fields are {', '.join(FIELDS)} and {ID}")
    kinds = FIELDS[field]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = _JSON_TYPES[kinds[-1]]
        raise BadQuery(f"{field!r} must be {expected}, got {json.dumps(value)}")
