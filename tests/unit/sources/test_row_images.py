"""Images of a row: several in a cell, in columns and rows, by id, under another folder."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record
from mmsearch.sources import SourceOptions, TableSource
from mmsearch.sources.picture_files import PictureFiles
from mmsearch.sources.row_images import image_cells

FRUIT = ("apple", "banana", "cherry", "kiwi, green", "pear")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name in FRUIT:
        picture(tmp_path / "shop" / "images" / f"{name}.jpg")
    return tmp_path / "shop"


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (len(path.stem) * 9 % 256, 40, 40)).save(path)
    return path


def opened(path: Path, content: str, **options: str) -> TableSource:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return TableSource(path, name="t", options=SourceOptions(**options))  # type: ignore[arg-type]


def images(source: TableSource) -> dict[str, list[str]]:
    """Returns the names of the images of each item."""
    found = {}
    for record in source:
        if isinstance(record, Record):
            paths = [record.image] if record.image else []
            paths += [image.path for image in record.more_images]
            assert all(path.is_file() for path in paths)
            found[record.key.removeprefix("t/")] = [path.stem for path in paths]
    return found


def failures(source: TableSource) -> dict[str, str]:
    return {item.key: item.reason for item in source if isinstance(item, Failure)}


@pytest.mark.parametrize(
    "cell",
    [
        "images/apple.jpg, images/banana.jpg",
        "images/apple.jpg,images/banana.jpg,",
        "images/apple.jpg;images/banana.jpg",
        "images/apple.jpg | images/banana.jpg",
        "images\\apple.jpg|images\\banana.jpg",
        "images/apple.jpg\nimages/banana.jpg",
        '["images/apple.jpg", "images/banana.jpg"]',
        "['images/apple.jpg', 'images/banana.jpg']",
        '[{"src": "images/apple.jpg"}, {"src": "images/banana.jpg"}]',
        "images/apple.jpg?v=1, images/banana.jpg?v=2",
        "images/apple.jpg, images/apple.jpg, images/banana.jpg",
    ],
)
def test_a_cell_may_name_several_images(shop: Path, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    source = opened(shop / "t.csv", f"id,name,pictures\n1,Two,{quoted}\n2,One,images/pear.jpg\n")
    assert images(source) == {"1": ["apple", "banana"], "2": ["pear"]}
    assert source.columns.images == ("pictures",)
    assert failures(source) == {}


def test_a_name_with_a_separator_in_it_is_one_image(shop: Path) -> None:
    source = opened(
        shop / "t.csv",
        "ID,Name,Images\n"
        '1,Kiwi,"images/kiwi, green.jpg"\n'
        '2,Two,"images/kiwi, green.jpg, images/pear.jpg"\n'
        '3,Gone,"images/kiwi, blue.jpg"\n',
    )
    assert images(source) == {"1": ["kiwi, green"], "2": ["kiwi, green", "pear"], "3": []}
    assert list(failures(source)) == ["t/3"]


def test_lists_of_json_are_images(shop: Path) -> None:
    rows = [
        {"id": "1", "name": "Two", "images": ["images/apple.jpg", "images/banana.jpg"]},
        {"id": "2", "name": "Objects", "images": [{"alt": "x", "src": "images/pear.jpg"}]},
        {"id": "3", "name": "None", "images": []},
    ]
    source = opened(shop / "t.jsonl", "\n".join(map(json.dumps, rows)))
    assert images(source) == {"1": ["apple", "banana"], "2": ["pear"], "3": []}


@pytest.mark.parametrize(
    ("headings", "order"),
    [
        (("image1", "image2", "image3"), [0, 1, 2]),
        (("Image 1", "Image 2", "Image 3"), [0, 1, 2]),
        (("image_url_1", "image_url_2", "image_url_10"), [0, 1, 2]),
        (("image_2", "image_1", "image_3"), [1, 0, 2]),
        (("additional_image_link", "image_link", "variant image"), [1, 0, 2]),
        (("Image Src", "Variant Image", "Image Extra"), [0, 1, 2]),
        (("Bild", "Bild 2", "Bild 3"), [0, 1, 2]),
    ],
)
def test_numbered_columns_are_images_of_one_item(
    shop: Path, headings: tuple[str, ...], order: list[int]
) -> None:
    names = ["apple", "banana", "pear"]
    cells = ",".join(f"images/{name}.jpg" for name in names)
    source = opened(shop / "t.csv", f"id,title,{','.join(headings)}\n1,Fruit,{cells}\n2,None,,,\n")
    assert images(source) == {"1": [names[i] for i in order], "2": []}
    assert set(source.columns.metadata) == {"id", "title"}


def test_logos_and_thumbnails_are_no_further_images(shop: Path) -> None:
    source = opened(
        shop / "t.csv",
        "id,title,image,thumbnail image,brand logo image\n"
        "1,Fruit,images/apple.jpg,images/pear.jpg,images/cherry.jpg\n",
    )
    assert images(source) == {"1": ["apple"]}


def test_the_user_names_several_columns_or_none(shop: Path) -> None:
    content = "id,title,front,image\n1,Fruit,images/apple.jpg,images/pear.jpg\n"
    assert images(opened(shop / "t.csv", content, image_column="front, image")) == {
        "1": ["apple", "pear"]
    }
    assert images(opened(shop / "t.csv", content, image_column="front")) == {"1": ["apple"]}
    assert images(opened(shop / "t.csv", content, image_column="none")) == {"1": []}
    with pytest.raises(InputError, match="no column 'back'"):
        opened(shop / "t.csv", content, image_column="front, back")


def test_a_missing_image_fails_alone(shop: Path) -> None:
    source = opened(
        shop / "t.csv",
        "id,images\n1,images/apple.jpg;images/gone.jpg;images/pear.jpg\n2,images/gone.jpg\n",
    )
    assert images(source) == {"1": ["apple", "pear"]}
    assert failures(source) == {
        "t/1#image=2": "image 'images/gone.jpg' does not exist (row 1 of t.csv)",
        "t/2": "image 'images/gone.jpg' does not exist (row 2 of t.csv)",
    }


SHOPIFY = (
    "Handle,Title,Body (HTML),Variant SKU,Variant Price,Image Src,Image Position\n"
    "golden-apple,Golden apple,Sweet,A1,3.5,images/apple.jpg,1\n"
    "golden-apple,,,A2,5.5,images/cherry.jpg,2\n"
    "golden-apple,,,A5,12,,\n"
    "banana,Banana,Ripe,B1,2,images/banana.jpg,1\n"
    "banana,,,,,images/pear.jpg,2\n"
)


def test_rows_without_a_title_belong_to_the_product_before(shop: Path) -> None:
    source = opened(shop / "products_export.csv", SHOPIFY)
    assert images(source) == {"golden-apple": ["apple", "cherry"], "banana": ["banana", "pear"]}
    assert failures(source) == {}
    first = next(iter(source))
    assert isinstance(first, Record)
    assert first.text == "Golden apple. Sweet"
    assert first.metadata["variant_price"] == 3.5
    assert "rows grouped by: 'Handle'" in source.notes[0]


def test_a_handle_that_comes_again_later_groups_nothing(shop: Path) -> None:
    source = opened(shop / "t.csv", SHOPIFY + "golden-apple,Again,,A9,1,images/pear.jpg,1\n")
    assert source.columns.group is None
    assert [len(found) for found in images(source).values()] == [1] * 5
    assert list(failures(source)) == ["t/3"]


def test_rows_are_grouped_by_the_column_of_the_user(shop: Path) -> None:
    content = (
        "image,caption\n"
        "images/apple.jpg,A red fruit\nimages/apple.jpg,An apple\nimages/pear.jpg,A pear\n"
    )
    source = opened(shop / "t.csv", content, group_by="image")
    records = [record for record in source if isinstance(record, Record)]
    assert [(record.key, record.text) for record in records] == [
        ("t/images/apple.jpg", "A red fruit. An apple"),
        ("t/images/pear.jpg", "A pear"),
    ]
    assert not any(record.more_images for record in records)
    with pytest.raises(InputError, match=r"`group_by`: t.csv has no column 'product'"):
        opened(shop / "t.csv", content, group_by="product")


@pytest.mark.parametrize("name", ["{}.jpg", "{}_1.jpg", "{}-2.png", "{}/front.jpg", "{} (1).webp"])
def test_images_are_named_by_the_id(tmp_path: Path, name: str) -> None:
    ids = range(15_970, 15_976)
    for each in ids:
        picture(tmp_path / "images" / name.format(each))
    rows = "".join(f"{each},Men,Shirt number {each} in blue\n" for each in ids)
    source = opened(
        tmp_path / "styles.csv", f"id,gender,productDisplayName\n{rows}15999,Men,Other\n"
    )
    found = images(source)
    assert all(len(found[str(each)]) == 1 for each in ids)
    assert found["15999"] == []
    assert "styles.csv: pictures are those in images/ that 'id' names" in source.notes


def test_all_views_of_an_id_are_its_images(tmp_path: Path) -> None:
    for name in ("a", "a_2", "a_10", "b-1", "b-2", "c/2", "c/1"):
        picture(tmp_path / "images" / f"{name}.jpg")
    source = opened(tmp_path / "t.csv", "sku,name\na,One\nb,Two\nc,Three\n")
    assert images(source) == {"a": ["a", "a_2", "a_10"], "b": ["b-1", "b-2"], "c": ["1", "2"]}


def test_ids_that_end_in_numbers_keep_to_their_own_images(tmp_path: Path) -> None:
    for name in ("shoe", "shoe-2", "shoe-3"):
        picture(tmp_path / f"{name}.jpg")
    source = opened(tmp_path / "t.csv", "id,name\nshoe,One\nshoe-2,Two\nshoe-3,Three\n")
    assert images(source) == {"shoe": ["shoe"], "shoe-2": ["shoe-2"], "shoe-3": ["shoe-3"]}


def test_an_image_column_may_lack_suffixes(tmp_path: Path) -> None:
    for name in ("0108", "0109"):
        picture(tmp_path / "images" / f"{name}.jpg")
    source = opened(tmp_path / "t.csv", "image_id,description\n0108,Red\n0109,Blue\n0110,Green\n")
    assert images(source) == {"0108": ["0108"], "0109": ["0109"], "0110": []}


@pytest.mark.parametrize(
    ("table", "pictures", "cell"),
    [
        ("results.csv", "Images", "{}.jpg"),
        ("results.csv", "flickr/flickr_images", "{}.jpg"),
        ("tables/t.csv", ".", "photos/{}.jpg"),
        ("tables/t.csv", "photos", "{}.jpg"),
        ("deep/er/t.csv", "data", "data/{}.jpg"),
        ("t.csv", "photos", "Photos/{}.JPG"),
        ("t.csv", "photos", "photos\\{}.jpg"),
    ],
)
def test_the_folder_of_the_images_is_found(
    tmp_path: Path, table: str, pictures: str, cell: str
) -> None:
    names = ["one", "two", "three"]
    folder = tmp_path / pictures if pictures != "." else tmp_path / "photos"
    for name in names:
        picture(folder / f"{name}.jpg")
    rows = "".join(f"{cell.format(name)},A caption of {name}\n" for name in names)
    source = opened(tmp_path / table, f"image,caption\n{rows}")
    assert list(images(source).values()) == [[name] for name in names]
    above = source.images.roots.chosen != source.root.parent
    assert any("pictures are found in" in note for note in source.notes) == above


def test_images_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "work" / "photos" / "one.jpg")
    monkeypatch.chdir(tmp_path / "work")
    source = opened(tmp_path / "a" / "b" / "c" / "d" / "t.csv", "image,name\nphotos/one.jpg,One\n")
    assert images(source) == {"1": ["one"]}


def test_the_user_names_the_folder_of_the_images(tmp_path: Path) -> None:
    picture(tmp_path / "far" / "away" / "one.jpg")
    picture(tmp_path / "shop" / "one.jpg")
    source = opened(
        tmp_path / "shop" / "t.csv", "image,name\none.jpg,One\n", image_root=str(tmp_path / "far")
    )
    assert source.images.roots.chosen == tmp_path / "far" / "away"
    (record,) = source
    assert isinstance(record, Record)
    assert record.image == tmp_path / "far" / "away" / "one.jpg"


def test_files_that_are_no_images_are_refused_in_other_roots(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "one.jpg")
    (tmp_path / "photos" / "secret.txt").write_text("password")
    source = opened(tmp_path / "shop" / "t.csv", "image,name\none.jpg,One\nsecret.txt,Two\n")
    assert images(source) == {"1": ["one"], "2": []}
    assert "is not a picture" in failures(source)["t/2"]


def test_ids_are_no_paths_to_other_folders(tmp_path: Path) -> None:
    picture(tmp_path / "secret.jpg")
    for name in ("a", "b", "c"):
        picture(tmp_path / "shop" / "images" / f"{name}.jpg")
    source = opened(
        tmp_path / "shop" / "t.csv", "id,name\na,One\nb,Two\nc,Three\n../secret,Four\n..,Five\n"
    )
    assert images(source)["../secret"] == []
    assert images(source)[".."] == []


def test_parquet_holds_images_as_bytes(tmp_path: Path) -> None:
    contents = [
        picture(tmp_path / "made" / f"{name}.png").read_bytes() for name in ("one", "three")
    ]
    table = {
        "image": [
            {"bytes": contents[0], "path": "one.png"},
            {"bytes": contents[1], "path": None},
            {"bytes": contents[0], "path": "again.png"},
            {"bytes": b"no image", "path": None},
            None,
        ],
        "text": ["One", "Two", "Again", "Broken", "None"],
    }
    path = tmp_path / "data" / "train.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table(table), path)
    source = TableSource(
        path, name="t", options=SourceOptions(), pictures=PictureFiles(tmp_path / "kept")
    )
    assert source.columns.images == ("image",)
    records = [item for item in source if isinstance(item, Record)]
    assert [record.text for record in records] == ["One", "Two", "Again", "Broken", "None"]
    assert records[0].image is not None
    assert records[0].image == records[2].image
    assert records[0].image.read_bytes() == contents[0]
    assert records[0].image.suffix == ".png"
    assert records[3].image is None
    assert failures(source) == {"t/4": "its 8 bytes are no image (row 4 of train.parquet)"}
    assert len([path for path in (tmp_path / "kept").rglob("*") if path.is_file()]) == 2


def test_a_dry_run_leaves_the_kept_images_alone(tmp_path: Path) -> None:
    kept = PictureFiles(tmp_path / "kept").add(b"old", "png")
    files = PictureFiles(tmp_path / "kept", read_only=True)
    assert files.add(b"old", "png") == kept
    new = files.add(b"new", "png")
    assert new.read_bytes() == b"new"
    assert not new.is_relative_to(tmp_path)
    assert [path for path in (tmp_path / "kept").rglob("*") if path.is_file()] == [kept]


def test_a_cell_of_a_whole_catalog_is_bounded(shop: Path) -> None:
    cell = ",".join(f"images/{i}.jpg" for i in range(5_000))
    source = opened(shop / "t.csv", f'id,image\n1,"{cell}"\n2,images/apple.jpg\n')
    assert images(source) == {"2": ["apple"]}
    reasons = failures(source)
    assert len(reasons) == 1_001
    assert "more than 1,000 images" in reasons["t/1#image=1001"]


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("https://a.org/1.jpg, https://a.org/2", ["https://a.org/1.jpg", "https://a.org/2"]),
        ("https://a.org/i?w=1,h=2", ["https://a.org/i?w=1,h=2"]),
        (["a.jpg", None, {"url": "b.jpg"}], ["a.jpg", "b.jpg"]),
        ("", []),
        (None, []),
        (15970, ["15970"]),
        ("[not, a list]", ["[not, a list]"]),
        ("[" * 5_000 + "]" * 5_000, ["[" * 5_000 + "]" * 5_000]),
    ],
)
def test_image_cells(cell: object, named: list[str]) -> None:
    assert image_cells(cell) == named
