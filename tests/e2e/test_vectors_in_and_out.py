"""Vectors that leave a store and come into another one, or were made elsewhere."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import mmsearch
from mmsearch.arrays import unit
from mmsearch.catalog import Catalog
from mmsearch.errors import InputError, SpaceMismatch
from mmsearch.records import Floats
from mmsearch.sources import SourceOptions
from tests.support.command_line import Call, environment_of

TITLES = ["Red lamp", "Blue chair", "Green table", "Old clock", "Brass bell", "Wool rug"]
DIM = 24


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> str:
    return str(tiny_model)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, model: str) -> Catalog:
    """Six products with pictures and titles; one has no picture, one no title."""
    folder = tmp_path_factory.mktemp("shop")
    rows = ["id,image,title,price,latitude"]
    for number, title in enumerate(TITLES):
        noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((48, 40), Image.Resampling.BICUBIC).save(
            folder / f"{number}.png"
        )
        picture = "" if number == 4 else f"{number}.png"
        rows.append(f"p{number},{picture},{'' if number == 5 else title},{number + 0.5},48.1")
    (folder / "goods.csv").write_text("\n".join(rows), encoding="utf-8")
    catalog = mmsearch.open(folder / "store", model=model, device="cpu", workers=1)
    assert catalog.index(folder / "goods.csv").added == 6
    return catalog


@pytest.fixture
def other(tmp_path: Path, model: str) -> Catalog:
    return mmsearch.open(tmp_path / "other", model=model, device="cpu", workers=1)


def ranked(catalog: Catalog, **query: object) -> list[tuple[str, float]]:
    hits = catalog.search(k=6, **query)  # type: ignore[arg-type]
    return [(hit.key.partition("/")[2], round(hit.similarity, 5)) for hit in hits]


def with_vectors(path: Path, vectors: list[object], kind: pa.DataType | None = None) -> Path:
    columns = {
        "id": pa.array([f"r{i}" for i in range(len(vectors))]),
        "emb": pa.array(vectors, kind),
    }
    pq.write_table(pa.table(columns), path)
    return path


def unit_rows(count: int, seed: int = 3) -> Floats:
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return unit(rows)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_round_trip_gives_the_same_hits(
    shop: Catalog, other: Catalog, tmp_path: Path, precision: str
) -> None:
    file = tmp_path / "vectors.parquet"
    assert shop.export_vectors(file, precision=precision) == 6  # type: ignore[arg-type]
    table = pq.read_table(file)
    assert json.loads(table.schema.metadata[b"mmsearch.space"])["dim"] == DIM
    assert table.schema.field("product_vector").type == pa.list_(
        pa.float16() if precision == "float16" else pa.float32(), DIM
    )
    assert table.column("image_vector").null_count == 1
    assert table.column("text_vector").null_count == 1
    assert "latitude" not in table.column_names
    options = SourceOptions(
        vector_columns=("image_vector", "text_vector"), id_column="id", text_columns=("text",)
    )
    report = other.index(file, options=options)
    assert (report.added, report.decoded, report.failures) == (6, 0, ())
    vector = unit_rows(1)[0]
    for target in ("image", "text", "product"):
        expected = ranked(shop, vector=vector, target=target)
        assert len(expected) >= 5
        assert ranked(other, vector=vector, target=target) == expected
    assert ranked(other, text="clock") == ranked(shop, text="clock")
    assert other["vectors/p0"].uri == shop["goods/p0"].uri
    assert other.index().unchanged == 6


def test_lance_and_numpy_files(shop: Catalog, other: Catalog, tmp_path: Path) -> None:
    assert shop.export_vectors(tmp_path / "v.lance", where="price < 3", target="text") == 3
    table = lancedb.connect(str(tmp_path)).open_table("v").to_arrow()
    assert sorted(table.column("id").to_pylist()) == ["p0", "p1", "p2"]
    assert "image_vector" not in table.column_names
    shop.export_vectors(tmp_path / "v.lance", target="text", force=True)
    assert lancedb.connect(str(tmp_path)).open_table("v").count_rows() == 5
    file = tmp_path / "v.npy"
    assert shop.export_vectors(file, target="image") == 5
    assert np.load(file).shape == (5, DIM)
    with pytest.raises(InputError, match="exists"):
        shop.export_vectors(file, target="image")
    options = SourceOptions(vectors_file=str(file), id_column="id", text_columns=("text",))
    assert other.index(tmp_path / "v.jsonl", options=options).added == 5
    vector = unit_rows(1)[0]
    assert ranked(other, vector=vector, target="image") == ranked(
        shop, vector=vector, target="image"
    )
    assert other.index().unchanged == 5
    assert not list(tmp_path.glob(".*part*"))


def test_what_cannot_be_exported(shop: Catalog, tmp_path: Path) -> None:
    for name, options, reason in (
        ("v.csv", {}, "none of the suffixes"),
        ("v.npy", {}, "one kind of vector"),
        ("v.parquet", {"target": "pixel"}, "unknown target 'pixel'"),
        ("nowhere/v.parquet", {}, "cannot write"),
    ):
        with pytest.raises(InputError, match=reason):
            shop.export_vectors(tmp_path / name, **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_vectors_of_a_table_are_normalised_and_faulty_ones_are_failures(
    other: Catalog, tmp_path: Path
) -> None:
    rows = unit_rows(7)
    vectors: list[object] = [list(3 * rows[0]), list(rows[1]), None, [0.0] * DIM, [1.0] * 3]
    vectors += [[float("nan")] * DIM, list(rows[6])]
    table = with_vectors(tmp_path / "emb.parquet", vectors, pa.list_(pa.float32()))
    report = other.index(table, options=SourceOptions(vector_columns=("emb",)))
    assert report.added == 3
    assert {failure.key: failure.reason for failure in report.failures} == {
        "emb/r2": "has neither a picture nor a text (row 3 of emb.parquet)",
        "emb/r3": "'emb' has only zeros, which have no direction (row 4 of emb.parquet)",
        "emb/r4": "'emb' has 3 numbers here, 24 before (row 5 of emb.parquet)",
        "emb/r5": "'emb' has a number that is not finite (row 6 of emb.parquet)",
    }
    hit = other.search(vector=rows[0], target="image", k=1)[0]
    assert hit.key == "emb/r0"
    assert hit.similarity == pytest.approx(1, abs=2e-3)


def test_a_changed_vector_is_replaced_and_others_stay(other: Catalog, tmp_path: Path) -> None:
    rows = unit_rows(3)
    options = SourceOptions(vector_columns=("emb",))
    table = with_vectors(tmp_path / "emb.parquet", [list(row) for row in rows])
    other.index(table, options=options)
    new = unit_rows(1, seed=9)[0]
    with_vectors(table, [list(rows[0]), list(new), list(rows[2])])
    report = other.index()
    assert (report.updated, report.unchanged) == (1, 2)
    assert other.search(vector=new, target="image", k=1)[0].key == "emb/r1"


def test_cells_of_csv_and_json(other: Catalog, tmp_path: Path) -> None:
    rows = unit_rows(3)
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text_emb"])
        writer.writerow(["r0", json.dumps(rows[0].tolist())])
        # As pandas writes arrays.
        writer.writerow(["r1", str(rows[1])])
        writer.writerow(["r2", "[0.1 ... 0.3]"])
    report = other.index(tmp_path / "a.csv", options=SourceOptions(vector_columns=("text_emb",)))
    assert report.added == 2
    assert [failure.reason for failure in report.failures] == [
        "'text_emb' is not a list of numbers (row 3 of a.csv)"
    ]
    assert other.search(vector=rows[1], target="text", k=1)[0].key == "a/r1"


def test_another_dimension_or_space_is_one_clear_line(
    shop: Catalog, other: Catalog, tmp_path: Path
) -> None:
    table = with_vectors(tmp_path / "emb.parquet", [[1.0] * 768])
    options = SourceOptions(vector_columns=("emb",))
    with pytest.raises(
        InputError, match=r"has vectors of 768 numbers, .* gives 24; name the model"
    ):
        other.index(table, options=options)
    assert not other.root.exists()
    file = tmp_path / "vectors.parquet"
    shop.export_vectors(file)
    exported = pq.read_table(file)
    named = exported.schema.metadata[b"mmsearch.space"].replace(
        b'weights_hash": "', b'weights_hash": "0'
    )
    pq.write_table(exported.replace_schema_metadata({b"mmsearch.space": named}), file)
    with pytest.raises(SpaceMismatch):
        other.index(file, options=SourceOptions(vector_columns=("image_vector",)))
    for options, reason in (
        (SourceOptions(vector_columns=("nothing",)), "has no column 'nothing'"),
        (SourceOptions(vector_columns=("id", "emb")), "once for each"),
        (SourceOptions(vectors_file="missing.npy"), "is not a NumPy array"),
    ):
        with pytest.raises(InputError, match=reason):
            other.index(table, options=options)
    np.save(tmp_path / "two.npy", unit_rows(2))
    with pytest.raises(InputError, match=r"has 2 rows, emb.parquet has 1"):
        other.index(table, options=SourceOptions(vectors_file=str(tmp_path / "two.npy")))


def test_no_model_is_loaded_where_every_row_has_a_vector(tmp_path: Path, tiny_model: Path) -> None:
    table = with_vectors(tmp_path / "emb.parquet", [list(row) for row in unit_rows(3)])
    arguments = ["index", str(table), "--vector-column", "emb", "--store", "s", "--quiet"]
    script = f"""
