"""Every source keeps the promises of `Source`: run on real files of each kind."""

import gzip
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record, real_path
from mmsearch.sources import Source, SourceOptions, open_source

ROWS: list[dict[str, str | float | None]] = [
    {"id": "a1", "title": "Red apple", "image": "images/apple.png", "price": 1.5},
    {"id": "b2", "title": "Green pear", "image": "images/pear.png", "price": 2.0},
    {"id": "c3", "title": "No picture", "image": "images/none.png", "price": None},
    {"id": "a1", "title": "The same again", "image": "images/pear.png", "price": 3.0},
]


def folder(root: Path) -> Path:
    pictures(root)
    (root / "images" / "apple.txt").write_text("an apple")
    (root / "notes.md").write_text("about fruit")
    (root / "images" / "broken.jpg").write_bytes(b"")
    return root


def csv_table(root: Path) -> Path:
    pictures(root)
    lines = [",".join(ROWS[0])]
    lines += [",".join("" if v is None else str(v) for v in row.values()) for row in ROWS]
    path = root / "products.csv"
    path.write_text("\n".join([*lines, "ragged,row"]) + "\n")
    return path


def tsv_gz_table(root: Path) -> Path:
    text = csv_table(root).read_text().replace(",", "\t")
    path = root / "products.TSV.gz"
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def jsonl_table(root: Path) -> Path:
    pictures(root)
    path = root / "products.jsonl"
    path.write_text("\n".join([*map(json.dumps, ROWS), "{broken"]))
    return path


def parquet_table(root: Path) -> Path:
    pictures(root)
    path = root / "products.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


def folder_with_table(root: Path) -> Path:
    csv_table(root)
    return root


def parquet_of_bytes(root: Path) -> Path:
    pictures(root)
    contents = [(root / "images" / f"{name}.png").read_bytes() for name in ("apple", "pear")]
    rows = [{"image": {"bytes": content, "path": None}, "label": 1} for content in contents]
    rows.append({"image": {"bytes": b"no image", "path": None}, "label": 2})
    path = root / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def image_folder(root: Path) -> Path:
    pictures(root)
    (root / "images" / "metadata.csv").write_text("file_name,text\napple.png,x\ngone.png,y\n")
    return root


def shards(root: Path) -> Path:
    pictures(root)
    latin = root / "images" / "latin.txt"
    latin.write_bytes("Käse".encode("latin-1"))
    for name in ("apple", "pear"):
        with tarfile.open(root / f"{name}.tar", "w") as archive:
            archive.add(root / "images" / f"{name}.png", f"{name}.png")
            archive.add(latin, f"{name}.txt")
    shutil.rmtree(root / "images")
    return root


def zipped_table(root: Path) -> Path:
    table = csv_table(root)
    path = root / "shop.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (table, *sorted((root / "images").iterdir())):
            archive.write(file, file.relative_to(root))
    return path


def single_picture(root: Path) -> Path:
    pictures(root)
    return root / "images" / "apple.png"


def pictures(root: Path) -> None:
    (root / "images").mkdir(exist_ok=True)
    for name, colour in (("apple", "red"), ("pear", "green")):
        Image.new("RGB", (8, 8), colour).save(root / "images" / f"{name}.png")


MAKERS = (
    folder,
    csv_table,
    tsv_gz_table,
    jsonl_table,
    parquet_table,
    folder_with_table,
    parquet_of_bytes,
    image_folder,
    shards,
    zipped_table,
    single_picture,
)


# How many of its files or rows fail. The repeated id is not one: rows are then numbered instead.
FAILURES = {
    "folder": 1,
    "csv_table": 2,
    "tsv_gz_table": 2,
    "jsonl_table": 2,
    "parquet_table": 1,
    "folder_with_table": 2,
    "parquet_of_bytes": 1,
    "image_folder": 1,
    "shards": 2,
    "zipped_table": 2,
    "single_picture": 0,
}


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    maker: Callable[[Path], Path] = request.param
    return maker


@pytest.fixture
def location(make: Callable[[Path], Path], tmp_path: Path) -> Path:
    root = tmp_path / "catalog"
    root.mkdir()
    return make(root)


@pytest.fixture
def source(location: Path) -> Source:
    return open_source(location, name="shop", options=SourceOptions())


def records(source: Source) -> list[Record]:
    found = [item for item in source if isinstance(item, Record)]
    assert found
    return found


def test_keys_begin_with_the_name_of_the_source(source: Source) -> None:
    assert source.name == "shop"
    assert all(item.key.startswith("shop/") and len(item.key) > 5 for item in source)


def test_keys_of_records_are_unique(source: Source) -> None:
    keys = [record.key for record in records(source)]
    assert len(keys) == len(set(keys))


def test_a_failure_comes_before_a_record_with_its_key_and_never_after(source: Source) -> None:
    seen: set[str] = set()
    for item in source:
        if isinstance(item, Record):
            seen.add(item.key)
        else:
            assert item.key not in seen


def test_it_can_be_iterated_again_in_the_same_order(source: Source) -> None:
    assert list(source) == list(source)


def test_uris_are_real_files(source: Source) -> None:
    with_image = [record for record in records(source) if record.image is not None]
    assert with_image
    assert all(real_path(record.uri) == record.image for record in with_image)
    assert all(real_path(item.uri).is_file() for item in source if item.uri)


def test_each_record_has_something_to_embed(source: Source) -> None:
    assert all(record.image is not None or record.text for record in records(source))


def test_failures_say_why(source: Source, make: Callable[[Path], Path]) -> None:
    failures = [item for item in source if isinstance(item, Failure)]
    assert len(failures) == FAILURES[make.__name__]
    assert all(failure.stage in ("source", "read") and failure.reason for failure in failures)


def test_metadata_stays_clear_of_the_columns_of_the_store(source: Source) -> None:
    taken = {"key", "source", "uri", "text", "width", "height", "format"}
    for record in records(source):
        assert record.metadata
        assert not taken.intersection(record.metadata)
        assert not any(name.startswith("_") for name in record.metadata)


def test_a_root_that_vanished_is_one_clear_error(source: Source) -> None:
    source.root.rename(source.root.with_name("elsewhere"))
    with pytest.raises(InputError, match=r"no longer exists|does not exist"):
        list(source)
