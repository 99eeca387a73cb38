"""Items with several images and long texts: each part has a vector, and keeps it while it stays."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsearch.catalog.info import find_record
from mmsearch.config import read_settings
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.store import Store
from mmsearch.store.rows import vectors_to_numpy
from tests.support.part_stores import STORY, Bench


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return load_encoder(str(tiny_model), device="cpu")


@pytest.fixture
def bench(tmp_path: Path, encoder: Encoder) -> Bench:
    return Bench(tmp_path, encoder)


def test_each_image_of_an_item_has_a_vector_and_the_item_their_mean(bench: Bench) -> None:
    bench.shop.sells("shoe", "1.png", "2.png", "3.png", text="A shoe")
    bench.shop.sells("hat", "4.png")
    report = bench.index()
    assert (report.added, report.decoded, report.image_parts, report.passages) == (2, 4, 3, 0)
    assert bench.images() == [(1, "1.png"), (2, "2.png"), (3, "3.png")]
    assert bench.images("shop/hat") == []
    parts, row = bench.parts(), bench.row()
    assert [(part["width"], part["height"], part["format"]) for part in parts] == [
        (32, 40, "png")
    ] * 3
    mean = np.mean([np.array(part["_vector"], np.float32) for part in parts], axis=0)
    np.testing.assert_allclose(row["_image_vector"], mean / np.linalg.norm(mean), atol=2e-3)
    assert (row["width"], row["format"], row["_size"]) == (32, "png", None)
    assert row["_image_hash"] not in {part["_hash"] for part in parts}
    counts = bench.store.counts()
    assert (counts["items"], counts["image"], counts["image_parts"]) == (2, 2, 3)
    record = find_record(bench.store, "shop/shoe")
    assert record.images == bench.shop.records[0].images
    assert find_record(bench.store, "shop/hat").images == bench.shop.records[1].images
    again = bench.index()
    assert (again.unchanged, again.image_parts, bench.encoder.images) == (2, 0, 0)


@pytest.mark.parametrize(
    ("images", "encoded"),
    [
        (("1.png", "2.png", "3.png", "4.png"), 1),
        (("1.png", "3.png"), 0),
        (("3.png", "1.png", "2.png"), 0),
        (("2.png",), 0),
    ],
    ids=["added", "removed", "reordered", "one left"],
)
def test_other_images_keep_their_vectors(
    bench: Bench, images: tuple[str, ...], encoded: int
) -> None:
    bench.shop.sells("shoe", "1.png", "2.png", "3.png", text="A shoe")
    bench.index()
    before = {Path(part["uri"]).name: part["_vector"] for part in bench.parts()}
    bench.shop.sells("shoe", *images, text="A shoe")
    report = bench.index()
    assert (report.updated, bench.encoder.images, bench.encoder.texts) == (1, encoded, 0)
    if len(images) == 1:
        assert bench.images() == []
        assert bench.row()["_image_vector"] == before[images[0]]
        assert bench.store.count_parts("image") == 0
    else:
        assert bench.images() == list(enumerate(images, 1))
        assert all(
            part["_vector"] == before.get(Path(part["uri"]).name, part["_vector"])
            for part in bench.parts()
        )
    assert bench.index().unchanged == 1


def test_the_image_of_an_item_keeps_its_vector_when_others_join(bench: Bench) -> None:
    bench.shop.sells("shoe", "1.png", text="A shoe")
    bench.index()
    before = bench.row()["_image_vector"]
    bench.shop.sells("shoe", "1.png", "2.png", text="A shoe")
    assert bench.index().updated == 1
    assert bench.encoder.images == 1
    assert bench.parts()[0]["_vector"] == before


def test_an_edited_image_alone_is_encoded(bench: Bench) -> None:
    bench.shop.sells("shoe", "1.png", "2.png", "3.png")
    bench.index()
    uid = bench.row()["_uid"]
    before = bench.parts()
    bench.draw(9, "2.png")
    assert bench.index().updated == 1
    assert bench.encoder.images == 1
    after = bench.parts()
    assert [a["_vector"] == b["_vector"] for a, b in zip(before, after, strict=True)] == [
        True,
        False,
        True,
    ]
    assert bench.row()["_uid"] != uid
    assert bench.store.parts_of(None).num_rows == 3


def test_new_metadata_and_touched_files_leave_uids(bench: Bench) -> None:
    bench.shop.sells("shoe", "1.png", "2.png", price=4)
    bench.index()
    uid, parts = bench.row()["_uid"], bench.parts()
    bench.shop.sells("shoe", "1.png", "2.png", price=5)
    assert bench.index().updated == 1
    shutil.copy(bench.shop.root / "2.png", bench.shop.root / "copy.png")
    (bench.shop.root / "copy.png").replace(bench.shop.root / "2.png")
    assert bench.index().updated == 1
    assert bench.index().unchanged == 1
    assert (bench.encoder.images, bench.row()["_uid"], bench.row()["price"]) == (0, uid, 5)
    assert bench.parts() == parts


def test_an_image_that_fails_leaves_the_item_with_the_others(bench: Bench) -> None:
    (bench.shop.root / "2.png").write_bytes(b"no image")
    bench.shop.sells("shoe", "1.png", "2.png", "none.png", "4.png")
    report = bench.index()
    assert [failure.key for failure in report.failures] == [
        "shop/shoe#image=2",
        "shop/shoe#image=3",
    ]
    assert report.added == 1
    assert bench.images() == [(1, "1.png"), (4, "4.png")]
    again = bench.index()
    assert (again.unchanged, len(again.failures), bench.encoder.images) == (1, 2, 0)
    bench.draw(2, "2.png")
    assert [failure.key for failure in bench.index().failures] == ["shop/shoe#image=3"]
    assert bench.images() == [(1, "1.png"), (2, "2.png"), (4, "4.png")]


@pytest.mark.parametrize("text", ["A shoe", None])
def test_an_item_whose_images_all_fail_keeps_its_text(bench: Bench, text: str | None) -> None:
    bench.shop.sells("shoe", "1.png", "2.png", text=text)
    bench.index()
    for name in ("1.png", "2.png"):
        (bench.shop.root / name).write_bytes(b"no image")
    report = bench.index()
    assert len(report.failures) == 2
    assert (report.updated, report.missing) == ((1, 0) if text else (0, 1))
    assert bench.store.count_parts("image") == 0
    assert bench.index().missing == report.missing


def test_images_that_items_share_are_encoded_once(bench: Bench) -> None:
    bench.shop.sells("shoe", "1.png", "2.png")
    bench.index()
    bench.shop.sells("boot", "2.png", "1.png")
    bench.shop.sells("sock", "2.png")
    assert bench.index().added == 2
    assert bench.encoder.images == 0
    assert bench.row("shop/sock")["_image_vector"] == bench.parts()[1]["_vector"]


def test_missing_items_come_back_with_their_parts(bench: Bench) -> None:
    bench.shop.sells("hat", "4.png")
    bench.shop.sells("shoe", "1.png", "2.png", text=STORY)
    bench.index()
    records = bench.shop.records
    bench.shop.records = records[:1]
    assert bench.index().missing == 1
    assert bench.store.counts()["image_parts"] == bench.store.counts()["passages"] == 0
    bench.shop.records = records
    assert bench.index().restored == 1
    assert (bench.encoder.images, bench.encoder.texts) == (0, 0)
    assert bench.store.counts()["image_parts"] == 2
    assert len(bench.parts(kind="passage")) > 2


def test_a_long_text_is_indexed_by_passages(bench: Bench) -> None:
    bench.shop.sells("story", text=STORY)
    bench.shop.sells("shoe", text="A shoe")
    report = bench.index()
    assert report.truncated_texts == 0
    passages = bench.parts("shop/story", "passage")
    assert report.passages == len(passages) >= 9
    assert all(STORY[part["start"] : part["end"]] == part["text"] for part in passages)
    assert "Chapter 8 tells" in passages[-1]["text"]
    vectors = bench.encoder._encoder.encode_texts([part["text"] for part in passages])
    for part, vector in zip(passages, vectors, strict=True):
        np.testing.assert_allclose(part["_vector"], vector, atol=2e-3)
    assert bench.parts("shop/shoe", "passage") == []
    assert bench.index().unchanged == 2


def test_only_new_passages_of_a_text_are_encoded(bench: Bench) -> None:
    bench.shop.sells("story", text=STORY)
    bench.index()
    first = bench.encoder.texts
    bench.shop.sells("story", text=f"{STORY} Chapter 9 tells of a hat.")
    bench.index()
    assert 0 < bench.encoder.texts < first / 2
    assert "hat" in bench.parts("shop/story", "passage")[-1]["text"]
    bench.shop.sells("story", text=f"{STORY} Chapter 9 tells of a hat.", price=3)
    bench.index()
    assert bench.encoder.texts == 0


def test_passages_beyond_the_bound_are_counted(bench: Bench) -> None:
    bench.settings = read_settings(workers=1, max_passages=3)
    bench.shop.sells("story", text=STORY)
    assert bench.index().truncated_texts == 1
    assert len(bench.parts("shop/story", "passage")) == 3


def test_a_dry_run_writes_nothing(bench: Bench) -> None:
    bench.shop.sells("shoe", "1.png", "2.png", text=STORY)
    assert bench.index(dry_run=True).added == 1
    assert not bench.store.has_parts


@pytest.mark.parametrize("failing", ["_write_parts", "_merge"])
def test_a_killed_run_is_completed_by_the_next(
    bench: Bench, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.shop.sells("shoe", "1.png", "2.png")
    bench.index()
    bench.shop.sells("shoe", "1.png", "2.png", "3.png")
    write: Callable[..., None] = getattr(bench.store, failing)

    def killed(*arguments: Any, **options: Any) -> None:
        if failing == "_write_parts":
            write(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, failing, killed)
        with pytest.raises(KeyboardInterrupt):
            bench.index()
    bench.store = Store.open(bench.store.folder)
    assert bench.images() == [(1, "1.png"), (2, "2.png")]
    assert bench.index().updated == 1
    assert bench.images() == [(1, "1.png"), (2, "2.png"), (3, "3.png")]
    assert bench.store.parts_of(None).num_rows == 3
    assert (
        vectors_to_numpy(
            bench.store.parts_of(None, extra=["_vector"]).column("_vector").combine_chunks(),
            bench.store.dim,
        )
        .any(axis=1)
        .all()
    )