import sys
from mmsearch.cli.app import app
app({arguments!r}, standalone_mode=False)
print(sorted({{"open_clip", "torch", "timm"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment_of(tiny_model),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr


def test_vectors_that_are_no_longer_given_are_encoded(other: Catalog, tmp_path: Path) -> None:
    table = tmp_path / "goods.jsonl"
    rows = [
        {"id": i, "title": title, "emb": row.tolist()}
        for i, (title, row) in enumerate(zip(TITLES, unit_rows(6), strict=True))
    ]
    table.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    given = SourceOptions(vector_columns=("emb",), vectors_of=("text",))
    assert other.index(table, options=given).added == 6
    assert other.index(table, options=SourceOptions(text_columns=("title",))).updated == 6
    own = other.embed_texts(TITLES[:1])[0]
    assert other.search(vector=own, target="text", k=1)[0].similarity == pytest.approx(1, abs=2e-3)
    assert other.index().unchanged == 6


def test_the_command_line_takes_and_gives_vectors(
    call: Call, process: Call, tmp_path: Path
) -> None:
    with_vectors(tmp_path / "emb.parquet", [list(row) for row in unit_rows(3)])
    done = call(tmp_path, "index", "emb.parquet", "--vector-column", "emb", "--vector-of", "text")
    assert done.returncode == 0, done.stderr
    done = process(tmp_path, "export", "vectors", "out.parquet", "--target", "text")
    assert done.returncode == 0, done.stderr
    assert "wrote the vectors of 3 items to out.parquet" in done.stderr
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 3
    done = call(tmp_path, "export", "vectors", "out.parquet")
    assert (done.returncode, "--force" in done.stderr) == (2, True)
    assert "vectors" in call(tmp_path, "export").stdout
