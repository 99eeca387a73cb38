"""Tables: rows become records, types hold for whole columns, and a bad row costs itself alone."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record
from mmsearch.sources import SourceOptions, TableSource


def table(path: Path, content: str | bytes, **options: str | tuple[str, ...] | int) -> TableSource:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TableSource(path, name="t", options=SourceOptions(**options))  # type: ignore[arg-type]


def parquet(path: Path, columns: dict[str, pa.Array]) -> TableSource:
    pq.write_table(pa.table(columns), path)
    return TableSource(path, name="t", options=SourceOptions())


def records(source: TableSource) -> list[Record]:
    return [item for item in source if isinstance(item, Record)]


def failures(source: TableSource) -> list[Failure]:
    return [item for item in source if isinstance(item, Failure)]


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), "red").save(path, "PNG")
    return path


def test_the_cell_that_makes_a_column_a_text_is_named(tmp_path: Path) -> None:
    prices = [f"{number}.5" for number in range(40)]
    prices[7] = "on request"
    rows = "".join(f"thing {n},{price},{price}0 EUR\n" for n, price in enumerate(prices))
    source = table(tmp_path / "t.csv", f"title,price,shown\n{rows}")
    (note,) = [note for note in source.notes if "because of" in note]
    assert "'price' is a text because of 'on request' (row 8 of t.csv); its other 39 cells" in note
    assert all(isinstance(record.metadata["price"], str) for record in records(source))


def test_columns_are_typed_over_the_whole_file(tmp_path: Path) -> None:
    source = table(
        tmp_path / "t.csv",
        "sku,title,price,stock,active,added,seen,zip,note,late\n"
        "00123,A,1.5,3,true,2024-01-02,2024-01-02T10:00:00+02:00,01234,,1\n"
        "00124,B,N/A,,False,,2024-01-03 10:00,55555,NA,2\n"
        "124,C,2,5,TRUE,2024-02-29,,99999,see box,x\n",
    )
    first, second, third = records(source)
    assert first.key == "t/00123"
    assert first.metadata == {
        "sku": "00123",
        "title": "A",
        "price": 1.5,
        "stock": 3,
        "active": True,
        "added": datetime(2024, 1, 2, tzinfo=UTC),
        "seen": datetime(2024, 1, 2, 8, tzinfo=UTC),
        "zip": "01234",
        "note": None,
        "late": "1",
    }
    assert second.metadata["price"] is None
    assert second.metadata["stock"] is None
    assert second.metadata["note"] == "NA"
    assert third.metadata["price"] == 2.0
    assert isinstance(third.metadata["price"], float)
    assert third.metadata["sku"] == "124"


def test_columns_that_hold_nothing_are_left_out_and_named(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", "id,title,stock\n1,A,\n2,B,n/a\n")
    assert records(source)[0].metadata == {"id": "1", "title": "A"}
    assert "empty, nested or too long: 'stock'" in source.notes[-1]


def test_a_type_that_breaks_after_a_million_bytes_still_holds(tmp_path: Path) -> None:
    rows = "".join(f"{i},a title of number {i},{i}\n" for i in range(40_000))
    source = table(tmp_path / "t.csv", f"id,title,size\n{rows}x,last,XL\n")
    found = records(source)
    assert len(found) == 40_001
    assert found[0].metadata["size"] == "0"
    assert found[-1].metadata["size"] == "XL"


def test_ragged_rows_and_open_quotes_cost_themselves(tmp_path: Path) -> None:
    source = table(
        tmp_path / "t.csv",
        'id,title\n1,"two\nlines"\n2,a,b\n\n3\n ,\n4,"it ""is"", fine"\n5,"never closed\n',
    )
    assert [(r.key, r.text) for r in records(source)] == [
        ("t/1", "two\nlines"),
        ("t/4", 'it "is", fine'),
        ("t/5", "never closed"),
    ]
    assert [failure.reason for failure in failures(source)] == [
        "row 2 of t.csv, line 4: 3 cells where the header has 2",
        "row 3 of t.csv, line 6: 1 cells where the header has 2",
    ]


def test_an_open_quote_that_swallows_rows_is_named(tmp_path: Path) -> None:
    rows = "".join(f"{i},title\n" for i in range(50))
    source = table(tmp_path / "t.csv", f'id,title\na,good\n"b,bad\n{rows}')
    assert "quotation mark left open" in failures(source)[0].reason


def test_huge_cells(tmp_path: Path) -> None:
    long = "word " * 60_000
    source = table(tmp_path / "t.csv", f"id,title\n1,{long}\n2,short\n", max_text_bytes=1_000)
    assert [record.key for record in records(source)] == ["t/2"]
    (failure,) = failures(source)
    assert failure.key == "t/1"
    assert "max_text_bytes" in failure.reason
    assert "title" not in records(source)[0].metadata


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_told_by_the_header(tmp_path: Path, delimiter: str) -> None:
    content = "id,title,colour\n1,Apple,red\n".replace(",", delimiter)
    assert records(table(tmp_path / "t.CSV", content))[0].metadata["colour"] == "red"


@pytest.mark.parametrize(
    ("content", "prices"),
    [
        ("sep=;\nid;title;price\n1;Apple, red;3\n2;Pear;4\n", [3, 4]),
        ("\ufeffsep=,\r\nid,title,price\r\n1,Apple,3\r\n2,Pear,4\r\n", [3, 4]),
        ('title;"colour, size, weight";price\n"Apple, red";x;3\n"Pear, green";x;4\n', [3, 4]),
        ("name|a,b,c,d|price\nApple|x, y|3\nPear|x|4\n", [3, 4]),
    ],
)
def test_delimiters_are_told_by_a_sep_line_or_the_first_rows(
    tmp_path: Path, content: str, prices: list[int]
) -> None:
    source = table(tmp_path / "t.csv", content)
    assert [record.metadata["price"] for record in records(source)] == prices


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["3,49", "1.299,00", "-0,5", "12", "1,299"], [3.49, 1299.0, -0.5, 12.0, 1.299]),
        (["1.299.000", "3,5"], [1_299_000.0, 3.5]),
        (["1,299.00", "3.49", "12", "1,299"], [1299.0, 3.49, 12.0, 1299.0]),
        (["1,299,000", "999"], [1_299_000.0, 999.0]),
        # It cannot be known which of the two a comma is, so they stay texts.
        (["1,299", "2,500"], ["1,299", "2,500"]),
        (["3,49", "3.49"], ["3,49", "3.49"]),
        (["3,49", "1,299.00"], ["3,49", "1,299.00"]),
        (["36,38,40", "42"], ["36,38,40", "42"]),
        (["00,5", "3,49"], ["00,5", "3,49"]),
    ],
)
def test_commas_in_numbers_are_told_apart_by_the_column(
    tmp_path: Path, cells: list[str], numbers: list[float | str]
) -> None:
    rows = "".join(f"{i};title {i};{cell}\n" for i, cell in enumerate(cells))
    source = table(tmp_path / "t.csv", f"id;title;price\n{rows}")
    assert [record.metadata["price"] for record in records(source)] == numbers
    noted = any("'price'" in note and "number with" in note for note in source.notes)
    assert noted == isinstance(numbers[0], float)


def test_rows_after_a_sep_line_are_counted_with_it(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", "sep=;\nid;title\n1;Apple\n2;Pear;too many\n")
    assert "row 2 of t.csv, line 4: 3 cells" in failures(source)[0].reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    content = "id,title\n1,Käse für Grüße\n2,plain words here\n".encode(encoding)
    source = table(tmp_path / "t.csv", content)
    assert [record.text for record in records(source)] == ["Käse für Grüße", "plain words here"]
    assert source.columns.id == "id"
    assert any("Windows-1252" in note for note in source.notes) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("encoding", "name", "title"),
    [
        ("utf-16-le", "UTF-16", "Käse für Grüße"),
        ("utf-16-be", "UTF-16", "冷蔵庫"),
        ("cp1250", "Windows-1250", "Zażółć gęślą jaźń, proszę: świeży chleb żytni"),
        ("cp1251", "Windows-1251", "Красное яблоко"),
        ("cp1253", "Windows-1253", "Κόκκινο μήλο"),
        ("cp932", "Shift-JIS", "赤いリンゴと青い空"),
        ("gb18030", "GB18030", "红苹果和青苹果,新鲜水果"),
        ("cp949", "EUC-KR", "신선한 과일과 채소를 매일 아침 집으로 배달합니다"),
        ("big5", "BIG5", "紅蘋果和青蘋果，新鮮水果"),
    ],
)
def test_encodings_without_a_mark_are_detected(
    tmp_path: Path, encoding: str, name: str, title: str
) -> None:
    content = f'id,title\n1,"{title}"\n2,plain words here\n'.encode(encoding)
    source = table(tmp_path / "t.csv", content)
    assert [record.text for record in records(source)] == [title, "plain words here"]
    assert f"t.csv: read as {name}; save it as UTF-8 if letters look wrong" in source.notes


def test_bytes_in_no_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="save it as UTF-8"):
        table(tmp_path / "t.csv", b"id,title\n1," + bytes(range(0x80, 0x100)) * 3 + b"\n")


def test_one_bad_byte_costs_its_row(tmp_path: Path) -> None:
    content = "id,title\n1,Käse\n2,X\n3,Öl\n4,Grün\n".encode().replace(b"X", b"\xff")
    source = table(tmp_path / "t.csv", content)
    assert [record.key for record in records(source)] == ["t/1", "t/3", "t/4"]
    assert "row 2 of t.csv, line 3: not valid UTF-8" in failures(source)[0].reason


def test_jsonl_lines_fail_alone(tmp_path: Path) -> None:
    lines = [
        json.dumps({"id": 7, "title": "one", "price": 1, "tags": ["a", "b"], "dims": {"w": 1}}),
        "{broken",
        "[1, 2]",
        "",
        json.dumps({"id": "8", "title": "two", "price": 2.5, "added": "2024-05-06"}),
        '{"id": 9, "title": "\\ud800 lone", "price": NaN}',
        "[" * 100_000,
    ]
    source = table(tmp_path / "t.jsonl", "\n".join(lines))
    one, two, three = records(source)
    assert one.key == "t/7"
    assert one.metadata == {"id": "7", "title": "one", "price": 1.0, "tags": "a; b", "added": None}
    assert two.metadata["added"] == datetime(2024, 5, 6, tzinfo=UTC)
    assert three.metadata["price"] is None
    assert three.text == "\N{REPLACEMENT CHARACTER} lone"
    reasons = [failure.reason for failure in failures(source)]
    assert [reason.split(":")[0] for reason in reasons] == [
        f"line {number} of t.jsonl" for number in (2, 3, 7)
    ]
    assert any("'dims'" in note for note in source.notes)


def test_parquet_keeps_its_own_types(tmp_path: Path) -> None:
    source = parquet(
        tmp_path / "t.parquet",
        {
            "id": pa.array([1, 2]),
            "title": pa.array(["one", "two"]),
            "code": pa.array(["007", "12"]),
            "price": pa.array([Decimal("1.50"), None]),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "when": pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns")),
            "day": pa.array([19_000, None], pa.date32()),
            "tags": pa.array([["a", "b"], []]),
            "image": pa.array([{"bytes": b"x", "path": "p"}, None]),
        },
    )
    first, second = records(source)
    assert first.key == "t/1"
    assert first.metadata == {
        "id": "1",
        "title": "one",
        "code": "007",
        "price": 1.5,
        "kind": "x",
        "when": datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC),
        "day": datetime(2022, 1, 8, tzinfo=UTC),
        "tags": "a; b",
    }
    assert second.metadata["price"] is None
    assert any("'image': bytes that are no images" in note for note in source.notes)


def test_parquet_is_read_in_batches_with_rows_counted_through(tmp_path: Path) -> None:
    titles = [f"title {i}" for i in range(2_500)]
    source = parquet(tmp_path / "t.parquet", {"title": pa.array(titles)})
    keys = [record.key for record in records(source)]
    assert keys == [f"t/{i}" for i in range(1, 2_501)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"\n \n", "is empty"),
        ("t.parquet", b"PAR1 not really", "not a Parquet file"),
        ("t.csv.gz", b"id,title\n", "cannot be read"),
        ("t.jsonl.gz", gzip.compress(b'{"title": "x"}\n' * 99, mtime=0)[:-12], "cannot be read"),
        ("t.csv", b"category,size\nfruit,3\n", "no column of pictures or texts"),
    ],
)
def test_tables_that_cannot_be_used(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        table(tmp_path / name, content)


@pytest.mark.parametrize("content", ["id,title,image\n", "title\n"])
def test_a_table_without_rows_has_no_items_and_says_so(tmp_path: Path, content: str) -> None:
    source = table(tmp_path / "t.csv", content)
    assert list(source) == []
    assert source.notes[-1] == "t.csv: has no rows"
    assert source.columns.texts == ("title",)


def test_one_column_of_words_is_the_text(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", "fruit\napple\npear\n")
    assert [(r.key, r.text) for r in records(source)] == [("t/1", "apple"), ("t/2", "pear")]


def test_columns_of_the_same_name_are_kept_apart(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", "id,title,price,price,\n1,x,2,3,4\n")
    assert records(source)[0].metadata == {
        "id": "1", "title": "x", "price": 2, "price_2": 3, "column_5": 4,
    }  # fmt: skip
    assert any("'price (2)', 'column 5'" in note for note in source.notes)


def test_duplicate_and_missing_ids_of_the_user_fail_without_touching_the_first(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{i},title {i}\n" for i in range(1_000))
    content = f"id,title\n{rows}5,again\n,without\n"
    source = table(tmp_path / "t.csv", content, id_column="id")
    assert len(records(source)) == 1_000
    again, without = failures(source)
    assert again.key == "t/row 1001"
    assert "'id' is '5' in row 6 and again in row 1001" in again.reason
    assert "has no 'id'" in without.reason


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_guessed_ids_that_repeat_after_the_sample_are_dropped(tmp_path: Path, kind: str) -> None:
    names = [f"thing {i % 1_010}" for i in range(1_020)]
    skus = [f"S{i}" for i in range(1_020)]
    if kind == "csv":
        rows = "".join(
            f"{name},title of {name},{sku}\n" for name, sku in zip(names, skus, strict=True)
        )
        source = table(tmp_path / "t.csv", f"Handle,Title,Variant SKU\n{rows}")
    else:
        cells = {"Handle": names, "Title": [f"title of {n}" for n in names], "Variant SKU": skus}
        source = parquet(tmp_path / "t.parquet", {n: pa.array(v) for n, v in cells.items()})
    assert source.columns.id == "Variant SKU"
    assert [record.key for record in records(source)] == [f"t/{sku}" for sku in skus]
    assert failures(source) == []
    assert any("'Handle' is 'thing 0' again in row 1011" in note for note in source.notes)


def test_rows_are_numbered_where_no_guessed_id_holds(tmp_path: Path) -> None:
    rows = "".join(f"{i},title {i}\n" for i in range(1_000))
    source = table(tmp_path / "t.csv", f"id,title\n{rows},without\n")
    assert source.columns.id is None
    assert len(records(source)) == 1_001
    assert any("'id' is empty in row 1001" in note for note in source.notes)


@pytest.mark.parametrize(
    "cell",
    [
        "images\\a b #1.png",
        ".\\images\\a b #1.png",
        "images/a%20b%20%231.png",
        "images/a%20b%20%231.png?v=1",
        "images/a%20b%20%231.png?v=1#top",
        "file://{folder}/images/a%20b%20%231.png",
        "FILE://localhost{folder}/images/a%20b%20%231.png",
    ],
)
def test_paths_of_images_are_found_in_other_spellings(tmp_path: Path, cell: str) -> None:
    picture(tmp_path / "images" / "a b #1.png")
    source = table(
        tmp_path / "t.csv", f"id,image,title\n1,{cell.format(folder=tmp_path)},An apple\n"
    )
    assert source.columns.image == "image"
    assert records(source)[0].image == tmp_path / "images" / "a b #1.png"
    assert failures(source) == []


def test_an_encoded_path_does_not_lead_to_other_files(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("password")
    (tmp_path / "shop").mkdir()
    source = table(
        tmp_path / "shop" / "t.csv",
        f"id,image,title\n1,%2e%2e/secret.txt,x\n2,file://{tmp_path}/secret.txt,y\n",
        image_column="image",
    )
    assert [failure.key for failure in failures(source)] == ["t/1", "t/2"]
    assert all("is not a picture" in failure.reason for failure in failures(source))


def test_pictures_that_are_not_there(tmp_path: Path) -> None:
    picture(tmp_path / "shop" / "in.png")
    picture(tmp_path / "out.png")
    (tmp_path / "secret.png").write_text("password")
    (tmp_path / "shop" / "sub").mkdir()
    source = table(
        tmp_path / "shop" / "t.csv",
        "id,image,title\n"
        "ok,in.png,\n"
        "windows,sub\\..\\in.png,\n"
        "rooted,/in.png,\n"
        f"absolute,{tmp_path / 'out.png'},\n"
        "up,../out.png,\n"
        "secret,../secret.png,\n"
        "etc,/etc/passwd,\n"
        "gone,gone.png,\n"
        "named,gone.png,A name\n"
        "url,https://example.org/a.png,\n"
        "data,data:image/png;base64.AAAA,\n"
        "text,,Only a name\n"
        "nothing,,\n"
        "folder,sub,\n",
    )
    found = {record.key[2:]: record for record in records(source)}
    assert list(found) == ["ok", "windows", "rooted", "absolute", "up", "named", "text"]
    assert all(found[key].image for key in ("ok", "windows", "rooted", "absolute", "up"))
    assert (found["named"].image, found["named"].uri, found["named"].text) == (None, "", "A name")
    reasons = {failure.key[2:]: failure.reason for failure in failures(source)}
    assert set(reasons) == {
        "secret", "etc", "gone", "named", "url", "data", "nothing", "folder",
    }  # fmt: skip
    assert reasons["gone"] == "image 'gone.png' does not exist (row 8 of t.csv)"
    assert "outside the table's folder" in reasons["secret"]
    assert "outside the table's folder" in reasons["etc"]
    assert "password" not in str(reasons)
    assert "is a URL" in reasons["url"]
    assert "neither a picture nor a text" in reasons["nothing"]


def test_a_table_that_changed_under_us_fails_in_the_rows_that_changed(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", "id,title,price\n1,a,2\n2,b,3\n")
    (tmp_path / "t.csv").write_text("id,title,price\n1,a,2\n2,b,cheap\n")
    assert [record.key for record in records(source)] == ["t/1"]
    assert "has changed since it was opened" in failures(source)[0].reason
