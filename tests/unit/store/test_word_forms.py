"""Word forms: spellings of one word or code share a form, on both sides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.store.word_forms import MAX_CHARACTERS, indexed_forms, query_forms


def shared(text: str, query: str) -> set[str]:
    forms = query_forms(query)
    return set(indexed_forms([text]).split()) & {*forms.codes.split(), *forms.equal.split()}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AT&T", "at&t"),
        ("AT&T", "ATT"),
        ("978-3-16-148410-0", "9783161484100"),
        ("978 3 16 148410 0", "978-3-16-148410-0"),
        ("iPhone 15", "iphone15"),
        ("256 GB", "256GB"),
        ("M8x20", "m8X20"),
        ("Müller", "Mueller"),
        ("Müller", "Muller"),
        ("Mueller", "Muller"),
        ("Ångström", "angstrom"),
        ("Straße", "strasse"),
        ("crème brûlée", "creme brulee"),
        ("T-shirt", "tshirt"),
        ("ｉＰｈｏｎｅ１５", "iphone 15"),
    ],
)
def test_spellings_find_each_other(one: str, other: str) -> None:
    assert shared(one, other)
    assert shared(other, one)


def test_chinese_japanese_and_korean_are_found_by_parts() -> None:
    assert "苹果" in shared("红苹果", "苹果")
    assert shared("りんごジュース", "ジュース")
    assert shared("사과로 만든 주스", "사과")
    assert shared("红苹果", "果")
    assert not shared("红苹果", "香蕉")


def test_stop_words_are_looked_for_where_there_is_nothing_else() -> None:
    assert query_forms("the apple").equal == "apple"
    assert set(query_forms("to be or not to be").equal.split()) == {"to", "be", "or", "not"}


def test_beginnings_and_typos() -> None:
    forms = indexed_forms(["DSC08155.JPG M8x20 chocolate"]).split()
    for query in ("DSC", "m8", "choc", "chocolate", "DSC08155"):
        assert set(query_forms(query).prefixes.split()) <= set(forms)
    assert {"08155", "8155"} <= set(forms)
    assert query_forms("bananna the tee x2000000").typos == "bananna"


def test_a_long_text_has_few_forms() -> None:
    assert "zebra" not in indexed_forms(["word " * MAX_CHARACTERS, "zebra"]).split()
    assert query_forms("word " * MAX_CHARACTERS).equal == "word"


CODES = st.lists(st.text("ABCXYZ0123456789", min_size=1, max_size=6), min_size=2, max_size=5)


@given(CODES, st.sampled_from("-./&_"))
def test_a_code_is_found_with_and_without_separators(parts: list[str], separator: str) -> None:
    separated, plain = separator.join(parts), "".join(parts)
    assert shared(separated, plain)
    assert shared(plain, separated)


@given(st.text(max_size=50))
def test_any_text_finds_itself(text: str) -> None:
    forms = query_forms(text)
    indexed = set(indexed_forms([text]).split())
    assert {*forms.codes.split(), *forms.equal.split()} <= indexed
    assert set(forms.typos.split()) <= indexed
