"""Rows that lend a vector and are replaced in the same run, before it was taken."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmsearch
from mmsearch.store import Store
from mmsearch.store.rows import vectors_to_numpy
from tests.support.vector_stores import row_of_key


def write(table: Path, rows: list[str]) -> None:
    table.write_text("\n".join(["id,image,title", *rows]), encoding="utf-8")


def picture(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def vectors(folder: Path, key: str) -> dict[str, list[float] | None]:
    store = Store.open(folder)
    row = row_of_key(store, key, ["_uid"])
    assert row is not None
    table = store.rows([int(row["_uid"])], ["_image_vector", "_text_vector"])
    found = {}
    for name in ("_image_vector", "_text_vector"):
        column = table.column(name).combine_chunks()
        found[name] = (
            vectors_to_numpy(column, store.dim)[0].tolist() if column[0].is_valid else None
        )
    return found


@pytest.fixture
def catalog(tmp_path: Path, tiny_model: Path) -> mmsearch.Catalog:
    """Each row is written before the next one is encoded."""
    return mmsearch.open(
        tmp_path / "store",
        model=str(tiny_model),
        device="cpu",
        batch_size=1,
        commit_seconds=1e-6,
        workers=1,
    )


def test_a_text_is_encoded_where_the_row_that_had_it_is_gone(
    tmp_path: Path, catalog: mmsearch.Catalog
) -> None:
    """The new row, above, takes the old one's renamed picture, and with it its place."""
    table = tmp_path / "goods.csv"
    picture(tmp_path / "old.png", 1)
    write(table, ["m,old.png,A brass lamp"])
    catalog.index(table)
    before = vectors(catalog.folder, "goods/m")
    (tmp_path / "old.png").rename(tmp_path / "new.png")
    write(table, ["n,new.png,A lamp of brass", "m,old.png,A brass lamp"])
    report = catalog.index(table)
    assert [failure.key for failure in report.failures] == ["goods/m"]
    after = vectors(catalog.folder, "goods/m")
    assert after["_image_vector"] is None
    assert after["_text_vector"] == before["_text_vector"]
    assert vectors(catalog.folder, "goods/n")["_image_vector"] == before["_image_vector"]


def test_a_picture_is_read_where_the_row_that_had_it_is_gone(
    tmp_path: Path, catalog: mmsearch.Catalog
) -> None:
    """Two rows exchange their pictures: the second one's was the first one's vector."""
    table = tmp_path / "goods.csv"
    picture(tmp_path / "one.png", 1)
    picture(tmp_path / "two.png", 2)
    write(table, ["a,one.png,A lamp", "b,two.png,A chair"])
    catalog.index(table)
    first, second = (vectors(catalog.folder, f"goods/{key}") for key in "ab")
    one, two = (tmp_path / f"{name}.png" for name in ("one", "two"))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)
    assert catalog.index(table).failures == ()
    for key, own, other in (("a", first, second), ("b", second, first)):
        after = vectors(catalog.folder, f"goods/{key}")
        assert after["_text_vector"] == own["_text_vector"]
        assert after["_image_vector"] == other["_image_vector"]
