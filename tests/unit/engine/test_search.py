"""The engine over real stores: targets, merging, --like, filters, generations that lag behind."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.engine import Engine
from mmsearch.errors import BadFilter, BadQuery, RecordNotFound
from mmsearch.query import Query, Term
from mmsearch.records import Floats, Hit, TargetChoice
from tests.support.vector_stores import DIM, ItemRow, StoreBuilder, item_rows, two_cones

COUNT = 400
IMAGES, TEXTS = two_cones(COUNT)
MakeStore = Callable[..., StoreBuilder]


def keys(hits: list[Hit]) -> list[str]:
    return [hit.key for hit in hits]


def near(
    engine: Engine,
    vector: Floats,
    k: int = 10,
    where: str | None = None,
    target: TargetChoice = "auto",
) -> list[Hit]:
    return engine.search(Query((Term(vector=vector),), k=k, where=where, target=target))


@pytest.fixture(scope="module")
def shop(make_store: MakeStore) -> StoreBuilder:
    """Everything has a picture and a text."""
    return make_store(item_rows(COUNT))


@pytest.fixture(scope="module")
def mixed(make_store: MakeStore) -> StoreBuilder:
    """Pictures 0 to 199, documents 200 to 399; the two halves mean the same in the same order."""
    half = COUNT // 2
    pictures = [ItemRow(f"pictures/{i}", image=IMAGES[i]) for i in range(half)]
    documents = [ItemRow(f"documents/{i}", text=TEXTS[i]) for i in range(half)]
    return make_store([*pictures, *documents])


def test_auto_takes_products_where_items_have_both(shop: StoreBuilder) -> None:
    hits = near(shop.engine(), IMAGES[7])
    assert hits[0].key == "shop/7"
    assert {hit.matched for hit in hits} == {"product"}
    assert [hit.rank for hit in hits] == list(range(1, 11))
    similarities = [hit.similarity for hit in hits]
    assert similarities == sorted(similarities, reverse=True)


def test_product_similarities_are_those_of_the_fused_vectors(shop: StoreBuilder) -> None:
    fusion = shop.fusion
    query = fusion.centre(IMAGES[7][None], "image")
    expected = (fusion.products(IMAGES, TEXTS) @ query[0])[[7]]
    found = near(shop.engine(), IMAGES[7], k=1)
    np.testing.assert_allclose([hit.similarity for hit in found], expected, atol=2e-3)


def test_auto_merges_modalities_by_rank_where_few_items_have_both(mixed: StoreBuilder) -> None:
    """By raw cosine a picture finds pictures alone: documents lie in another cone."""
    hits = near(mixed.engine(), IMAGES[7])
    assert set(keys(hits[:2])) == {"pictures/7", "documents/7"}
    assert {hit.matched for hit in hits[:2]} == {"image", "text"}


def test_a_merged_list_is_the_same_however_long_it_is_asked_for(make_store: MakeStore) -> None:
    """A third has both, so both lists name it; how deep they are read must not change the order."""
    items = [
        ItemRow(f"shop/{i}", IMAGES[i] if i % 3 < 2 else None, TEXTS[-i] if i % 3 > 0 else None)
        for i in range(COUNT)
    ]
    engine = make_store(items).engine()
    for query in IMAGES[:20]:
        longest = keys(near(engine, query, k=40))
        assert len(longest) == 40
        for k in (1, 3, 10):
            assert keys(near(engine, query, k=k)) == longest[:k]


@pytest.mark.parametrize("target", ["image", "text", "product"])
def test_a_target_is_what_was_asked_for(shop: StoreBuilder, target: TargetChoice) -> None:
    hits = near(shop.engine(), TEXTS[9] if target == "text" else IMAGES[9], target=target)
    assert hits[0].key == "shop/9"
    assert {hit.matched for hit in hits} == {target}


def test_a_target_that_no_item_has_finds_nothing(make_store: MakeStore) -> None:
    pictures = make_store([ItemRow(f"shop/{i}", image=IMAGES[i]) for i in range(20)])
    assert near(pictures.engine(), IMAGES[3], target="text") == []
    assert keys(near(pictures.engine(), IMAGES[3], k=1, target="product")) == ["shop/3"]


def test_an_empty_store_finds_nothing(builder: StoreBuilder) -> None:
    assert near(builder.engine(), IMAGES[0]) == []
    builder.build()
    assert near(builder.engine(), IMAGES[0]) == []


def test_like_leaves_the_item_itself_out(shop: StoreBuilder) -> None:
    engine = shop.engine()
    hits = engine.search(Query((Term(key="shop/7"),), k=COUNT))
    assert len(hits) == COUNT - 1
    assert "shop/7" not in keys(hits)
    both = engine.search(Query((Term(key="shop/7"), Term(key="shop/8", weight=-0.3)), k=COUNT))
    assert len(both) == COUNT - 2


def test_like_compares_with_what_the_item_has(mixed: StoreBuilder) -> None:
    engine = mixed.engine()
    document = Query((Term(key="documents/7"),), k=1, target="text")
    picture = Query((Term(key="pictures/7"),), k=1, target="text")
    assert engine.search(document)[0].key != "documents/7"
    assert keys(engine.search(picture)) == ["documents/7"]


def test_like_names_a_key_that_is_not_there(shop: StoreBuilder) -> None:
    with pytest.raises(RecordNotFound, match=r"shop/none.*keys look like 'shop/"):
        shop.engine().search(Query((Term(key="shop/none"),)))


@pytest.mark.parametrize("vector", [np.zeros(DIM), np.ones(DIM - 1), np.full(DIM, np.nan)])
def test_a_vector_that_cannot_be_compared_is_refused(shop: StoreBuilder, vector: Floats) -> None:
    with pytest.raises(BadQuery, match=f"{DIM} finite numbers"):
        near(shop.engine(), vector)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf-sq8"])
@pytest.mark.parametrize("share", [0.5, 0.05, 0.01, 0.0025])
def test_a_filter_returns_k_whenever_k_match(
    make_store: MakeStore, kind: str, share: float
) -> None:
    engine = make_store(item_rows(COUNT), kind).engine()
    matching = int(COUNT * share)
    hits = near(engine, IMAGES[0], k=10, where=f"n >= {COUNT - matching}")
    assert len(hits) == min(10, matching)
    assert all(hit.record["n"] >= COUNT - matching for hit in hits)  # type: ignore[operator]
    fusion = engine.fusion
    scores = fusion.products(IMAGES, TEXTS) @ fusion.centre(IMAGES[:1], "image")[0]
    best = COUNT - matching + np.argmax(scores[-matching:])
    assert hits[0].key == f"shop/{best}"


def test_a_filter_that_nothing_matches_finds_nothing(shop: StoreBuilder) -> None:
    assert near(shop.engine(), IMAGES[0], where="n < 0") == []


def test_a_filter_cannot_reach_around_what_is_missing(builder: StoreBuilder) -> None:
    builder.write(item_rows(20))
    builder.store.mark_missing(["shop/3"], datetime(2026, 1, 3, tzinfo=UTC))
    builder.build()
    engine = builder.engine()
    assert "shop/3" not in keys(near(engine, IMAGES[3], k=20, where="n >= 0 OR n < 0"))
    with pytest.raises(BadFilter):
        near(engine, IMAGES[3], k=20, where="n >= 0) OR (n < 0")


# --- generations that lag behind ---


def test_rows_added_since_the_index_was_built_are_found(builder: StoreBuilder) -> None:
    items = item_rows(60)
    builder.write(items[:40])
    builder.build()
    builder.write(items[40:])
    hits = near(builder.engine(), IMAGES[50], k=60)
    assert hits[0].key == "shop/50"
    assert len(set(keys(hits))) == 60


def test_a_lagging_generation_is_completed_exactly(builder: StoreBuilder) -> None:
    """Same list, same similarities as with an index that knows every row and the same means."""
    items = item_rows(120)
    builder.write(items[:100])
    builder.build()
    means = builder.fusion
    builder.write(items[100:])
    scores = means.products(IMAGES[:120], TEXTS[:120]) @ means.centre(IMAGES[3:4], "image")[0]
    hits = near(builder.engine(), IMAGES[3], k=25)
    assert keys(hits) == [f"shop/{i}" for i in np.argsort(-scores)[:25]]
    np.testing.assert_allclose([h.similarity for h in hits], np.sort(scores)[::-1][:25], atol=2e-3)


def test_rows_that_left_since_the_index_was_built_are_not_found(builder: StoreBuilder) -> None:
    builder.write(item_rows(60))
    builder.build()
    with builder.store.writing():
        builder.store.mark_missing(["shop/7", "shop/8"], datetime(2026, 1, 3, tzinfo=UTC))
    hits = near(builder.engine(), IMAGES[7], k=60)
    assert len(hits) == 58
    assert not {"shop/7", "shop/8"} & set(keys(hits))
    filtered = near(builder.engine(), IMAGES[7], k=60, where="n < 10")
    assert set(keys(filtered)) == {f"shop/{i}" for i in (0, 1, 2, 3, 4, 5, 6, 9)}


def test_a_changed_picture_is_found_where_it_is_now(builder: StoreBuilder) -> None:
    builder.write(item_rows(60))
    builder.build()
    builder.write([ItemRow("shop/7", IMAGES[300], TEXTS[300], metadata={"n": 7})])
    engine = builder.engine()
    assert near(engine, IMAGES[300])[0].key == "shop/7"
    assert len(set(keys(near(engine, IMAGES[7], k=61)))) == 60


def test_changed_metadata_is_filtered_by_what_it_is_now(builder: StoreBuilder) -> None:
    builder.write(item_rows(60))
    builder.build()
    item = ItemRow("shop/7", IMAGES[7], TEXTS[7], metadata={"n": 1000})
    builder.write([item], uids=[builder.uid_of("shop/7")])
    (hit,) = near(builder.engine(), IMAGES[7], where="n = 1000")
    assert hit.key == "shop/7"


def test_a_modality_that_came_later_is_found(builder: StoreBuilder) -> None:
    builder.write([ItemRow(f"pictures/{i}", image=IMAGES[i]) for i in range(30)])
    builder.build()
    builder.write([ItemRow(f"documents/{i}", text=TEXTS[i]) for i in range(30)])
    hits = near(builder.engine(), IMAGES[7], k=2)
    assert set(keys(hits)) == {"pictures/7", "documents/7"}


def test_a_reader_keeps_its_view_while_the_store_moves_on(builder: StoreBuilder) -> None:
    builder.write(item_rows(40))
    builder.build()
    reader = builder.engine()
    before = keys(near(reader, IMAGES[7], k=60))
    builder.write(item_rows(60)[40:])
    with builder.store.writing():
        builder.store.mark_missing(["shop/7"], datetime(2026, 1, 3, tzinfo=UTC))
    builder.build()
    assert keys(near(reader, IMAGES[7], k=60)) == before
    assert "shop/7" not in keys(near(builder.engine(), IMAGES[7], k=60))


def test_without_an_index_everything_is_searched_exactly(builder: StoreBuilder) -> None:
    builder.write(item_rows(50))
    engine = builder.engine()
    scores = engine.fusion.products(IMAGES[:50], TEXTS[:50])
    query = engine.fusion.centre(IMAGES[4:5], "image")[0]
    best = np.argsort(-(scores @ query))[:9]
    assert keys(near(engine, IMAGES[4], k=9)) == [f"shop/{i}" for i in best]


def test_terms_are_weighed(shop: StoreBuilder) -> None:
    engine = shop.engine()
    between = engine.search(Query((Term(key="shop/1"), Term(key="shop/2")), k=3, target="image"))
    expected = IMAGES @ unit((IMAGES[1] + IMAGES[2])[None])[0]
    expected[[1, 2]] = -1
    assert keys(between)[0] == f"shop/{np.argmax(expected)}"
