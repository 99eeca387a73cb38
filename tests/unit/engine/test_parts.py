"""Searches of items with several images and passages: grouped by item, or part by part."""

from collections.abc import Sequence

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.engine import Engine
from mmsearch.errors import BadQuery, RecordNotFound
from mmsearch.query import Query, Term, query_of
from mmsearch.records import Floats, Hit
from tests.support.vector_stores import DIM, ItemRow, StoreBuilder, two_cones

SHOES, IMAGES = 12, 5
STEP = 4


def photos() -> Floats:
    """Images of SHOES products, float32 (SHOES, IMAGES, DIM), unit rows."""
    meanings = two_cones(SHOES)[0]
    noise = np.random.default_rng(3).normal(size=(SHOES, IMAGES, DIM)) * 0.15
    flat = (meanings[:, None] + noise).reshape(-1, DIM).astype(np.float32)
    return unit(flat).reshape(SHOES, IMAGES, DIM)


PHOTOS = photos()
TEXTS = two_cones(SHOES)[1]


def shoes(numbers: Sequence[int]) -> list[ItemRow]:
    return [ItemRow(f"shop/shoe{n}", metadata={"n": n}, images=list(PHOTOS[n])) for n in numbers]


@pytest.fixture(params=["indexed", "behind", "without an index"])
def shop(builder: StoreBuilder, request: pytest.FixtureRequest) -> StoreBuilder:
    """SHOES products of IMAGES images each, and as many items of one image."""
    single = two_cones(2 * SHOES)[0][SHOES:]
    builder.write(shoes(range(SHOES // 2)))
    if request.param == "behind":
        builder.build()
    builder.write(shoes(range(SHOES // 2, SHOES)))
    builder.write([ItemRow(f"shop/hat{n}", vector, None) for n, vector in enumerate(single)])
    if request.param == "indexed":
        builder.build()
    return builder


def keys(hits: Sequence[Hit]) -> list[str]:
    return [hit.key for hit in hits]


def exact(vector: Floats) -> list[tuple[str, float]]:
    """Every item by its best image."""
    hats = two_cones(2 * SHOES)[0][SHOES:]
    best = {f"shop/shoe{n}": float((PHOTOS[n] @ vector).max()) for n in range(SHOES)}
    best |= {f"shop/hat{n}": float(hat @ vector) for n, hat in enumerate(hats)}
    return sorted(best.items(), key=lambda pair: -pair[1])


@pytest.mark.parametrize("k", [1, 3, 10, 2 * SHOES, 100])
def test_k_distinct_items_come_by_their_best_image(shop: StoreBuilder, k: int) -> None:
    engine = shop.engine()
    for n in range(0, SHOES, STEP):
        hits = engine.search(query_of(vector=PHOTOS[n, 2], k=k, target="image"))
        expected = exact(PHOTOS[n, 2])[:k]
        assert keys(hits) == [key for key, _ in expected]
        similarities = [hit.similarity for hit in hits]
        assert similarities == pytest.approx([value for _, value in expected], abs=2e-3)
        part = hits[0].part
        assert part is not None
        assert (part.locator, part.of, hits[0].path) == (
            "image=3",
            IMAGES,
            f"/pictures/shop/shoe{n}-3",
        )


def test_pages_continue_without_overlap(shop: StoreBuilder) -> None:
    engine = shop.engine()
    whole = engine.search(query_of(vector=PHOTOS[0, 0], k=24))
    found: list[Hit] = []
    cursor = None
    for _ in range(8):
        page = engine.page(query_of(vector=PHOTOS[0, 0], k=3, after=cursor))
        found += page.hits
        cursor = page.next
    assert keys(found) == keys(whole)
    assert cursor is None
    first = engine.page(query_of(vector=PHOTOS[0, 0], k=3)).next
    with pytest.raises(BadQuery, match="another query"):
        engine.page(query_of(vector=PHOTOS[0, 0], k=3, parts=True, after=first))


def test_a_filter_of_items_holds_for_their_images(shop: StoreBuilder) -> None:
    hits = shop.engine().search(query_of(vector=PHOTOS[0, 0], k=10, where="n IN (2, 7, 9)"))
    assert sorted(keys(hits)) == ["shop/shoe2", "shop/shoe7", "shop/shoe9"]


def test_parts_are_listed_one_by_one(shop: StoreBuilder) -> None:
    hits = shop.engine().search(query_of(vector=PHOTOS[5, 1], k=200, parts=True))
    assert len(hits) == SHOES * IMAGES + SHOES
    assert len({(hit.key, hit.part) for hit in hits}) == len(hits)
    assert hits[0].part is not None
    assert (hits[0].key, hits[0].part.locator) == ("shop/shoe5", "image=2")
    assert [hit.part is None for hit in hits] == ["hat" in hit.key for hit in hits]
    with pytest.raises(BadQuery, match="whole item"):
        query_of(vector=PHOTOS[5, 1], parts=True, target="product")


def test_like_takes_an_item_or_one_of_its_images(shop: StoreBuilder) -> None:
    engine = shop.engine()
    alone = engine.search(query_of(like="shop/shoe3#image=2", k=30))
    assert "shop/shoe3" not in keys(alone)
    expected = [key for key, _ in exact(PHOTOS[3, 1]) if key != "shop/shoe3"]
    assert keys(alone) == expected
    mean = unit(PHOTOS[3].mean(axis=0, keepdims=True))[0]
    whole = engine.search(query_of(like="shop/shoe3", k=30))
    assert keys(whole) == [key for key, _ in exact(mean) if key != "shop/shoe3"]
    assert keys(engine.search(query_of(like="shop/hat1#image=1", k=30)))
    with pytest.raises(RecordNotFound, match="has 5 of kind 'image'"):
        engine.search(query_of(like="shop/shoe3#image=6"))


def test_a_key_that_looks_like_that_of_a_part_is_an_item(builder: StoreBuilder) -> None:
    builder.write([*shoes([0, 1]), ItemRow("shop/shoe0#image=2", TEXTS[4])])
    hits = builder.engine().search(query_of(like="shop/shoe0#image=2"))
    assert sorted(keys(hits)) == ["shop/shoe0", "shop/shoe1"]


def test_the_product_with_the_very_image_comes_first(builder: StoreBuilder) -> None:
    builder.write(
        [ItemRow(f"shop/{n}", text=TEXTS[n], images=list(PHOTOS[n])) for n in range(SHOES)]
    )
    builder.build()
    engine = builder.engine()
    for n in range(0, SHOES, STEP):
        query = Query((Term(vector=PHOTOS[n, 3]),), k=SHOES)
        assert engine.search(query)[0].matched == "product"
        hits = engine.search(query_of(vector=PHOTOS[n, 3], k=SHOES))
        assert len(set(keys(hits))) == SHOES
        assert {hit.key: hit.part for hit in hits}[f"shop/{n}"].locator == "image=4"  # type: ignore[union-attr]


def test_unique_looks_at_the_images_that_are_shown(builder: StoreBuilder) -> None:
    shared = PHOTOS[0, 0]
    builder.write(
        [
            ItemRow("shop/a", images=[shared, *PHOTOS[1, 1:]]),
            ItemRow("shop/b", images=[shared, *PHOTOS[2, 1:]]),
            ItemRow("shop/c", PHOTOS[3, 0]),
        ]
    )
    engine = builder.engine()
    assert keys(engine.search(query_of(vector=shared))) == ["shop/a", "shop/b", "shop/c"]
    assert keys(engine.search(query_of(vector=shared, unique=True))) == ["shop/a", "shop/c"]
    diverse = engine.search(query_of(vector=shared, diverse=0.3))
    assert sorted(keys(diverse)) == ["shop/a", "shop/b", "shop/c"]


def test_long_texts_are_found_by_their_passages(builder: StoreBuilder) -> None:
    vectors = two_cones(30)[1]
    builder.write(
        [
            ItemRow(
                f"docs/{n}",
                words=f"part one {n} part two {n} part three whale{n}",
                passages=[
                    (f"part one {n}", vectors[3 * n]),
                    (f"part two {n}", vectors[3 * n + 1]),
                    (f"part three whale{n}", vectors[3 * n + 2]),
                ],
            )
            for n in range(10)
        ]
    )
    builder.build()
    engine = builder.engine()
    hit = engine.search(query_of(vector=vectors[13], k=10))[0]
    assert (hit.key, hit.excerpt, hit.matched) == ("docs/4", "part two 4", "text")
    (found,) = engine.search(query_of(keyword="whale7"))
    assert found.excerpt == "part three whale7"
    assert found.part is not None
    assert found.part.locator == "passage=3"
    hybrid = engine.search(Query((Term(vector=vectors[13]),), keyword="whale7", k=10))
    assert sorted(keys(hybrid)) == [f"docs/{n}" for n in range(10)]
    listed = engine.search(Query((Term(vector=vectors[13]),), keyword="whale7", k=99, parts=True))
    assert len({hit.part for hit in listed}) == len(listed) == 30


def test_an_update_keeps_indexes_and_parts_in_step(builder: StoreBuilder) -> None:
    builder.write(shoes(range(6)))
    builder.build("hnsw")
    with builder.store.writing():
        builder.store.mark_missing(["shop/shoe1"], None)
        builder.store.items.delete("key = 'shop/shoe2'")
    builder.write([*shoes([6]), ItemRow("shop/shoe3", PHOTOS[3, 0])])
    builder.update()
    engine: Engine = builder.engine()
    assert engine.generation is not None
    assert engine.generation.info.counts["image"] == 5 * IMAGES + 1
    for n in (0, 4, 6):
        hits = engine.search(query_of(vector=PHOTOS[n, 4], k=50))
        assert len(hits) == len(set(keys(hits))) == 6
        assert hits[0].key == f"shop/shoe{n}"
    single = engine.search(query_of(vector=PHOTOS[3, 0], k=1))[0]
    assert (single.key, single.part) == ("shop/shoe3", None)


@pytest.mark.parametrize("kind", ["hnsw", "ivf-flat", "lance"])
def test_trained_indexes_group_by_item(builder: StoreBuilder, kind: str) -> None:
    count = 400
    random = np.random.default_rng(0)
    centres = random.normal(size=(count, 1, DIM))
    near = centres + 0.3 * random.normal(size=(count, 4, DIM))
    images = unit(near.reshape(-1, DIM).astype(np.float32)).reshape(count, 4, DIM)
    builder.write([ItemRow(f"shop/{n}", images=list(each)) for n, each in enumerate(images)])
    builder.build(kind)
    engine = builder.engine()
    assert engine.generation is not None
    meta = engine.generation.metas()["image"]
    assert meta.kind == kind
    assert meta.tuning is None or meta.tuning.reached
    found = []
    for n in range(0, count, 40):
        hits = engine.search(query_of(vector=images[n, 0], k=10))
        best = (images @ images[n, 0]).max(axis=1)
        expected = {f"shop/{place}" for place in np.argsort(-best)[:10]}
        assert len(hits) == 10
        found.append(len(expected & set(keys(hits))) / 10)
    assert np.mean(found) >= 0.9
