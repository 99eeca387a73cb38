"""Files of queries: what a line may hold, and how a bad one is named."""

import io
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from mmsearch.cli.search.queries import FIELDS, as_they_come, read_queries
from mmsearch.errors import BadQuery
from mmsearch.query import Query, QueryParts, Term


def read(lines: str, **defaults: object) -> list[Query]:
    return [query for _, query in read_queries(io.StringIO(lines), "q.jsonl", defaults)]  # type: ignore[arg-type]


def test_a_line_says_what_a_search_may_be_given() -> None:
    (query,) = read(
        '{"id": 7, "text": "boots", "image": "a.jpg", "image_weight": 0.25, "where": "n < 3", '
        '"k": 4, "target": "image", "hybrid": true, "unique": true, "diverse": 1, "threshold": 0}'
    )
    assert query == Query(
        (Term(text="boots", weight=0.75), Term(image=Path("a.jpg"), weight=0.25)),
        k=4, where="n < 3", target="image", keyword="boots", unique=True, diverse=1, threshold=0,
    )  # fmt: skip


def test_flags_hold_where_a_line_says_nothing() -> None:
    one, other = read('"boots"\n{"text": "hats", "k": 3}\n', k=9, where="n < 3")
    assert (one.k, other.k) == (9, 3)
    assert one.where == other.where == "n < 3"
    assert one.terms == (Term(text="boots"),)


def test_every_field_is_a_part_of_a_query() -> None:
    assert FIELDS.keys() - {"text"} == QueryParts.__annotations__.keys() - {"vector", "after"}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('{"text": "x"}\n\n{"txt": "y"}', "line 3: unknown field 'txt'"),
        ('{"text": 5}', "line 1: 'text' must be a string, got 5"),
        ('{"text": "x", "k": true}', "line 1: 'k' must be a whole number, got true"),
        ("red apple", "line 1: invalid JSON"),
        ("[1]", "line 1: a query is a JSON object"),
        ('{"k": 3}', "line 1: nothing to search for"),
    ],
)
def test_a_bad_line_is_named(lines: str, says: str) -> None:
    with pytest.raises(BadQuery) as caught:
        read(lines)
    assert str(caught.value).startswith(f"q.jsonl, {says}")


def test_what_has_come_is_yielded_without_waiting_for_more() -> None:
    answered = Event()

    def lines() -> Iterator[int]:
        yield 1
        assert answered.wait(timeout=60), "the second was read before the first was answered"
        yield from range(2, 9)

    batches = as_they_come(lines(), 3)
    assert next(batches) == [1]
    answered.set()
    rest = list(batches)
    assert [number for batch in rest for number in batch] == list(range(2, 9))
    assert max(map(len, rest)) <= 3


def test_what_came_before_an_error_is_yielded() -> None:
    def lines() -> Iterator[int]:
        yield 1
        raise BadQuery("line 2")

    batches = as_they_come(lines(), 10)
    assert next(batches) == [1]
    with pytest.raises(BadQuery, match="line 2"):
        next(batches)
