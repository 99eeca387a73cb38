"""Exports of shops on the command line: what is checked first, what a dry run shows."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import Call
from tests.support.exports import (
    Maker,
    hugging_face_parquet,
    image_folder,
    kaggle_fashion,
    shopify,
    write_csv,
)


@pytest.mark.parametrize(
    ("make", "items"), [(shopify, 30), (kaggle_fashion, 40), (image_folder, 12)]
)
def test_exports_are_indexed_without_options(
    call: Call, tmp_path: Path, make: Maker, items: int
) -> None:
    export = make(tmp_path / "export")
    done = call(tmp_path, "index", str(export.location), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["report"]
    assert (report["added"], report["failures"]) == (items, [])
    key, (text, names) = next(iter(export.items.items()))
    found = call(tmp_path, "search", text, "--keyword", text, "--json", "-k", "50")
    (hit,) = (hit for hit in json.loads(found.stdout)["hits"] if hit["key"].endswith(f"/{key}"))
    assert Path(hit["uri"]).stem == names[0]
    assert text in hit["record"]["text"]


def test_a_table_whose_images_are_elsewhere_is_refused_before_anything_is_made(
    call: Call, tmp_path: Path
) -> None:
    export = shopify(tmp_path / "shop")
    (tmp_path / "far").mkdir()
    (tmp_path / "shop" / "images").rename(tmp_path / "far" / "away")
    work = tmp_path / "work"
    work.mkdir()
    done = call(work, "index", str(export.location))
    assert done.returncode == 2
    assert "73 of the 73 images that its first rows name are not there" in done.stderr
    assert "such as 'images/mug-0-0.jpg?v=160'" in done.stderr
    assert "say where they are with --image-root" in done.stderr
    assert not (work / ".mmsearch").exists()
    named = call(work, "index", str(export.location), "--image-root", "../far/away", "--json")
    assert json.loads(named.stdout)["report"]["failures"] == []
    (tmp_path / "far" / "away").rename(tmp_path / "shop" / "images")
    # The store remembers the option.
    again = call(work, "index", "--json")
    assert again.returncode == 2


def test_the_texts_alone_are_indexed_on_request(call: Call, tmp_path: Path) -> None:
    rows = [("id", "title", "image"), *((i, f"Title {i}", f"{i}.jpg") for i in range(5))]
    write_csv(tmp_path / "t.csv", rows)
    assert call(tmp_path, "index", "t.csv").returncode == 2
    done = call(tmp_path, "index", "t.csv", "--image-column", "none", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["report"]
    assert (report["added"], report["failures"]) == (5, [])


def test_rows_with_urls_are_indexed_by_their_texts(call: Call, tmp_path: Path) -> None:
    rows = [("id", "title", "image")]
    rows += [(str(i), f"Title {i}", f"https://a.example/{i}.jpg") for i in range(5)]
    write_csv(tmp_path / "t.csv", rows)
    done = call(tmp_path, "index", "t.csv")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("--fetch") == 1
    assert "added 5" in done.stderr


def test_a_run_in_which_everything_failed_is_an_error(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(b"no image")
    done = call(tmp_path, "index", "photos")
    assert done.returncode == 2
    assert "no item could be read; of 2 failures the first is photos/a.jpg" in done.stderr


def test_a_dry_run_shows_the_mapping_the_first_items_and_an_estimate(
    call: Call, tmp_path: Path
) -> None:
    export = shopify(tmp_path / "shop")
    done = call(tmp_path, "index", str(export.location), "--dry-run")
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stderr.split())
    assert "'Handle': id, group, handle (text), such as 'mug-0'" in shown
    assert "'Image Src': image, such as 'images/mug-0-0.jpg?v=160'" in shown
    assert "'Variant Price': variant_price (float), such as '12.50'" in shown
    assert "products_export_1/mug-1: 2 images (mug-1-0.jpg, mug-1-1.jpg)" in shown
    assert "mug-4" in shown
    assert "mug-5" not in shown
    assert "30 items have to be encoded; no earlier run shows how long that takes" in shown
    assert not (tmp_path / ".mmsearch").exists()
    assert call(tmp_path, "index", str(export.location)).returncode == 0
    assert "nothing has to be encoded" in call(tmp_path, "index", "--dry-run").stderr
    other = tmp_path / "more"
    shutil.copytree(tmp_path / "shop" / "images", other)
    grown = " ".join(call(tmp_path, "index", "more", "--dry-run").stderr.split())
    assert "73 items have to be encoded: about 0:" in grown
    assert "MB, if they are like earlier ones" in grown


def test_images_in_parquet_stay_in_the_store(call: Call, tmp_path: Path) -> None:
    export = hugging_face_parquet(tmp_path / "data")
    done = call(tmp_path, "index", str(export.location), "--json")
    assert json.loads(done.stdout)["report"]["added"] == 12
    pictures = tmp_path / ".mmsearch" / "pictures"
    kept = {path for path in pictures.rglob("*") if path.is_file()}
    assert 0 < len(kept) <= 8
    found = call(tmp_path, "search", "a quilt", "--json", "-k", "12")
    hits = json.loads(found.stdout)["hits"]
    assert {Path(hit["uri"]) for hit in hits} <= kept
    for arguments in (("--dry-run",), ()):
        again = json.loads(call(tmp_path, "index", "--json", *arguments).stdout)["report"]
        assert again["unchanged"] == 12
    # Drawn in eight colours, so that some of the twelve are equal.
    assert "duplicate" in call(tmp_path, "dedup").stdout
