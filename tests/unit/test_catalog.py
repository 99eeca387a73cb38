"""The Catalog's signatures: every parameter is named, and a misspelt one is refused."""

import inspect
from pathlib import Path

import pytest

import mmsearch
from mmsearch.query import QueryParts, query_of

SEARCHES = ("search", "page")


@pytest.mark.parametrize("method", SEARCHES)
def test_a_misspelt_parameter_is_a_type_error(method: str, tmp_path: Path) -> None:
    catalog = mmsearch.open(tmp_path / "store")
    with pytest.raises(TypeError, match="limit"):
        getattr(catalog, method)("boots", limit=3)
    with pytest.raises(TypeError, match="positional"):
        getattr(catalog, method)("boots", "boots.jpg")


@pytest.mark.parametrize("method", SEARCHES)
def test_searches_have_the_parameters_and_defaults_of_a_query(method: str) -> None:
    def of(function: object) -> dict[str, object]:
        signature = inspect.signature(function)  # type: ignore[arg-type]
        return {n: p.default for n, p in signature.parameters.items() if n != "self"}

    assert of(getattr(mmsearch.Catalog, method)) == of(query_of)
    assert of(query_of).keys() - {"text"} == QueryParts.__annotations__.keys()


def test_every_part_reaches_the_query() -> None:
    given: QueryParts = {
        "keyword": "acme", "fuse": "weighted", "keyword_weight": 0.25, "where": "n < 3", "k": 4,
        "target": "image", "unique": True, "diverse": 0.5, "threshold": 0.1, "after": "x",
    }  # fmt: skip
    query = query_of("boots", **given)
    assert {name: getattr(query, name) for name in given} == given
