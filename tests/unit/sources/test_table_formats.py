"""Tables as JSON arrays, with objects in cells, as spreadsheets, compressed, and called .txt."""

import gzip
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record, Value
from mmsearch.sources import FolderSource, SourceOptions, TableSource, open_source


def read(file: Path, content: bytes) -> TableSource:
    file.write_bytes(content)
    source = open_source(file, name="t", options=SourceOptions())
    assert isinstance(source, TableSource)
    return source


def metadata(source: TableSource) -> list[Mapping[str, Value]]:
    return [item.metadata for item in source if isinstance(item, Record)]


ITEMS = [
    {"id": "a", "title": "Apple", "brand": {"name": "Acme", "country": {"code": "AT"}}},
    {"id": "b", "title": "Pear, green]", "brand": {"name": "Obst"}, "tags": ["x", "y"]},
]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ITEMS),
        json.dumps(ITEMS, indent=2),
        json.dumps({"products": ITEMS}),
        "\ufeff" + json.dumps(ITEMS),
    ],
)
def test_json_arrays_with_objects(tmp_path: Path, content: str) -> None:
    source = read(tmp_path / "t.json", content.encode())
    first, second = metadata(source)
    assert (first["brand_name"], first["brand_country_code"]) == ("Acme", "AT")
    assert (second["title"], second["tags"]) == ("Pear, green]", ["x", "y"])


def test_json_arrays_are_read_object_by_object(tmp_path: Path) -> None:
    items = [{"title": f"thing {number}", "text": "words " * 100} for number in range(3_000)]
    assert len(metadata(read(tmp_path / "t.json", json.dumps(items).encode()))) == 3_000
    large = [{"title": "A", "note": "x" * 2**20}, {"title": "B", "note": "y"}]
    assert len(metadata(read(tmp_path / "u.json", json.dumps(large).encode()))) == 2


def test_a_damaged_array_keeps_the_objects_before(tmp_path: Path) -> None:
    source = read(tmp_path / "t.json", b'[{"title": "A"}, 7, {"title": "B"}, {"title": }]')
    items = list(source)
    assert [item.key for item in items if isinstance(item, Record)] == ["t/1", "t/3"]
    reasons = [item.reason for item in items if isinstance(item, Failure)]
    assert "object 2 of t.json: expected a JSON object, got a int" in reasons[0]
    assert "object 4 of t.json: not valid JSON" in reasons[1]


def test_objects_in_parquet_are_columns(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    brands = pa.array([{"name": "Acme", "size": {"cm": 3}}, None])
    pq.write_table(pa.table({"title": ["Apple", "Pear"], "brand": brands}), file)
    source = open_source(file, name="t", options=SourceOptions())
    assert isinstance(source, TableSource)
    assert metadata(source) == [
        {"title": "Apple", "brand_name": "Acme", "brand_size_cm": 3},
        {"title": "Pear", "brand_name": None, "brand_size_cm": None},
    ]


def xlsx(file: Path, sheets: Mapping[str, list[list[str | float]]]) -> Path:
    """Writes a workbook as Excel does: a part for each sheet, and their relations."""
    main = "http://schemas.openxmlformats.org"
    numbers = range(1, len(sheets) + 1)
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "[Content_Types].xml", f'<Types xmlns="{main}/package/2006/content-types"/>'
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{main}/package/2006/relationships"><Relationship Id="r" '
            f'Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(
            f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>'
            for number, name in zip(numbers, sheets, strict=True)
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}/spreadsheetml/2006/main" xmlns:r="{relation}">'
            f"<sheets>{listed}</sheets></workbook>",
        )
        related = "".join(
            f'<Relationship Id="r{number}" Type="{relation}/worksheet" '
            f'Target="worksheets/sheet{number}.xml"/>'
            for number in numbers
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{main}/package/2006/relationships">{related}</Relationships>',
        )
        for number, rows in zip(numbers, sheets.values(), strict=True):
            lines = "".join(
                f'<row r="{line}">{"".join(map(_cell, _places(line), row))}</row>'
                for line, row in enumerate(rows, 1)
            )
            archive.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{main}/spreadsheetml/2006/main"><sheetData>{lines}</sheetData>'
                "</worksheet>",
            )
    return file


