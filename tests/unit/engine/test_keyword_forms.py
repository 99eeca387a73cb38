"""Keywords as people type them: codes, accents, beginnings, typos, and scripts without spaces."""

from collections.abc import Callable

import pytest

from mmsearch.query import Query, Term
from mmsearch.store import Store
from mmsearch.store.migrations import migrate
from mmsearch.store.word_forms import COLUMN
from tests.support.vector_stores import ItemRow, StoreBuilder, two_cones

IMAGES, TEXTS = two_cones(40)
MakeStore = Callable[..., StoreBuilder]

TITLES = {
    "att": "AT&T phone case",
    "book": "C++ programming book 978-3-16-148410-0",
    "isbn": "Another book, ISBN 9780306406157",
    "phone": "iPhone 15 Pro Max 256GB",
    "cable": "Cable for iphone15",
    "disk": "SSD drive 256 GB",
    "screw": "Screw M8x20 zinc",
    "bolt": "Bolt M8",
    "photo": "Print of DSC08155",
    "yoghurt": "Müller yoghurt",
    "flour": "Mueller flour",
    "coffee": "Café crème",
    "chocolate": "Dark chocolate bar",
    "banana": "Ripe banana",
    "who": "Records of The Who",
    "chinese": "红苹果",
    "japanese": "りんごジュース",
    "korean": "사과로 만든 주스",
}


def goods() -> list[ItemRow]:
    fillers = [
        ItemRow(f"shop/filler{i}", IMAGES[i], TEXTS[i], f"a plain thing {i}", {"ean": i})
        for i in range(20)
    ]
    return [
        *fillers,
        *(
            ItemRow(f"shop/{name}", IMAGES[20 + i], TEXTS[20 + i], title, {"ean": 4006381330 + i})
            for i, (name, title) in enumerate(TITLES.items())
        ),
    ]


@pytest.fixture(scope="module")
def shop(make_store: MakeStore) -> StoreBuilder:
    return make_store(goods())


def found(shop: StoreBuilder, words: str, **rest: object) -> list[str]:
    hits = shop.engine().search(Query(keyword=words, **rest))  # type: ignore[arg-type]
    return [hit.key.removeprefix("shop/") for hit in hits]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("AT&T", ["att"]),
        ("9783161484100", ["book"]),
        ("978-3-16-148410-0", ["book"]),
        ("978-0-306-40615-7", ["isbn"]),
        ("256 GB", ["disk", "phone"]),
        ("256GB", ["phone", "disk"]),
        ("m8X20", ["screw"]),
        ("M8", ["bolt", "screw"]),
        ("DSC", ["photo"]),
        ("8155", ["photo"]),
        ("cafe creme", ["coffee"]),
        ("choc", ["chocolate"]),
        ("bananna", ["banana"]),
        ("choclate", ["chocolate"]),
        ("the who", ["who"]),
        ("苹果", ["chinese"]),
        ("ジュース", ["japanese"]),
        ("사과", ["korean"]),
        ("4006381333", ["phone"]),
    ],
)
def test_words_as_people_type_them(shop: StoreBuilder, words: str, first: list[str]) -> None:
    assert found(shop, words)[: len(first)] == first


@pytest.mark.parametrize(("words", "all_of"), [
    ("iphone15", {"cable", "phone"}),
    ("iPhone 15", {"cable", "phone"}),
    ("Müller", {"yoghurt", "flour"}),
    ("Mueller", {"yoghurt", "flour"}),
    ("Muller", {"yoghurt", "flour"}),
])  # fmt: skip
def test_both_spellings_are_found(shop: StoreBuilder, words: str, all_of: set[str]) -> None:
    assert set(found(shop, words)[:2]) == all_of


def test_the_form_as_typed_comes_first(shop: StoreBuilder) -> None:
    assert found(shop, "iphone15")[0] == "cable"
    assert found(shop, "Mueller")[0] == "flour"
    assert found(shop, "Müller")[0] == "yoghurt"


def test_forms_keep_to_the_filter_and_merge_with_vectors(shop: StoreBuilder) -> None:
    assert found(shop, "256GB", where="text LIKE 'SSD%'") == ["disk"]
    hybrid = found(shop, "DSC", terms=(Term(vector=IMAGES[0]),))
    assert "photo" in hybrid[:3]


def test_rows_newer_than_the_index_are_found_by_their_forms(builder: StoreBuilder) -> None:
    builder.write(goods())
    builder.build()
    builder.write([ItemRow("shop/new", IMAGES[0], TEXTS[0], "Lens EF-70/200")])
    assert found(builder, "ef70200") == ["new"]


def test_a_store_from_before_keeps_working_and_gets_the_forms(builder: StoreBuilder) -> None:
    builder.write(goods())
    builder.build()
    with builder.store.writing():
        builder.store.items.drop_columns([COLUMN])
    assert found(builder, "chocolate") == ["chocolate"]
    assert found(builder, "choc") == []
    before = Store.open(builder.store.folder)
    vectors = before.scan(["_uid", "_image_vector"]).sort_by("_uid")
    with builder.store.writing():
        builder.store.update_manifest(format=1)
        migrate(builder.store, print)
    builder.build()
    assert found(builder, "choc") == ["chocolate"]
    assert found(builder, "苹果") == ["chinese"]
    after = Store.open(builder.store.folder)
    assert after.scan(["_uid", "_image_vector"]).sort_by("_uid") == vectors
    assert COLUMN not in after.public_columns
