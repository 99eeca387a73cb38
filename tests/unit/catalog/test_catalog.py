"""The Catalog over a real store of drawn images: items, searches, duplicates, old names."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import mmsearch
from mmsearch.errors import (
    BadQuery,
    InputError,
    MissingDependency,
    NotFound,
    RecordNotFound,
    StoreNotFound,
)
from mmsearch.media import ImageInput
from mmsearch.progress import NullProgress
from mmsearch.records import Failure, Hit

COLOURS = ("red", "green", "blue", "orange")


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with 'goods' (images, a copy of one, a text, a damaged file) and its 'store'."""
    folder = tmp_path_factory.mktemp("catalog")
    goods = folder / "goods"
    goods.mkdir()
    for number, colour in enumerate(COLOURS):
        image = Image.linear_gradient("L").resize((96, 80)).convert("RGB")
        place = 10 + 12 * number
        ImageDraw.Draw(image).ellipse((place, 10, place + 30, 60), fill=colour)
        image.save(goods / f"{colour}.png")
    shutil.copy(goods / "red.png", goods / "again.png")
    (goods / "note.txt").write_text("a note about a red circle", encoding="utf-8")
    (goods / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    opened(folder, model=str(tiny_model)).index(goods)
    return folder


@pytest.fixture
def folder(stocked: Path, tmp_path: Path) -> Path:
    """A copy of the store that a test may change; its files stay where they were indexed."""
    shutil.copytree(stocked / "store", tmp_path / "store")
    return tmp_path


def opened(folder: Path, **settings: Any) -> mmsearch.Catalog:
    return mmsearch.open(folder / "store", device="cpu", workers=1, **settings)


def test_a_catalog_is_a_mapping_from_keys_to_records(stocked: Path) -> None:
    catalog = opened(stocked)
    assert len(catalog) == 6
    assert sorted(catalog) == sorted(
        f"goods/{name}"
        for name in ("again.png", "blue.png", "green.png", "note.txt", "orange.png", "red.png")
    )
    assert "goods/red.png" in catalog
    assert "goods/torn.png" not in catalog
    assert 5 not in catalog
    record = catalog["goods/red.png"]
    assert record.image == stocked / "goods" / "red.png"
    assert (record.metadata["width"], record.metadata["format"]) == (96, "png")
    note = catalog["goods/note.txt"]
    assert (note.image, note.text) == (None, "a note about a red circle")
    with pytest.raises(KeyError, match=r"no item 'goods/it''?s'|no item \"goods/it's\""):
        catalog["goods/it's"]


def test_a_missing_item_is_a_key_error_that_reads_well(stocked: Path) -> None:
    with pytest.raises(KeyError) as caught:
        opened(stocked)["red.png"]
    assert str(caught.value).startswith("no item 'red.png' in ")
    assert "keys look like 'goods/" in str(caught.value)


def test_a_store_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    assert (len(catalog), list(catalog), "a/b" in catalog) == (0, [], False)
    with pytest.raises(StoreNotFound):
        catalog["a/b"]
    assert not (tmp_path / "store").exists()


def test_repr_says_what_is_open(stocked: Path, folder: Path, tmp_path: Path) -> None:
    model = opened(stocked).info().model
    assert repr(opened(folder)) == (
        f"Catalog({str(folder / 'store')!r}, model={model!r}, sources=['goods'])"
    )
    assert repr(opened(tmp_path / "none")).endswith("none/store', not indexed yet)")
    (folder / "store" / "manifest.json").write_text("{")
    assert repr(opened(folder)).endswith("unusable: CorruptIndex)")


def test_an_image_is_a_path_bytes_a_pillow_image_or_an_array(stocked: Path) -> None:
    catalog, path = opened(stocked), stocked / "goods" / "blue.png"
    with Image.open(path) as image:
        pixels = np.asarray(image)
        grey = np.asarray(image.convert("L"))
        given: list[ImageInput] = [
            path,
            str(path),
            path.read_bytes(),
            image,
            pixels,
            np.dstack([pixels, grey | 255]),
        ]
        found = [catalog.search(image=each, target="image", k=2) for each in given]
        vectors = catalog.embed_images(given)
    for hits in found:
        assert hits[0].key == "goods/blue.png"
        assert hits[0].similarity == pytest.approx(1, abs=2e-3)
    np.testing.assert_allclose(vectors, np.repeat(vectors[:1], len(given), axis=0), atol=1e-5)
    assert catalog.search(image=grey, target="image")
    assert catalog.search(vector=vectors[0], target="image", k=1)[0].key == "goods/blue.png"


def test_pages_of_an_image_in_memory_belong_to_its_content(stocked: Path) -> None:
    catalog = opened(stocked)
    with Image.open(stocked / "goods" / "blue.png") as image:
        pixels = np.array(image)
    first = catalog.search(image=pixels, target="image", k=2)
    second = catalog.search(image=pixels.copy(), target="image", k=2, after=first.next)
    assert [hit.rank for hit in second] == [3, 4]
    with pytest.raises(BadQuery, match="another query"):
        catalog.search(image=255 - pixels, target="image", k=2, after=first.next)


@pytest.mark.parametrize(
    "array",
    [np.zeros((8, 8, 3)), np.zeros((8, 8, 2), np.uint8), np.zeros((0, 8), np.uint8)],
)
def test_an_array_that_is_no_image_is_refused(stocked: Path, array: Any) -> None:
    with pytest.raises(BadQuery, match="`image`: an array must be uint8"):
        opened(stocked).search(image=array)


def test_a_pillow_image_over_the_bound_is_refused(stocked: Path) -> None:
    with pytest.raises(InputError, match="raise max_pixels"):
        opened(stocked, max_pixels=50).search(image=Image.new("RGB", (8, 8)))


def test_many_queries_may_be_texts(stocked: Path) -> None:
    catalog = opened(stocked)
    query = mmsearch.Query((mmsearch.Term(key="goods/red.png"),), k=1, target="image")
    texts, own = catalog.search_many(["a note about a red circle", query], k=3, target="text")
    assert texts[0].key == "goods/note.txt"
    assert [hit.key for hit in own] == ["goods/again.png"]
    assert catalog.search_many([]) == []


def test_texts_are_embedded_in_the_space_of_the_store(stocked: Path) -> None:
    catalog = opened(stocked)
    vectors = catalog.embed_texts(["a note about a red circle", "blue"])
    assert vectors.shape == (2, 24)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert catalog.search(vector=vectors[0], target="text", k=1)[0].similarity > 0.99
    assert catalog.embed_texts([]).shape == catalog.embed_images([]).shape == (0, 24)


def test_hits_become_a_table(stocked: Path) -> None:
    table = opened(stocked).search("a red circle", k=3).to_arrow()
    assert table.column_names[:5] == ["rank", "key", "uri", "similarity", "matched"]
    assert table.column("rank").to_pylist() == [1, 2, 3]
    assert {"width", "format"} <= set(table.column_names)
    assert mmsearch.Hits().to_arrow().num_rows == 0
    own = Hit(1, "a/1", "", 0.5, "image", {"key": "a/1", "rank": "first"})
    assert mmsearch.Hits([own]).to_arrow().to_pylist()[0] == {
        "rank": 1, "key": "a/1", "uri": "", "similarity": 0.5, "matched": "image",
        "record.rank": "first",
    }  # fmt: skip


def test_pandas_is_named_where_it_is_missing(
    stocked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Python marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependency, match="pip install pandas"):
        opened(stocked).search("red", k=1).to_pandas()


def test_hits_become_a_data_frame(stocked: Path) -> None:
    pytest.importorskip("pandas", reason="pip install pandas")
    catalog = opened(stocked)
    assert list(catalog.search("red", k=2).to_pandas()["rank"]) == [1, 2]
    assert len(catalog.find_duplicates(tiers=["bytes"]).to_pandas()) == 2


def test_duplicates_are_found_planned_hidden_and_shown_again(folder: Path) -> None:
    catalog = opened(folder)
    report = catalog.find_duplicates(tiers=["bytes"])
    assert [sorted(item.key for item in group.items) for group in report.groups] == [
        ["goods/again.png", "goods/red.png"]
    ]
    table = report.to_arrow()
    assert table.column("role").to_pylist() == ["kept", "duplicate"]
    assert table.column("relation").to_pylist() == [None, "exact"]
    plan = catalog.plan(report, path=folder / "plan.jsonl")
    [entry] = plan
    done = catalog.apply(folder / "plan.jsonl", "hide")
    assert done.done == (entry.remove.key,)
    assert entry.remove.key not in {hit.key for hit in catalog.search("red", k=10, target="image")}
    assert catalog.undo().done == done.done
    assert entry.remove.key in {hit.key for hit in catalog.search("red", k=10, target="image")}
    with pytest.raises(NotFound, match="nothing to undo"):
        catalog.undo()


def test_ignored_items_are_no_duplicates_until_the_mark_is_taken_back(folder: Path) -> None:
    catalog = opened(folder)

    def groups() -> list[str]:
        return [group.id for group in catalog.find_duplicates(tiers=["bytes"]).groups]

    (group,) = groups()
    mark = catalog.ignore_duplicates(group)
    assert mark.name == group
    assert [item.key for item in mark.items] == ["goods/again.png", "goods/red.png"]
    assert catalog.ignored_duplicates() == [mark]
    assert groups() == []
    catalog.unignore_duplicates(group)
    assert groups() == [group]
    catalog.ignore_duplicates("goods/red.png", "goods/again.png")
    assert groups() == []
    catalog.unignore_duplicates("goods/again.png", "goods/red.png")
    assert catalog.ignored_duplicates() == []


def test_items_to_ignore_must_exist_and_differ(folder: Path) -> None:
    catalog = opened(folder)
    with pytest.raises(InputError, match="name a group, or two items"):
        catalog.ignore_duplicates()
    with pytest.raises(InputError, match="the same item"):
        catalog.ignore_duplicates("goods/red.png", "goods/red.png")
    with pytest.raises(RecordNotFound, match="no group 'goods/red"):
        catalog.ignore_duplicates("goods/red.png")
    with pytest.raises(NotFound, match="are not ignored"):
        catalog.unignore_duplicates("goods/red.png", "goods/again.png")
    with pytest.raises(InputError, match="name one mark"):
        catalog.unignore_duplicates()


def test_files_are_moved_only_with_a_place_to_move_them_to(folder: Path) -> None:
    catalog = opened(folder)
    plan = catalog.plan(catalog.find_duplicates(tiers=["bytes"]))
    with pytest.raises(InputError, match="`to`") as caught:
        catalog.apply(plan, "move")
    assert caught.value.parameters == ("to",)


def test_arguments_of_a_wrong_kind_are_named(stocked: Path) -> None:
    catalog = opened(stocked)
    calls: dict[str, Callable[[], object]] = {
        "text": lambda: catalog.search(123),  # type: ignore[arg-type]
        "image": lambda: catalog.search(image=123),  # type: ignore[arg-type]
        "k": lambda: catalog.search("red", k=0),
        "target": lambda: catalog.search("red", target="both"),  # type: ignore[arg-type]
        "queries": lambda: catalog.search_many("red"),
        "texts": lambda: catalog.embed_texts("red"),
        "images": lambda: catalog.embed_images("red.png"),
    }
    for parameter, call in calls.items():
        with pytest.raises(BadQuery) as caught:
            call()
        assert caught.value.parameters == (parameter,)


def test_an_unknown_action_is_refused(folder: Path) -> None:
    catalog = opened(folder)
    plan = catalog.plan(catalog.find_duplicates(tiers="bytes"))
    with pytest.raises(InputError, match="no action 'delete'; there are hide, move"):
        catalog.apply(plan, "delete")  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="nothing to undo"):
        catalog.undo()


