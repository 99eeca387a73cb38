"""Labels in, tasks out: doubles answer for each other, groups, query files, and what is refused."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.evaluation.labels import NONE, LabelledItem, LabelledSet, read_catalog
from mmsearch.evaluation.queries import read_queries
from mmsearch.evaluation.tasks import Products, Task, tasks_from_pairs, tasks_from_queries
from mmsearch.evaluation.zero_shot import class_task, class_title
from mmsearch.progress import NullProgress
from mmsearch.sources import SourceOptions, open_source

ROWS = [
    # id, image, title, kind, product
    ("a", "red.png", "A red tile", "tile", "1"),
    ("b", "blue.png", "a  red TILE", "tile", "1"),
    ("c", "green.png", "A green lamp", "lamp", "2"),
    ("d", "copy-of-red.png", "A scarlet lamp", "lamp", "1"),
    ("e", "torn.png", "A torn lamp", "lamp", ""),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name in ("red", "blue", "green"):
        Image.new("RGB", (40, 40), name).save(tmp_path / f"{name}.png")
    (tmp_path / "copy-of-red.png").write_bytes((tmp_path / "red.png").read_bytes())
    lines = ["id,image,title,Kind of thing,product", *(",".join(row) for row in ROWS)]
    (tmp_path / "goods.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "goods.csv"


def read(table: Path, *, classes: str | None = None, group: str | None = None) -> LabelledSet:
    options = SourceOptions(image_column="image", text_columns=("title",), id_column="id")
    source = open_source(table, name="goods", options=options)
    return read_catalog([source], classes=classes, group=group, progress=NullProgress())


def right(tasks: Sequence[Task], direction: str) -> dict[int, dict[int, float]]:
    """By query, the right candidates and their grades, as positions in the pools."""
    (task,) = [task for task in tasks if task.direction == direction]
    answers: dict[int, dict[int, float]] = {}
    judged = task.judgements
    for query, candidate, grade in zip(judged.query, judged.candidate, judged.grade, strict=True):
        answers.setdefault(int(task.queries[query]), {})[int(task.candidates[candidate])] = grade
    return answers


def test_equal_captions_and_equal_files_are_one(table: Path) -> None:
    catalog = read(table)
    assert catalog.pool.texts == ["A red tile", "A green lamp", "A scarlet lamp", "A torn lamp"]
    assert [path.name for path in catalog.pool.images] == ["red.png", "blue.png", "green.png"]
    assert [(item.key, item.image, item.text) for item in catalog.items] == [
        ("goods/a", 0, 0),
        ("goods/b", 1, 0),
        ("goods/c", 2, 1),
        ("goods/d", 0, 2),
        ("goods/e", -1, 3),
    ]
    assert [failure.key for failure in catalog.failures] == ["goods/e"]


def test_doubles_answer_for_each_other(table: Path) -> None:
    tasks = tasks_from_pairs(read(table).items, grouped=False)
    assert [task.direction for task in tasks] == ["text-to-image", "image-to-text"]
    assert right(tasks, "text-to-image") == {0: {0: 1, 1: 1}, 1: {2: 1}, 2: {0: 1}}
    assert right(tasks, "image-to-text") == {0: {0: 1, 2: 1}, 1: {0: 1}, 2: {1: 1}}
    assert tasks[1].candidates.tolist() == [0, 1, 2, 3]


def test_a_group_answers_without_the_query_itself(table: Path) -> None:
    tasks = tasks_from_pairs(read(table, group="product").items, grouped=True)
    assert right(tasks, "image-to-image") == {0: {1: 1}, 1: {0: 1}}
    assert right(tasks, "text-to-text") == {0: {2: 1}, 2: {0: 1}}
    (task,) = [task for task in tasks if task.direction == "image-to-image"]
    assert task.queries[task.left_out[:, 0]].tolist() == task.queries.tolist()
    assert task.candidates[task.left_out[:, 1]].tolist() == task.queries.tolist()


def test_products_answer_for_their_group_without_what_they_hold(table: Path) -> None:
    items = read(table, group="product").items
    products = Products.of(items)
    # e has lost its picture; a and b share a text, a and d a picture.
    assert products.images.tolist() == [-1, 0, 0, 1, 2]
    assert products.texts.tolist() == [3, 0, 2, 0, 1]
    tasks = tasks_from_pairs(items, grouped=True)
    assert right(tasks, "product-to-product") == {1: {2: 1, 3: 1}, 2: {1: 1, 3: 1}, 3: {1: 1, 2: 1}}
    assert right(tasks, "text-to-product") == {0: {2: 1}, 2: {1: 1, 3: 1}}
    assert right(tasks, "image-to-product") == {0: {3: 1}, 1: {1: 1, 2: 1}}
    left_out = {
        task.direction: [(int(task.queries[q]), int(task.candidates[c])) for q, c in task.left_out]
        for task in tasks
    }
    assert left_out["product-to-product"] == [(1, 1), (2, 2), (3, 3)]
    assert left_out["text-to-product"] == [(0, 1), (0, 3), (2, 2)]
    assert left_out["image-to-product"] == [(0, 1), (0, 2), (1, 3)]
    assert left_out["text-to-image"] == []


def test_no_products_where_nothing_has_both(table: Path) -> None:
    items = [replace(item, image=NONE) for item in read(table, group="product").items]
    assert {task.direction for task in tasks_from_pairs(items, grouped=True)} == {"text-to-text"}


def test_large_groups_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    monkeypatch.setattr("mmsearch.evaluation.tasks.MOST_PAIRS", 2)
    tasks = tasks_from_pairs(read(table, group="Kind of thing").items, grouped=True)
    (task,) = [task for task in tasks if task.direction == "text-to-text"]
    assert task.queries.tolist() == [1]
    assert right(tasks, "text-to-text") == {1: {2: 1, 3: 1}}


def test_classes_by_either_name_of_the_column(table: Path) -> None:
    for column in ("Kind of thing", "kind_of_thing"):
        task = class_task(read(table, classes=column).items, ["{}", "a {} here"])
        assert task.names == ["lamp", "tile"]
        assert task.prompts == ["lamp", "a lamp here", "tile", "a tile here"]
        # The copy's picture keeps the class that it had first.
        assert task.images.tolist() == [0, 1, 2]
        assert task.actual.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("name", "title"),
    [("val/Fruit/Golden-Delicious", "Golden Delicious"), ("T-Shirt", "T Shirt"), ("a_b/", "a b")],
)
def test_class_titles(name: str, title: str) -> None:
    assert class_title(name) == title


@pytest.mark.parametrize(
    ("templates", "names", "says"),
    [
        (["no place"], (), "one {}"),
        (["{}"], ("lamp", "chair"), "'tile'"),
        (["{} {}"], (), "one {}"),
    ],
)
def test_classes_that_cannot_be_are_refused(
    table: Path, templates: list[str], names: tuple[str, ...], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        class_task(read(table, classes="Kind of thing").items, templates, names)


def test_one_class_is_refused(table: Path) -> None:
    items = [item for item in read(table, classes="Kind of thing").items if item.label == "tile"]
    with pytest.raises(InputError, match="at least two"):
        class_task(items, ["{}"])


def test_a_column_that_is_not_there_is_refused_with_those_that_are(table: Path) -> None:
    with pytest.raises(InputError, match=r"`classes`.*'colour'.*kind_of_thing"):
        read(table, classes="colour")


def test_queries_from_json_lines(table: Path) -> None:
    catalog = read(table)
    lines: list[dict[str, object]] = [
        {"text": "something red", "relevant": ["goods/a", "d"], "grades": [1, 3]},
        {"text": "A GREEN lamp", "relevant": {"c": 2, "a": 0}},
        {"image": "copy-of-red.png", "relevant": ["b"]},
    ]
    path = table.with_name("queries.jsonl")
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    tasks = tasks_from_queries(catalog.items, read_queries(path, catalog.items, catalog.pool))
    assert catalog.pool.texts[-1] == "something red"
    assert right(tasks, "text-to-image") == {4: {0: 3}, 1: {2: 2}}
    assert right(tasks, "text-to-text") == {4: {0: 1, 2: 3}, 1: {1: 2}}
    assert right(tasks, "image-to-image") == {0: {1: 1}}
    assert right(tasks, "image-to-text") == {0: {0: 1}}
    assert right(tasks, "text-to-product") == {4: {1: 1, 2: 3}, 1: {4: 2}}
    assert right(tasks, "image-to-product") == {0: {3: 1}}
    (pictures_to_products,) = [task for task in tasks if task.direction == "image-to-product"]
    assert pictures_to_products.left_out.tolist() == [[0, 1], [0, 2]]
    (texts,) = [task for task in tasks if task.direction == "text-to-text"]
    # 'A green lamp' is an item's own text and its right answer, so it stays in.
    assert texts.left_out.tolist() == []
    (pictures,) = [task for task in tasks if task.direction == "image-to-image"]
    assert pictures.left_out.tolist() == [[0, 0]]


def test_queries_from_csv(table: Path) -> None:
    catalog = read(table)
    path = table.with_name("queries.csv")
    path.write_text("text,relevant,grades\nred,a; d,1; 3\nlamp,c,\n", encoding="utf-8")
    tasks = tasks_from_queries(catalog.items, read_queries(path, catalog.items, catalog.pool))
    assert right(tasks, "text-to-text") == {4: {0: 1, 2: 3}, 5: {1: 1}}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "x"}', "names no item"),
        ('{"text": "x", "image": "red.png", "relevant": ["a"]}', "either a 'text' or an 'image'"),
        ('{"relevant": ["a"]}', "either a 'text' or an 'image'"),
        ('{"text": "x", "relevant": ["z"]}', "'z'; keys look like 'goods/a'"),
        ('{"text": "x", "relevant": ["a"], "grades": [1, 2]}', "1 relevant keys, but 2 grades"),
        ('{"text": "x", "relevant": ["a"], "grades": ["good"]}', "got 'good'"),
        ('{"text": "x", "relevant": {"a": -1}}', "got '-1'"),
        ('{"text": "x", "relevant": {"a": 0}}', "above 0"),
        ('{"text": 5, "relevant": ["a"]}', "must be text"),
        ('{"image": "gone.png", "relevant": ["a"]}', "gone.png"),
        ("[1]", "JSON object"),
        ("", "holds no queries"),
    ],
)
def test_faulty_queries_are_refused_by_line(table: Path, line: str, says: str) -> None:
    catalog = read(table)
    path = table.with_name("queries.jsonl")
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="`queries`: ") as caught:
        read_queries(path, catalog.items, catalog.pool)
    assert says in str(caught.value)
    assert "line 1" in str(caught.value) or not line


def test_a_query_file_that_is_not_there(table: Path) -> None:
    catalog = read(table)
    with pytest.raises(InputError, match=r"nothing\.jsonl"):
        read_queries(table.with_name("nothing.jsonl"), catalog.items, catalog.pool)


def test_judgements_index_into_what_the_task_lists(table: Path) -> None:
    for task in tasks_from_pairs(read(table, group="product").items, grouped=True):
        assert task.judgements.count == len(task.queries)
        assert task.judgements.candidate.max() < len(task.candidates)
        assert (np.diff(task.candidates) > 0).all()


items = st.builds(
    LabelledItem,
    key=st.just("x"),
    image=st.integers(NONE, 4),
    text=st.integers(NONE, 3),
    label=st.none(),
    group=st.sampled_from([None, "a", "b"]),
)


@given(st.lists(items, max_size=12))
@settings(max_examples=200, deadline=None)
def test_tasks_are_as_their_definitions_say(catalog: list[LabelledItem]) -> None:
    whole = [item for item in catalog if NONE not in (item.image, item.text)]
    texts_to_pictures: dict[int, dict[int, float]] = {}
    pictures_to_pictures: dict[int, dict[int, float]] = {}
    for item in whole:
        texts_to_pictures.setdefault(item.text, {})[item.image] = 1.0
    for one in catalog:
        for other in catalog:
            grouped = one.group is not None and one.group == other.group
            if grouped and NONE not in (one.image, other.image) and one.image != other.image:
                pictures_to_pictures.setdefault(one.image, {})[other.image] = 1.0
    tasks = tasks_from_pairs(catalog, grouped=True)
    products = sorted({(item.image, item.text) for item in catalog} - {(NONE, NONE)})
    texts_to_products: dict[int, dict[int, float]] = {}
    for one in catalog if whole else []:
        for other in catalog:
            pair = (other.image, other.text)
            grouped = one.group is not None and one.group == other.group
            if grouped and pair in products and one.text not in (NONE, other.text):
                texts_to_products.setdefault(one.text, {})[products.index(pair)] = 1.0
    expected = {
        "text-to-image": texts_to_pictures,
        "image-to-image": pictures_to_pictures,
        "text-to-product": texts_to_products,
    }
    for direction, answers in expected.items():
        found = [task for task in tasks if task.direction == direction]
        assert bool(found) == bool(answers)
        if answers:
            assert right(tasks, direction) == answers
            if direction.endswith("image"):
                assert found[0].candidates.tolist() == sorted({i.image for i in catalog} - {NONE})
