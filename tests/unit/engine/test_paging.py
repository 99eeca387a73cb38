"""Pages, thresholds, near-duplicates and variety, over real stores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.engine import Engine, Page
from mmsearch.errors import BadQuery
from mmsearch.query import Query, Term
from mmsearch.records import Floats, Hit
from mmsearch.store.hidden import change_hidden
from tests.support.vector_stores import DIM, ItemRow, StoreBuilder, item_rows, two_cones

COUNT = 300
IMAGES, TEXTS = two_cones(COUNT)
MakeStore = Callable[..., StoreBuilder]


def keys(hits: list[Hit] | tuple[Hit, ...]) -> list[str]:
    return [hit.key for hit in hits]


def asked(vector: Floats = IMAGES[7], **parts: Any) -> Query:
    return Query((Term(vector=vector),), **parts)


def all_pages(engine: Engine, k: int, **parts: Any) -> list[Page]:
    pages = [engine.page(asked(k=k, **parts))]
    while pages[-1].next is not None:
        pages.append(engine.page(asked(k=k, after=pages[-1].next, **parts)))
    return pages


@pytest.fixture(scope="module")
def shop(make_store: MakeStore) -> StoreBuilder:
    return make_store(item_rows(COUNT))


@pytest.fixture(scope="module")
def doubled(make_store: MakeStore) -> StoreBuilder:
    """A hundred pictures, and each again twice, saved a little worse."""
    noise = np.random.default_rng(3).normal(size=(2, 100, DIM)) * 0.004
    copies = [unit((IMAGES[:100] + part).astype(np.float32)) for part in noise]
    items = [ItemRow(f"shop/{i}", IMAGES[i], TEXTS[i]) for i in range(100)]
    for number, copy in enumerate(copies):
        items += [ItemRow(f"copy-{number}/{i}", copy[i], TEXTS[100 + i]) for i in range(100)]
    return make_store(items)


# --- pages ---


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf-sq8"])
def test_pages_follow_each_other_without_gap_or_repeat(make_store: MakeStore, kind: str) -> None:
    engine = make_store(item_rows(60), kind).engine()
    for k in (4, 7, 100):
        pages = all_pages(engine, k)
        hits = [hit for page in pages for hit in page.hits]
        assert sorted(keys(hits)) == sorted(f"shop/{i}" for i in range(60))
        assert [hit.rank for hit in hits] == list(range(1, 61))
        assert [len(page.hits) for page in pages[:-1]] == [k] * (len(pages) - 1)
        assert pages[-1].hits


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"keyword": "number 7"},
        {"unique": True},
        {"diverse": 0.3},
        {"unique": True, "diverse": 0.6, "keyword": "item"},
        {"where": "n < 200"},
    ],
)
def test_pages_are_slices_of_the_long_list(shop: StoreBuilder, parts: dict[str, Any]) -> None:
    engine = shop.engine()
    pages = all_pages(engine, 30, **parts)
    whole = engine.search(asked(k=COUNT, **parts))
    assert [key for page in pages for key in keys(page.hits)] == keys(whole)
    assert len(whole) == (200 if "where" in parts else COUNT)


def test_a_page_may_be_of_another_length(shop: StoreBuilder) -> None:
    engine = shop.engine()
    first = engine.page(asked(k=5))
    second = engine.page(asked(k=20, after=first.next))
    assert keys(first.hits) + keys(second.hits) == keys(engine.search(asked(k=25)))


def test_the_last_page_has_no_cursor(shop: StoreBuilder) -> None:
    engine = shop.engine()
    assert engine.page(asked(k=COUNT)).next is None
    assert engine.page(asked(k=COUNT - 1)).next is not None


def test_a_cursor_of_another_query_is_refused(shop: StoreBuilder) -> None:
    engine = shop.engine()
    cursor = engine.page(asked(k=5)).next
    for other in (
        asked(IMAGES[8], k=5, after=cursor),
        asked(k=5, where="n < 100", after=cursor),
        asked(k=5, unique=True, after=cursor),
    ):
        with pytest.raises(BadQuery, match="another query"):
            engine.page(other)


def test_a_cursor_of_an_older_store_is_refused(builder: StoreBuilder) -> None:
    builder.write(item_rows(60))
    builder.build()
    cursor = builder.engine().page(asked(k=5)).next
    assert builder.engine().page(asked(k=5, after=cursor)).hits
    builder.write(item_rows(61)[60:])
    with pytest.raises(BadQuery, match="store has changed"):
        builder.engine().page(asked(k=5, after=cursor))


def test_a_cursor_from_before_a_row_was_hidden_is_refused(builder: StoreBuilder) -> None:
    builder.write(item_rows(60))
    builder.build()
    first = builder.engine().page(asked(k=5))
    with builder.store.writing():
        change_hidden(builder.store.folder, hide=[builder.uid_of(first.hits[0].key)])
    with pytest.raises(BadQuery, match="store has changed"):
        builder.engine().page(asked(k=5, after=first.next))
    pages = all_pages(builder.engine(), 7)
    assert sum(len(page.hits) for page in pages) == 59


@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJhIl0", "é", "bnVsbA"])
def test_what_is_no_cursor_is_refused(shop: StoreBuilder, cursor: str) -> None:
    with pytest.raises(BadQuery, match="invalid cursor"):
        shop.engine().page(asked(k=5, after=cursor))


# --- threshold ---


def test_a_threshold_ends_the_list(shop: StoreBuilder) -> None:
    engine = shop.engine()
    everything = engine.search(asked(k=COUNT))
    least = everything[41].similarity - 1e-6
    hits = engine.search(asked(k=COUNT, threshold=least))
    assert keys(hits) == keys(everything[:42])
    assert engine.page(asked(k=42, threshold=least)).next is None
    assert keys(engine.search(asked(k=10, threshold=least))) == keys(everything[:10])
    assert engine.search(asked(threshold=1.0)) == []


def test_a_threshold_holds_for_keywords_too(shop: StoreBuilder) -> None:
    engine = shop.engine()
    least = engine.search(asked(k=20))[-1].similarity
    hits = engine.search(asked(k=COUNT, threshold=least, keyword="item number"))
    assert len(hits) == 20
    assert min(hit.similarity for hit in hits) >= least
    with pytest.raises(BadQuery, match="similarity"):
        Query(keyword="x", threshold=0.5)


# --- near-duplicates and variety ---


def test_near_duplicates_are_hidden_and_k_are_kept(doubled: StoreBuilder) -> None:
    engine = doubled.engine()
    plain = engine.search(asked(target="image", k=30))
    assert len({key.split("/")[1] for key in keys(plain)}) == 10
    hits = engine.search(asked(target="image", k=30, unique=True))
    numbers = [key.split("/")[1] for key in keys(hits)]
    assert len(numbers) == len(set(numbers)) == 30
    assert len(engine.search(asked(target="image", k=COUNT, unique=True))) == 100


def test_what_has_no_picture_is_no_duplicate(make_store: MakeStore) -> None:
    notes = [ItemRow(f"notes/{i}", text=TEXTS[3]) for i in range(10)]
    hits = make_store(notes).engine().search(asked(TEXTS[3], unique=True))
    assert len(hits) == 10


def test_diverse_follows_the_paper(shop: StoreBuilder) -> None:
    """Against maximal marginal relevance written out, over all items at once."""
    engine = shop.engine()
    share, count = 0.4, 90
    found = engine.search(asked(k=count, where=f"n < {count}", diverse=share))
    vectors = engine.fusion.products(IMAGES[:count], TEXTS[:count])
    scores = vectors @ engine.fusion.centre(IMAGES[7:8], "image")[0]
    relevance = (scores - scores.min()) / np.ptp(scores)
    alike = vectors @ vectors.T
    chosen: list[int] = []
    while len(chosen) < count:
        worth = {
            i: share * relevance[i]
            - (1 - share) * max([0.0, *(float(alike[i, other]) for other in chosen)])
            for i in range(count)
            if i not in chosen
        }
        chosen.append(max(worth, key=lambda i: worth[i]))
    agreeing = [a == f"shop/{b}" for a, b in zip(keys(found)[:20], chosen[:20], strict=True)]
    assert all(agreeing)


def test_diverse_is_relevance_alone_at_one(shop: StoreBuilder) -> None:
    engine = shop.engine()
    assert keys(engine.search(asked(k=50, diverse=1.0))) == keys(engine.search(asked(k=50)))


def test_diverse_spreads_a_list(doubled: StoreBuilder) -> None:
    engine = doubled.engine()
    plain = engine.search(asked(target="image", k=9))
    spread = engine.search(asked(target="image", k=9, diverse=0.3))
    assert keys(spread)[0] == keys(plain)[0]
    assert len({key.split("/")[1] for key in keys(plain)}) <= 4
    assert len({key.split("/")[1] for key in keys(spread)}) == 9


@pytest.mark.parametrize(
    "parts", [{"diverse": -0.1}, {"diverse": 1.1}, {"threshold": 2.0}, {"k": 0}]
)
def test_values_out_of_range_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(BadQuery, match="must be from"):
        asked(**parts)


# --- many queries at once ---


def test_many_queries_give_what_each_gives_alone(shop: StoreBuilder) -> None:
    queries = [
        asked(IMAGES[3], k=5),
        asked(IMAGES[4], k=5, where="n < 50"),
        asked(IMAGES[5], k=5, where="n < 50"),
        Query((Term(key="shop/9"),), k=12),
        Query(keyword="number 17", k=3),
        asked(IMAGES[6], k=40, unique=True, diverse=0.5),
        asked(TEXTS[6], k=4, target="text", keyword="item"),
        asked(IMAGES[3], k=5),
    ]
    engine = shop.engine()
    together, alone = engine.search_many(queries), [engine.search(query) for query in queries]
    assert [keys(hits) for hits in together] == [keys(hits) for hits in alone]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(
            [hit.similarity for hit in one], [hit.similarity for hit in other], atol=1e-5
        )
    assert engine.search_many([]) == []


def test_many_queries_see_rows_that_the_index_lacks(builder: StoreBuilder) -> None:
    builder.write(item_rows(40))
    builder.build()
    builder.write(item_rows(60)[40:])
    queries = [asked(IMAGES[i], k=1) for i in range(60)]
    found = builder.engine().search_many(queries)
    assert [keys(hits) for hits in found] == [[f"shop/{i}"] for i in range(60)]
