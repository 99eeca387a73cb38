"""Catalogs to train on: several texts, classes, what belongs together, and what is refused."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainingSet, read_training_set
from mmsearch.progress import NullProgress
from mmsearch.sources import SourceOptions, open_source

HEADER = "id,image,title,description,kind,product,fold"
Rows = list[list[str]]


def draw_image(path: Path, seed: int, quality: int = 92) -> None:
    """Draws random spots: images of two seeds agree nowhere."""
    spots = np.random.default_rng(seed).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    large = Image.fromarray(spots).resize((160, 120), Image.Resampling.BICUBIC)
    large.save(path, quality=quality)


def rows(count: int = 12) -> Rows:
    return [
        [f"i{n}", f"{n}.jpg", f"Thing {n}", f"A thing of number {n}", "ab"[n % 2], "", ""]
        for n in range(count)
    ]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., TrainingSet]:
    """Reads a table of these rows; images named N.jpg exist for N below 20."""
    for n in range(20):
        draw_image(tmp_path / f"{n}.jpg", n)

    def read(table: Rows, texts: Sequence[str] = ("title", "description"), **said: Any) -> Any:
        lines = [HEADER, *(",".join(row) for row in table)]
        (tmp_path / "goods.csv").write_text("\n".join(lines), encoding="utf-8")
        options = SourceOptions(image_column="image", text_columns=tuple(texts), id_column="id")
        source = open_source(tmp_path / "goods.csv", name="goods", options=options)
        return read_training_set([source], progress=NullProgress(), **said)

    return read


def groups(catalog: TrainingSet) -> list[int]:
    return [item.group for item in catalog.items]


def test_items_have_their_texts_one_by_one_and_their_class(read: Callable[..., Any]) -> None:
    catalog = read(rows(), classes="kind")
    first = catalog.items[0]
    assert first.key == "goods/i0"
    assert first.image.name == "0.jpg"
    assert first.texts == ("Thing 0. A thing of number 0", "Thing 0", "A thing of number 0")
    assert catalog.classes == catalog.class_titles == ("a", "b")
    assert [item.label for item in catalog.items[:3]] == [0, 1, 0]
    assert groups(catalog) == list(range(12))
    assert catalog.notes == ("12 items in 12 groups: 12 images, 12 with texts",)


def test_named_columns_replace_those_that_are_joined(read: Callable[..., Any]) -> None:
    table = [[*row[:4], row[4], f"p{n}", "x"] for n, row in enumerate(rows())]
    catalog = read(table, texts=["title"], text_columns=["description", "product"])
    assert catalog.items[1].texts == ("Thing 1", "A thing of number 1", "p1")
    assert catalog.items[1].label == UNLABELLED


def test_one_modality_is_enough(read: Callable[..., Any]) -> None:
    table = rows()
    table[0][1] = ""
    table[1][2] = table[1][3] = ""
    catalog = read(table)
    assert catalog.items[0].image is None
    assert catalog.items[0].texts
    assert catalog.items[1].image is not None
    assert catalog.items[1].texts == ()


def test_products_and_equal_files_and_near_duplicates_are_groups(
    read: Callable[..., Any], tmp_path: Path
) -> None:
    table = rows()
    table[3][5] = table[4][5] = "a lamp"
    (tmp_path / "6.jpg").write_bytes((tmp_path / "5.jpg").read_bytes())
    draw_image(tmp_path / "8.jpg", seed=7, quality=60)
    assert groups(read(table, group="product")) == [0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8]
    without = groups(read(table, near_duplicates=False))
    assert without == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]


def test_groups_are_connected_through_others(read: Callable[..., Any], tmp_path: Path) -> None:
    table = rows()
    table[0][5] = table[1][5] = "a lamp"
    (tmp_path / "2.jpg").write_bytes((tmp_path / "1.jpg").read_bytes())
    draw_image(tmp_path / "3.jpg", seed=1, quality=60)
    assert groups(read(table, group="product"))[:5] == [0, 0, 0, 0, 1]


def numbered(count: int, texts: Sequence[str], kinds: str = "") -> Rows:
    """Rows with distinct images, these texts, and classes by letter."""
    table = [[f"i{n}", f"{n % 20}.jpg", texts[n], "", "", "", ""] for n in range(count)]
    for n, kind in enumerate(kinds):
        table[n][4] = kind
    return table


def test_equal_texts_are_one_product(read: Callable[..., Any]) -> None:
    texts = [f"Thing {n}" for n in range(20)]
    texts[4] = "THING  3!"
    assert groups(read(numbered(20, texts)))[2:6] == [2, 3, 3, 4]


def test_a_text_of_a_whole_class_ties_nothing(read: Callable[..., Any]) -> None:
    texts = ["A long description of kind a"] * 2 + [f"Thing {n}" for n in range(2, 20)]
    kinds = "aabbbbbbbbbbbbbbbbbb"
    assert groups(read(numbered(20, texts)))[:3] == [0, 0, 1]
    assert groups(read(numbered(20, texts, kinds), classes="kind")) == list(range(20))
    # The same text on two of a class of 18 is one product's.
    texts = [f"Thing {n}" for n in range(18)] + ["A blue lamp"] * 2
    catalog = read(numbered(20, texts, kinds), classes="kind")
    assert groups(catalog)[-2:] == [18, 18]


def test_a_text_that_many_have_or_two_classes_have_ties_nothing(read: Callable[..., Any]) -> None:
    texts = ["A shirt"] * 3 + [f"Thing {n}" for n in range(3, 20)]
    assert groups(read(numbered(20, texts))) == list(range(20))
    texts = ["A shirt"] * 2 + [f"Thing {n}" for n in range(2, 20)]
    spread = "abababababababababab"
    assert groups(read(numbered(20, texts, spread), classes="kind")) == list(range(20))


def test_a_group_column_explains_equal_texts(read: Callable[..., Any]) -> None:
    table = numbered(20, ["A blue lamp"] * 2 + [f"Thing {n}" for n in range(2, 20)])
    table[0][5], table[1][5] = "1", "2"
    assert groups(read(table, group="product")) == list(range(20))


def test_a_broken_image_is_a_failure_and_its_text_stays(
    read: Callable[..., Any], tmp_path: Path
) -> None:
    whole = (tmp_path / "3.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) // 4])
    table = rows()
    (tmp_path / "4.jpg").write_bytes(whole[: len(whole) // 4])
    table[4][2] = table[4][3] = ""
    catalog = read(table)
    assert [failure.key for failure in catalog.failures] == ["goods/i3", "goods/i4"]
    assert "3.jpg" in catalog.failures[0].reason
    assert len(catalog.items) == 11
    assert catalog.items[3].image is None
    assert catalog.items[4].key == "goods/i5"


def test_a_column_names_the_split(read: Callable[..., Any]) -> None:
    table = rows()
    for row, word in zip(table, ["Train", "validation", "dev", "test", ""], strict=False):
        row[6] = word
    catalog = read(table, split_column="fold")
    assert [item.split for item in catalog.items[:5]] == ["train", "val", "val", "test", None]
    table[2][6] = "holdout"
    with pytest.raises(InputError, match="goods/i2 has 'holdout'"):
        read(table, split_column="fold")


def test_a_class_of_one_item_is_reported(read: Callable[..., Any]) -> None:
    table = rows()
    table[0][4] = "rare"
    assert "1 of 3 classes have a single item" in read(table, classes="kind").notes[-1]


def without(column: int) -> Rows:
    return [[*row[:column], "", *row[column + 1 :]] for row in rows()]


@pytest.mark.parametrize(
    ("table", "said", "says"),
    [
        (rows(4), {}, "4 can be read, but .* at least 10"),
        (rows(), {"classes": "colour"}, "`classes`: no item has a column 'colour'.*kind"),
        (rows(), {"group": "colour"}, "`group`: no item has a column 'colour'.*kind"),
        (rows(), {"split_column": "colour"}, "`split_column`: no item has a column 'colour'"),
        (
            rows(),
            {"text_columns": ["colour"]},
            "`FinetuneOptions.text_columns`: no item has a column 'colour'",
        ),
        (
            [[*row[:4], "a", *row[5:]] for row in rows()],
            {"classes": "kind"},
            "all images are of class 'a'",
        ),
        ([[*row[:2], "", "", *row[4:]] for row in rows()], {}, "no image has a text"),
        (without(1), {}, "no item has an image"),
        ([[*row[:5], "same", ""] for row in rows()], {"group": "product"}, "form 1 groups"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_one_line(
    read: Callable[..., Any], table: Rows, said: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read(table, **said)
    assert "\n" not in str(caught.value)