def _places(line: int) -> list[str]:
    return [f"{letter}{line}" for letter in "ABCDEFGH"]


def _cell(place: str, value: str | float) -> str:
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def test_spreadsheets(tmp_path: Path) -> None:
    rows: list[list[str | float]] = [
        ["sku", "title", "price", "stock", "sold"],
        ["007", "Apple", 1.5, 3, "31.12.2025"],
        ["008", "Pear & co", 2, 4, "01.02.2025"],
    ]
    file = xlsx(tmp_path / "t.xlsx", {"Notes": [], "Products": rows, "Old": [["x"]]})
    source = open_source(file, name="t", options=SourceOptions())
    assert isinstance(source, TableSource)
    assert metadata(source)[0] == {
        "sku": "007",
        "title": "Apple",
        "price": 1.5,
        "stock": 3,
        "sold": datetime(2025, 12, 31, tzinfo=UTC),
    }
    assert [item.key for item in source if isinstance(item, Record)] == ["t/007", "t/008"]
    assert any("the sheet 'Products' is read; 'Notes', 'Old' are not" in n for n in source.notes)


def test_spreadsheets_of_libreoffice(tmp_path: Path) -> None:
    name = "urn:oasis:names:tc:opendocument:xmlns"
    rows = [["id", "title"], ["1", "Red apple"], ["2", "Green pear"]]
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p>'
            "</table:table-cell>"
            for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )
    with zipfile.ZipFile(tmp_path / "t.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", f'<m:manifest xmlns:m="{name}:manifest:1.0"/>')
        archive.writestr(
            "content.xml",
            f'<office:document-content xmlns:office="{name}:office:1.0" '
            f'xmlns:table="{name}:table:1.0" xmlns:text="{name}:text:1.0"><office:body>'
            f'<office:spreadsheet><table:table table:name="S">{cells}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    source = open_source(tmp_path / "t.ods", name="t", options=SourceOptions())
    assert [item.text for item in source if isinstance(item, Record)] == ["Red apple", "Green pear"]


@pytest.mark.parametrize("name", ["t.xlsx", "t.ods", "t.xls"])
def test_damaged_spreadsheets_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InputError, match=f"{name} cannot be read"):
        open_source(tmp_path / name, name="t", options=SourceOptions())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv.zst", "id,title\n1,Käse\n2,Brot\n"),
        ("t.tsv.zst", "id\ttitle\n1\tKäse\n2\tBrot\n"),
        ("t.jsonl.zst", '{"title": "Käse"}\n{"title": "Brot"}\n'),
        ("t.json.gz", '[{"title": "Käse"}, {"title": "Brot"}]'),
    ],
)
def test_compressed_tables(tmp_path: Path, name: str, content: str) -> None:
    packed = (
        gzip.compress(content.encode())
        if name.endswith(".gz")
        else pa.compress(content.encode(), codec="zstd", asbytes=True)
    )
    source = read(tmp_path / name, packed)
    assert [item.text for item in source if isinstance(item, Record)] == ["Käse", "Brot"]


def test_damaged_compression_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv.zst").write_bytes(b"no zstd at all")
    with pytest.raises(InputError, match="cannot be read"):
        open_source(tmp_path / "t.csv.zst", name="t", options=SourceOptions())


def test_a_text_that_names_images_is_a_table(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    captions = 'image,caption\na.jpg,A dog .\na.jpg,A small dog .\nb.jpg,"A cat , asleep ."\n'
    source = read(tmp_path / "captions.txt", captions.encode())
    assert source.columns.image == "image"
    texts = [item.text for item in source if isinstance(item, Record)]
    assert texts == ["A dog .", "A small dog .", "A cat , asleep ."]


@pytest.mark.parametrize(
    "text",
    ["A walk, and a dog.\nIts photo, dog.jpg, is here.\n", "See a.jpg\nand b.jpg\n", "a.jpg", ""],
)
def test_other_texts_are_documents(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    assert isinstance(
        open_source(tmp_path / "t.txt", name="t", options=SourceOptions()), FolderSource
    )