def test_tiers_are_checked(stocked: Path) -> None:
    with pytest.raises(InputError, match="no tier 'pixel'"):
        opened(stocked).find_duplicates(tiers=["pixel"])  # type: ignore[list-item]


def test_failures_are_failures_and_may_still_be_read_like_rows(stocked: Path) -> None:
    [failure] = opened(stocked).failures()
    assert isinstance(failure, Failure)
    assert (failure.key, failure.source, failure.stage) == ("goods/torn.png", "goods", "decode")
    assert failure.seen is not None
    with pytest.warns(DeprecationWarning, match=r"failure\.reason"):
        assert failure["reason"] == failure.reason


def test_progress_is_shown_or_handed_over(
    folder: Path, stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mmsearch.open(folder / "fresh", device="cpu", workers=1).index(stocked / "goods", progress=True)
    # Stages that are over within a second leave no line.
    assert "encoding with" in capsys.readouterr().err
    stages: list[str] = []

    class Listener(NullProgress):
        def start(self, stage: str, total: int | None, *, device: str = "") -> None:
            stages.append(stage)

    opened(folder).index(stocked / "goods", progress=Listener())
    assert stages[0] == "indexing goods"
    opened(folder).index(stocked / "goods")
    assert capsys.readouterr().err == ""


def test_old_names_work_with_a_warning(stocked: Path) -> None:
    catalog = opened(stocked)
    with pytest.warns(DeprecationWarning, match="search"):
        page = catalog.page("red", k=2)
    hits = catalog.search("red", k=2)
    assert (list(page.hits), page.next) == (hits, hits.next)
    with pytest.warns(DeprecationWarning, match=r"open\(path\)"):
        assert len(mmsearch.open(store=stocked / "store")) == len(catalog)


def test_moved_names_are_found_with_a_warning() -> None:
    import mmsearch.catalog
    from mmsearch.dedup.actions import apply

    with pytest.warns(DeprecationWarning, match=r"use mmsearch\.catalog\.sources\.unused_name"):
        assert mmsearch.catalog.unused_name(Path("shop"), ["shop"]) == "shop-2"
    with pytest.warns(DeprecationWarning, match="ApplyReport"):
        assert apply.Outcome is apply.ApplyReport
    with pytest.raises(AttributeError, match="no attribute 'unused'"):
        _ = mmsearch.catalog.unused


def test_promotion_by_its_old_names(folder: Path, tiny_model: Path) -> None:
    from mmsearch.promotion import promote, rollback

    with (
        pytest.warns(DeprecationWarning, match="promote"),
        pytest.raises(InputError, match="already; nothing to do"),
    ):
        promote(opened(folder), str(tiny_model))
    with (
        pytest.warns(DeprecationWarning, match="rollback"),
        pytest.raises(InputError, match="nothing to go back to"),
    ):
        rollback(opened(folder))


def test_a_model_is_loaded_by_its_name(tiny_model: Path) -> None:
    model = mmsearch.load_model(str(tiny_model), device="cpu")
    assert model.encode_texts(["red"]).shape == (1, model.space.dim)
