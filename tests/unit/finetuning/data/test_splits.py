"""Splits: no group straddles, shares hold, classes are spread, and what is saved stays."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.errors import InputError
from mmsearch.finetuning.data.splits import Split, split_items
from mmsearch.finetuning.data.training_set import SPLIT_NAMES, SplitName, TrainingItem, TrainingSet


def item(number: int, group: int, label: int = 0, split: SplitName | None = None) -> TrainingItem:
    return TrainingItem(f"goods/{number}", None, ("a text",), group, label, split)


def names_of(catalog: TrainingSet, split: Split) -> dict[str, str]:
    return {
        catalog.items[place].key: name for name in SPLIT_NAMES for place in split.of(name).tolist()
    }


def parted(catalog: TrainingSet, split: Split) -> list[int]:
    """Groups that more than one split holds."""
    holders = defaultdict(set)
    names = names_of(catalog, split)
    for each in catalog.items:
        if each.key in names:
            holders[each.group].add(names[each.key])
    return [group for group, found in holders.items() if len(found) > 1]


sizes = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), min_size=12, max_size=80)


@st.composite
def catalogs(draw: st.DrawFn) -> TrainingSet:
    """Groups of one label each, their items scattered."""
    pairs = [(group, label) for group, (size, label) in enumerate(draw(sizes)) for _ in range(size)]
    order = draw(st.permutations(range(len(pairs))))
    items = [item(number, *pairs[place]) for number, place in enumerate(order)]
    return TrainingSet(items, tuple("abcde"))


@given(catalogs(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_item_is_in_one_split_and_no_group_in_two(catalog: TrainingSet, seed: int) -> None:
    split = split_items(catalog, seed=seed)
    assert len(names_of(catalog, split)) == len(catalog.items)
    assert sum(len(split.of(name)) for name in SPLIT_NAMES) == len(catalog.items)
    assert not parted(catalog, split)
    assert all(len(split.of(name)) for name in SPLIT_NAMES)


@given(catalogs(), st.sampled_from([(70, 20, 10), (80, 10, 10), (50, 25, 25)]))
@settings(max_examples=60, deadline=None)
def test_shares_hold_to_within_two_groups(
    catalog: TrainingSet, shares: tuple[float, float, float]
) -> None:
    split = split_items(catalog, shares=shares)
    largest = max(Counter(each.group for each in catalog.items).values())
    for name, share in zip(SPLIT_NAMES, shares, strict=True):
        wanted = len(catalog.items) * share / 100
        assert abs(len(split.of(name)) - wanted) <= 2 * largest


@given(st.integers(40, 300), st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_classes_of_single_items_are_spread_evenly(count: int, classes: int) -> None:
    catalog = TrainingSet([item(n, n, n * n % classes) for n in range(count)], tuple("abcdef"))
    split = split_items(catalog)
    totals = Counter(each.label for each in catalog.items)
    for name, share in zip(SPLIT_NAMES, (0.7, 0.2, 0.1), strict=True):
        found = Counter(catalog.items[place].label for place in split.of(name).tolist())
        for label, total in totals.items():
            assert abs(found[label] - share * total) < 2


@given(catalogs(), st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_saved_stays_and_new_items_join_their_groups(
    tmp_path_factory: pytest.TempPathFactory, catalog: TrainingSet, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("run") / "split.json"
    known = data.draw(st.integers(len(catalog.items) // 2, len(catalog.items)))
    before = TrainingSet(catalog.items[:known], catalog.classes)
    if len({each.group for each in before.items}) < 3:
        return
    first = names_of(before, split_items(before, file=file))
    again = names_of(before, split_items(before, seed=5, shares=(40, 30, 30), file=file))
    assert again == first
    grown = split_items(catalog, file=file)
    assert names_of(catalog, grown).items() >= first.items()
    assert not parted(catalog, grown)
    # What is gone for a while keeps its place.
    split_items(before, file=file)
    assert names_of(catalog, split_items(catalog, file=file)) == names_of(catalog, grown)


def test_the_seed_decides_and_the_order_of_items_does_not() -> None:
    items = [item(n, n // 2, n % 3) for n in range(60)]
    one = TrainingSet(items, tuple("abc"))
    turned = TrainingSet(items[::-1], tuple("abc"))
    assert names_of(one, split_items(one)) == names_of(turned, split_items(turned))
    assert names_of(one, split_items(one)) != names_of(one, split_items(one, seed=1))


def test_the_file_is_readable_json_by_key(tmp_path: Path) -> None:
    catalog = TrainingSet([item(n, n) for n in range(10)], ("a",))
    split = split_items(catalog, file=tmp_path / "run" / "split.json")
    saved = json.loads((tmp_path / "run" / "split.json").read_text(encoding="utf-8"))
    assert saved["items"] == names_of(catalog, split)
    assert (saved["format_version"], saved["shares"], saved["seed"]) == (1, [70.0, 20.0, 10.0], 0)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["split.json"]


def test_a_column_is_kept_to_and_what_it_never_names_comes_out_of_train() -> None:
    items = [item(n, n, 0, "test" if n % 4 == 3 else "train") for n in range(120)]
    catalog = TrainingSet(items, ("a",))
    split = split_items(catalog)
    assert {catalog.items[place].split for place in split.test.tolist()} == {"test"}
    assert len(split.test) == 30
    assert {catalog.items[place].split for place in split.val.tolist()} == {"train"}
    assert len(split.val) == 20
    assert len(split.train) == 70


def test_items_that_the_column_leaves_blank_join_their_group() -> None:
    items = [item(n, n, 0, SPLIT_NAMES[n % 3]) for n in range(12)]
    catalog = TrainingSet([*items, item(12, 1), item(13, 2)], ("a",))
    names = names_of(catalog, split_items(catalog))
    assert (names["goods/12"], names["goods/13"]) == ("val", "test")


def test_a_column_that_parts_groups_is_refused_unless_allowed() -> None:
    items = [item(n, n // 2 if n < 4 else n, 0, SPLIT_NAMES[n % 3]) for n in range(12)]
    catalog = TrainingSet(items, ("a",))
    with pytest.raises(InputError, match=r"`split_column` splits 2 groups.*goods/0 and goods/1"):
        split_items(catalog)
    split = split_items(catalog, allow_straddling=True)
    assert len(parted(catalog, split)) == 2
    assert names_of(catalog, split) == {each.key: each.split for each in items}


def test_a_column_against_the_file_is_refused(tmp_path: Path) -> None:
    items = [item(n, n, 0, SPLIT_NAMES[n % 3]) for n in range(12)]
    file = tmp_path / "split.json"
    split_items(TrainingSet(items, ("a",)), file=file)
    changed = [item(0, 0, 0, "test"), *items[1:]]
    with pytest.raises(InputError, match=r"has goods/0 in test, but .*split\.json has it in"):
        split_items(TrainingSet(changed, ("a",)), file=file)


def test_a_new_item_that_is_like_two_splits_is_in_none(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    items = [item(n, n) for n in range(10)]
    split = split_items(TrainingSet(items, ("a",)), file=file)
    one, other = int(split.train[0]), int(split.test[0])
    # The new image shows both, so that all three are one group now.
    tied = [item(n, 99 if n in (one, other) else n) for n in range(10)]
    catalog = TrainingSet([*tied, item(10, 99)], ("a",))
    grown = split_items(catalog, file=file)
    names = names_of(catalog, grown)
    assert "goods/10" not in names
    assert len(names) == 10
    assert "1 new items resemble items of two splits" in grown.notes[-1]
    # Without the new item, the file itself parts the group.
    with pytest.raises(InputError, match=r"split\.json splits 1 groups"):
        split_items(TrainingSet(tied, ("a",)), file=file)


def test_a_split_saved_under_the_old_name_is_reused(tmp_path: Path) -> None:
    catalog = TrainingSet([item(n, n) for n in range(20)], ("a",))
    before = names_of(catalog, split_items(catalog, file=tmp_path / "split.json", seed=1))
    (tmp_path / "split.json").rename(tmp_path / "split.jsonl")
    after = split_items(catalog, file=tmp_path / "split.json", seed=2)
    assert names_of(catalog, after) == before
    assert "split.jsonl" in after.notes[0]
    assert json.loads((tmp_path / "split.json").read_text("utf-8"))["items"] == before


def test_no_test_split_where_its_share_is_nothing() -> None:
    catalog = TrainingSet([item(n, n) for n in range(20)], ("a",))
    split = split_items(catalog, shares=(80, 20, 0))
    assert [len(split.of(name)) for name in SPLIT_NAMES] == [16, 4, 0]


@pytest.mark.parametrize("shares", [(70, 30), (0, 50, 50), (70, 0, 30), (70, 40, -10)])
def test_shares_that_cannot_be_are_refused(shares: tuple[float, ...]) -> None:
    catalog = TrainingSet([item(n, n) for n in range(20)], ("a",))
    with pytest.raises(InputError, match="70:20:10"):
        split_items(catalog, shares=shares)


def test_too_few_groups_are_refused() -> None:
    catalog = TrainingSet([item(n, n % 2) for n in range(20)], ("a",))
    with pytest.raises(InputError, match=r"the \w+ split is empty: there are 2 groups"):
        split_items(catalog)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"format_version": 2, "items": {}}', '{"format_version": 1, "items": {"a": "x"}}'],
)
def test_a_file_that_is_no_split_is_refused(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "split.json"
    file.write_text(content, encoding="utf-8")
    catalog = TrainingSet([item(n, n) for n in range(20)], ("a",))
    with pytest.raises(InputError, match=r"split\.json is not a saved split"):
        split_items(catalog, file=file)
