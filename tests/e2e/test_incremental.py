"""Runs of `index` over a catalog that lives: edits, moves, losses, returns, damage."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmsearch
from mmsearch.catalog import Catalog
from mmsearch.errors import CorruptIndex, InputError, SpaceMismatch
from mmsearch.records import IngestReport

Paint = Callable[[str, int], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def paint(folder: Path) -> Paint:
    def paint_one(name: str, seed: int) -> Path:
        noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).resize((48, 40), Image.Resampling.BICUBIC).save(path, format="PNG")
        return path

    return paint_one


@pytest.fixture
def catalog(tmp_path: Path, tiny_model: Path) -> Catalog:
    return mmsearch.open(
        tmp_path / "store", model=str(tiny_model), device="cpu", workers=1, batch_size=4
    )


def changes(report: IngestReport) -> dict[str, int]:
    """The counts that are not zero."""
    names = ("added", "updated", "moved", "restored", "unchanged", "missing", "pruned", "decoded")
    counts = {name: getattr(report, name) for name in names}
    counts["failures"] = len(report.failures)
    return {name: count for name, count in counts.items() if count}


def found(catalog: Catalog, picture: Path) -> tuple[str, float]:
    hit = catalog.search(image=picture, target="image", k=1)[0]
    return hit.key, hit.similarity


def test_the_index_that_was_asked_for_is_remembered(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    for number in range(3):
        paint(f"{number}.png", number)
    mmsearch.open(
        catalog.root, model=catalog.settings.model, device="cpu", workers=1, index="hnsw"
    ).index(folder)
    paint("new.png", 9)
    catalog.index()
    assert catalog.indexes()["image"].kind == "hnsw"


def test_a_second_run_decodes_nothing(catalog: Catalog, folder: Path, paint: Paint) -> None:
    for seed in range(6):
        paint(f"{seed}.png", seed)
    assert changes(catalog.index(folder)) == {"added": 6, "decoded": 6}
    assert changes(catalog.index(folder)) == {"unchanged": 6}
    assert changes(catalog.index()) == {"unchanged": 6}


def test_every_picture_finds_itself(catalog: Catalog, folder: Path, paint: Paint) -> None:
    paths = [paint(f"{seed}.png", seed) for seed in range(9)]
    catalog.index(folder)
    for path in paths:
        key, similarity = found(catalog, path)
        assert key == f"pictures/{path.name}"
        assert similarity == pytest.approx(1, abs=2e-3)


def test_an_edit_is_found_even_if_it_keeps_size_and_mtime(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.bmp", 1)
    paint("b.png", 2)
    Image.open(path).save(path, format="BMP")
    catalog.index(folder)
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-3000:] = bytes(255 - value for value in data[-3000:])
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert changes(catalog.index(folder)) == {"updated": 1, "unchanged": 1, "decoded": 1}
    assert found(catalog, path)[1] == pytest.approx(1, abs=2e-3)


def test_a_touched_file_is_not_decoded(catalog: Catalog, folder: Path, paint: Paint) -> None:
    path = paint("a.png", 1)
    catalog.index(folder)
    os.utime(path, (1, 1))
    assert "decoded" not in changes(catalog.index(folder))
    assert changes(catalog.index(folder)) == {"unchanged": 1}


def test_a_moved_file_keeps_its_vectors(catalog: Catalog, folder: Path, paint: Paint) -> None:
    path = paint("a.png", 1)
    paint("b.png", 2)
    catalog.index(folder)
    (folder / "deep").mkdir()
    moved = path.rename(folder / "deep" / "new.png")
    assert changes(catalog.index(folder)) == {"moved": 1, "unchanged": 1}
    assert found(catalog, moved)[0] == "pictures/deep/new.png"
    assert changes(catalog.index(folder)) == {"unchanged": 2}
    assert catalog.info().counts["missing"] == 0


def test_two_files_that_swap_names_swap_vectors(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    one, two = paint("1.png", 1), paint("2.png", 2)
    catalog.index(folder)
    spare = one.rename(folder / "spare")
    two.rename(one)
    spare.rename(two)
    catalog.index(folder)
    assert found(catalog, one)[0] == "pictures/1.png"
    assert found(catalog, two)[0] == "pictures/2.png"
    assert catalog.info().counts["items"] == 2


def test_a_copy_is_an_item_of_its_own_and_is_not_decoded(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.png", 1)
    catalog.index(folder)
    shutil.copy(path, folder / "copy.png")
    assert changes(catalog.index(folder)) == {"added": 1, "unchanged": 1}
    hits = catalog.search(image=path, k=5)
    assert {hit.key for hit in hits} == {"pictures/a.png", "pictures/copy.png"}


def test_a_lost_file_is_hidden_and_comes_back(catalog: Catalog, folder: Path, paint: Paint) -> None:
    path = paint("a.png", 1)
    paint("b.png", 2)
    catalog.index(folder)
    away = path.rename(folder.parent / "away.png")
    assert changes(catalog.index(folder)) == {"unchanged": 1, "missing": 1}
    assert [hit.key for hit in catalog.search(image=away, k=5)] == ["pictures/b.png"]
    away.rename(path)
    assert changes(catalog.index(folder)) == {"restored": 1, "unchanged": 1}
    assert found(catalog, path)[0] == "pictures/a.png"


def test_prune_drops_what_is_missing_and_can_be_undone(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.png", 1)
    paint("b.png", 2)
    catalog.index(folder)
    away = path.rename(folder.parent / "away.png")
    assert catalog.index(folder, prune=True, dry_run=True).pruned == 1
    assert catalog.info().counts["items"] == 2
    assert catalog.index(folder, prune=True).pruned == 1
    assert catalog.info().counts["missing"] == 0
    assert catalog.undo_prune() == 1
    away.rename(path)
    assert changes(catalog.index(folder)) == {"restored": 1, "unchanged": 1}


def test_an_empty_folder_looks_like_an_unmounted_drive(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.png", 1)
    catalog.index(folder)
    path.unlink()
    with pytest.raises(InputError, match="mounted"):
        catalog.index(folder)
    assert catalog.info().counts["items"] == 1
    assert catalog.drop_source("pictures") == 1
    assert catalog.info().counts["items"] == 0


def test_a_damaged_file_is_one_failure_until_it_is_mended(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.png", 1)
    paint("b.png", 2)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert changes(catalog.index(folder)) == {"added": 1, "decoded": 1, "failures": 1}
    assert changes(catalog.index(folder)) == {"unchanged": 1, "failures": 1}
    (failure,) = catalog.failures()
    assert (failure.key, failure.stage) == ("pictures/a.png", "decode")
    path.write_bytes(whole)
    assert changes(catalog.index(folder)) == {"added": 1, "unchanged": 1, "decoded": 1}
    assert catalog.failures() == []


def test_a_file_that_breaks_is_hidden_until_it_is_mended(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.png", 1)
    paint("b.png", 2)
    catalog.index(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:60])
    assert changes(catalog.index(folder)) == {"unchanged": 1, "missing": 1, "failures": 1}
    assert [hit.key for hit in catalog.search("anything", k=5)] == ["pictures/b.png"]
    path.write_bytes(whole)
    assert changes(catalog.index(folder)) == {"restored": 1, "unchanged": 1}


def test_a_damaged_picture_with_a_caption_stays_findable_by_it(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.png", 1)
    path.write_bytes(path.read_bytes()[:60])
    (folder / "a.txt").write_text("a torn picture")
    assert changes(catalog.index(folder)) == {"added": 1, "failures": 1}
    assert changes(catalog.index(folder)) == {"unchanged": 1, "failures": 1}
    assert catalog.search("a torn picture", target="text")[0].similarity == pytest.approx(
        1, abs=2e-3
    )


def test_a_new_caption_costs_no_decoding(catalog: Catalog, folder: Path, paint: Paint) -> None:
    paint("a.png", 1)
    caption = folder / "a.txt"
    caption.write_text("a red square")
    catalog.index(folder)
    caption.write_text("a blue circle")
    assert changes(catalog.index(folder)) == {"updated": 1}
    hit = catalog.search("a blue circle", target="text", k=1)[0]
    assert hit.similarity == pytest.approx(1, abs=2e-3)
    assert hit.record["text"] == "a blue circle"


def test_a_new_price_costs_no_encoding(catalog: Catalog, folder: Path, paint: Paint) -> None:
    paint("a.png", 1)
    table = folder / "goods.csv"
    table.write_text("id,title,price,image\n1,Red square,3,a.png\n2,No picture,4,\n")
    assert changes(catalog.index(table)) == {"added": 2, "decoded": 1}
    table.write_text("id,title,price,image\n1,Red square,3.5,a.png\n2,No picture,4,\n")
    assert changes(catalog.index(table)) == {"updated": 1, "unchanged": 1}
    hits = catalog.search("red square", where="price > 3.2 AND price < 3.9")
    assert [hit.key for hit in hits] == ["goods/1"]


def test_a_dry_run_writes_nothing(catalog: Catalog, folder: Path, paint: Paint) -> None:
    paint("a.png", 1)
    catalog.index(folder)
    paint("b.png", 2)
    before = sorted(path.stat().st_mtime_ns for path in catalog.folder.rglob("*.lance"))
    assert changes(catalog.index(folder, dry_run=True)) == {"added": 1, "unchanged": 1}
    assert sorted(p.stat().st_mtime_ns for p in catalog.folder.rglob("*.lance")) == before
    assert catalog.info().counts["items"] == 1


def test_two_catalogs_with_equal_names_do_not_collide(
    catalog: Catalog, tmp_path: Path, paint: Paint
) -> None:
    paint("a.png", 1)
    other = tmp_path / "other" / "pictures"
    shutil.copytree(tmp_path / "pictures", other)
    catalog.index(tmp_path / "pictures", other)
    keys = {hit.key for hit in catalog.search("anything", k=5)}
    assert keys == {"pictures/a.png", "pictures-2/a.png"}
    assert changes(catalog.index()) == {"unchanged": 2}


def test_a_damaged_index_is_built_again_by_the_next_run(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.png", 1)
    catalog.index(folder)
    (index,) = (catalog.folder / "faiss" / "image").glob("*/index.faiss")
    index.write_bytes(index.read_bytes()[:-10])
    with pytest.raises(CorruptIndex, match=r"`catalog\.index\(\)`"):
        catalog.search(image=path, target="image")
    catalog.index(folder)
    assert found(catalog, path)[0] == "pictures/a.png"


def test_an_index_of_an_older_format_is_told_and_built_again(
    catalog: Catalog, folder: Path, paint: Paint
) -> None:
    path = paint("a.png", 1)
    catalog.index(folder)
    (file,) = (catalog.folder / "faiss" / "image").glob("*/meta.json")
    meta = json.loads(file.read_text())
    file.write_text(json.dumps({**meta, "format_version": 0}))
    with pytest.raises(CorruptIndex, match=r"version 0, .* reads 1; run `catalog\.index\(\)`"):
        catalog.search(image=path, target="image")
    catalog.index(folder)
    assert found(catalog, path)[0] == "pictures/a.png"


def test_another_models_vectors_are_refused(
    catalog: Catalog, folder: Path, paint: Paint, tiny_model: Path, tmp_path: Path
) -> None:
    paint("a.png", 1)
    catalog.index(folder)
    other = shutil.copytree(tiny_model, tmp_path / "other_model")
    config = (other / "open_clip_config.json").read_text()
    (other / "open_clip_config.json").write_text(config.replace("bicubic", "bilinear"))
    stranger = mmsearch.open(catalog.folder, model=str(other), device="cpu")
    with pytest.raises(SpaceMismatch, match="`path`"):
        stranger.search("anything")
    with pytest.raises(SpaceMismatch):
        stranger.index(folder)


def test_results_are_complete_before_the_index_is(
    catalog: Catalog, folder: Path, paint: Paint, tmp_path: Path
) -> None:
    for seed in range(5):
        paint(f"{seed}.png", seed)
    catalog.index(folder)
    shutil.copytree(catalog.folder / "faiss", tmp_path / "old_faiss")
    shutil.copy(catalog.folder / "CURRENT", tmp_path / "old_current")
    late = paint("late.png", 9)
    (folder / "0.png").unlink()
    catalog.index(folder)
    expected = [hit.key for hit in catalog.search(image=late, target="image")]
    shutil.rmtree(catalog.folder / "faiss")
    shutil.copytree(tmp_path / "old_faiss", catalog.folder / "faiss")
    shutil.copy(tmp_path / "old_current", catalog.folder / "CURRENT")
    catalog.reload()
    assert catalog.info().index_behind
    assert [hit.key for hit in catalog.search(image=late, target="image")] == expected
    shutil.rmtree(catalog.folder / "faiss")
    (catalog.folder / "CURRENT").unlink()
    catalog.reload()
    assert [hit.key for hit in catalog.search(image=late, target="image")] == expected
