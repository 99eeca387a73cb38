"""Keywords: BM25 over texts and names, alone or merged with vectors, with filters, always fresh."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mmsearch.arrays import unit
from mmsearch.engine import Engine
from mmsearch.errors import BadFilter, BadQuery
from mmsearch.query import Query, Term
from mmsearch.records import Hit
from tests.support.vector_stores import ItemRow, StoreBuilder, two_cones

COUNT = 300
IMAGES, TEXTS = two_cones(COUNT)
MakeStore = Callable[..., StoreBuilder]


def item(number: int, words: str | None, **metadata: str | int) -> ItemRow:
    return ItemRow(
        f"shop/{number}.png", IMAGES[number], TEXTS[number], words, {"n": number, **metadata}
    )


def goods() -> list[ItemRow]:
    plain = [item(number, f"plain thing number {number}") for number in range(COUNT - 5)]
    return [
        *plain,
        item(295, "Running shoes for the rain"),
        item(296, "Ein Café in Zürich"),
        item(297, "a drill", title="Acme X200", brand="Acme"),
        item(298, "a saw", title="Acme X300", brand="Acme"),
        ItemRow("shop/red-apple.webp", IMAGES[299], None, None, {"n": 299}),
    ]


def keys(hits: list[Hit]) -> list[str]:
    return [hit.key for hit in hits]


def worded(engine: Engine, words: str, **rest: object) -> list[Hit]:
    return engine.search(Query(keyword=words, **rest))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shop(make_store: MakeStore) -> StoreBuilder:
    return make_store(goods())


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("shoe", "shop/295.png"),
        ("RUN", "shop/295.png"),
        ("cafe zurich", "shop/296.png"),
        ("CAFÉ", "shop/296.png"),
        ("acme x200", "shop/297.png"),
        ("apples", "shop/red-apple.webp"),
        ("x200 it's \"(AND", "shop/297.png"),
    ],
)
def test_keywords_find_stems_accents_names_and_files(
    shop: StoreBuilder, words: str, key: str
) -> None:
    assert keys(worded(shop.engine(), words))[0] == key


def test_keywords_alone_rank_by_bm25(shop: StoreBuilder) -> None:
    hits = worded(shop.engine(), "acme x200")
    assert keys(hits) == ["shop/297.png", "shop/298.png"]
    assert hits[0].similarity > hits[1].similarity > 0
    assert {hit.matched for hit in hits} == {"keyword"}
    assert [hit.score for hit in hits] == [hit.similarity for hit in hits]


def test_the_score_of_a_merged_list_is_what_orders_it(shop: StoreBuilder) -> None:
    terms = (Term(vector=IMAGES[3]),)
    for fuse in ("rrf", "weighted"):
        hits = worded(shop.engine(), "acme", terms=terms, fuse=fuse)
        scores = [hit.score or 0 for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > scores[-1] > 0
        similarities = [hit.similarity for hit in hits]
        assert similarities != sorted(similarities, reverse=True)
    assert {hit.score for hit in shop.engine().search(Query(terms))} == {None}


def test_words_that_nothing_holds_find_nothing(shop: StoreBuilder) -> None:
    assert worded(shop.engine(), "zeppelin") == []
    hybrid = worded(shop.engine(), "zeppelin", terms=(Term(vector=IMAGES[3]),))
    assert hybrid[0].key == "shop/3.png"


def test_keywords_lift_what_vectors_rank_low(shop: StoreBuilder) -> None:
    engine = shop.engine()
    far = Term(vector=unit(-IMAGES[297:298] + 3 * IMAGES[:1])[0])
    by_vector = keys(engine.search(Query((far,), k=COUNT)))
    assert by_vector.index("shop/297.png") > 100
    hits = worded(engine, "acme x200", terms=(far,))
    assert keys(hits[:3]).count("shop/297.png") == 1
    found = next(hit for hit in hits if hit.key == "shop/297.png")
    (alone,) = engine.search(Query((far,), where="n = 297"))
    assert found.matched == "keyword"
    assert found.similarity == pytest.approx(alone.similarity, abs=2e-3)


def test_what_both_find_comes_first(shop: StoreBuilder) -> None:
    hits = worded(shop.engine(), "acme", terms=(Term(vector=IMAGES[298]),))
    assert hits[0].key == "shop/298.png"
    assert len(hits) == 10


def test_keywords_keep_to_the_filter(shop: StoreBuilder) -> None:
    engine = shop.engine()
    assert keys(worded(engine, "acme", where="n = 298")) == ["shop/298.png"]
    both = worded(engine, "acme", terms=(Term(vector=IMAGES[3]),), where="n >= 290")
    assert len(both) == 10
    assert all(int(str(hit.record["n"])) >= 290 for hit in both)
    with pytest.raises(BadFilter, match="columns: "):
        worded(engine, "acme", where="m = 3")


def test_keywords_keep_to_the_target(make_store: MakeStore) -> None:
    documents = [ItemRow(f"notes/{i}.txt", text=TEXTS[i], words="an acme note") for i in range(5)]
    pictures = [ItemRow(f"shop/acme-{i}.png", image=IMAGES[i]) for i in range(5, 10)]
    engine = make_store([*documents, *pictures]).engine()
    terms = (Term(vector=IMAGES[6]),)
    assert len(worded(engine, "acme", terms=terms)) == 10
    hits = worded(engine, "acme", terms=terms, target="image")
    assert {hit.key.split("/")[0] for hit in hits} == {"shop"}


def test_rows_newer_than_the_word_index_are_found(builder: StoreBuilder) -> None:
    builder.write(goods())
    builder.build()
    moved = [item(3, "plain thing number 3", title="Acme X900", maker="Zeta"), item(4, "a shoe")]
    builder.write(moved)
    engine = builder.engine()
    assert keys(worded(engine, "x900")) == ["shop/3.png"]
    assert keys(worded(engine, "zeta")) == ["shop/3.png"]
    assert set(keys(worded(engine, "shoes"))) == {"shop/295.png", "shop/4.png"}


def test_rows_that_left_are_not_found(builder: StoreBuilder) -> None:
    builder.write(goods())
    builder.build()
    with builder.store.writing():
        builder.store.mark_missing(["shop/297.png"], datetime(2026, 1, 3, tzinfo=UTC))
    builder.write([item(298, "a hammer")])
    assert worded(builder.engine(), "acme") == []


def test_a_store_without_a_word_index_says_so(builder: StoreBuilder) -> None:
    builder.write(goods()[:5])
    with pytest.raises(BadQuery, match=r"catalog\.index\(rebuild=True\)"):
        worded(builder.engine(), "thing")


def test_the_item_asked_by_is_left_out(shop: StoreBuilder) -> None:
    hits = worded(shop.engine(), "acme", terms=(Term(key="shop/297.png"),), k=COUNT)
    assert "shop/297.png" not in keys(hits)
    assert len(hits) == COUNT - 1


def test_merged_lists_keep_their_order_for_every_k(shop: StoreBuilder) -> None:
    engine = shop.engine()
    terms = (Term(vector=IMAGES[8]),)
    longest = keys(worded(engine, "thing acme", terms=terms, k=COUNT))
    assert len(set(longest)) == len(longest) == COUNT
    for k in (1, 7, 60, 150):
        assert keys(worded(engine, "thing acme", terms=terms, k=k)) == longest[:k]


def test_an_empty_keyword_is_refused() -> None:
    with pytest.raises(BadQuery, match="keyword is empty"):
        Query(keyword=" ")


def test_weighted_scores_go_from_vectors_alone_to_words_alone(shop: StoreBuilder) -> None:
    engine = shop.engine()
    near = (Term(vector=IMAGES[3]),)

    def merged(share: float, k: int = 10) -> list[Hit]:
        return worded(engine, "acme x200", terms=near, fuse="weighted", keyword_weight=share, k=k)

    assert keys(merged(0)) == keys(engine.search(Query(near)))
    assert keys(merged(1, k=2)) == ["shop/297.png", "shop/298.png"]
    both = merged(0.5)
    assert {"shop/3.png", "shop/297.png"} <= set(keys(both)[:3])
    matched = {hit.key: hit.matched for hit in both}
    assert (matched["shop/3.png"], matched["shop/297.png"]) == ("product", "keyword")


def test_weighted_scores_have_pages_without_overlap(shop: StoreBuilder) -> None:
    engine = shop.engine()
    near = (Term(vector=IMAGES[3]),)
    first = engine.page(Query(near, keyword="acme", fuse="weighted", k=7))
    again = Query(near, keyword="acme", fuse="weighted", k=7, after=first.next)
    whole = keys(worded(engine, "acme", terms=near, fuse="weighted", k=14))
    assert keys([*first.hits, *engine.page(again).hits]) == whole
    with pytest.raises(BadQuery, match="another query"):
        engine.page(Query(near, keyword="acme", k=7, after=first.next))


@pytest.mark.parametrize(
    ("wrong", "says"), [({"fuse": "sum"}, "rrf or weighted"), ({"keyword_weight": 2}, "0 to 1")]
)
def test_a_wrong_fusion_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(BadQuery, match=says):
        Query(keyword="acme", **wrong)  # type: ignore[arg-type]
