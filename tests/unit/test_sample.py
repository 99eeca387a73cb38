"""The sample catalog: what ships, and how it is written into a folder."""

import csv
import json
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
import typer
from PIL import Image, ImageStat
from typer.testing import CliRunner

from mmsearch.cli.sample import sample
from mmsearch.errors import InputError
from mmsearch.sample import SampleReport, write_sample

COLUMNS = ["id", "title", "description", "category", "tags", "price", "color", "material", "image"]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> SampleReport:
    return write_sample(tmp_path_factory.mktemp("sample") / "demo")


@pytest.fixture(scope="module")
def products(catalog: SampleReport) -> list[dict[str, str]]:
    with catalog.table.open(encoding="utf-8", newline="") as table:
        rows = csv.DictReader(table)
        assert rows.fieldnames == COLUMNS
        return list(rows)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_report_counts_what_lies_in_the_folder(catalog: SampleReport) -> None:
    written = contents(catalog.folder)
    assert catalog.images == sum(name.endswith(".webp") for name in written) >= 300
    assert catalog.written == len(written) == catalog.images + 2
    assert catalog.bytes == sum(map(len, written.values())) < 6_000_000


def test_every_picture_is_small_decodes_and_shows_something(
    catalog: SampleReport, products: list[dict[str, str]]
) -> None:
    assert products
    for row in products:
        with Image.open(catalog.folder / row["image"]) as picture:
            picture.load()
            assert picture.format == "WEBP"
            assert picture.mode == "RGB"
            assert 240 <= max(picture.size) <= 320
            assert min(picture.size) >= 40
            assert max(ImageStat.Stat(picture).stddev) > 10


def test_rows_and_pictures_match_one_to_one(
    catalog: SampleReport, products: list[dict[str, str]]
) -> None:
    images = [row["image"] for row in products]
    assert len(set(images)) == len(images)
    assert {name for name in contents(catalog.folder) if name.startswith("images/")} == set(images)
    assert all(row["image"] == f"images/{row['id']}.webp" for row in products)


def test_no_two_pictures_are_the_same(catalog: SampleReport) -> None:
    pictures = [data for name, data in contents(catalog.folder).items() if name.endswith(".webp")]
    assert len(set(pictures)) == catalog.images


def test_texts_are_complete_and_each_its_own(products: list[dict[str, str]]) -> None:
    for column in ("id", "title", "description"):
        values = [row[column] for row in products]
        assert [value for value, count in Counter(values).items() if count > 1] == []
    for row in products:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["id"])
        assert 1 <= len(row["title"].split()) <= 5
        assert row["title"][0].isupper()
        assert re.fullmatch(r"[A-Z0-9].{24,118}\.", row["description"])
        assert 3 <= len(row["tags"].split(";")) <= 6
        assert all(tag == tag.strip() != "" for tag in row["tags"].split(";"))


def test_categories_are_many_and_none_is_tiny(products: list[dict[str, str]]) -> None:
    sizes = Counter(row["category"] for row in products)
    assert len(sizes) >= 14
    assert min(sizes.values()) >= 5
    assert all(category.isalpha() and category.islower() for category in sizes)


def test_prices_are_plain_decimals_and_food_is_cheap(products: list[dict[str, str]]) -> None:
    assert all(re.fullmatch(r"\d+\.\d\d", row["price"]) for row in products)
    assert all(float(row["price"]) > 0 for row in products)
    food = [float(row["price"]) for row in products if row["category"] == "food"]
    cheap = [price for price in food if price < 5]
    assert len(food) > len(cheap) >= 10


@pytest.mark.parametrize(
    "words",
    """red apple·running shoe·guitar·sailing boat·cat·dog·coffee cup·hammer·umbrella·bicycle·car
    house·tree·flower·computer·camera·clock·chair·lamp""".replace("\n", "·").split("·"),
)
def test_what_people_try_first_is_there(words: str, products: list[dict[str, str]]) -> None:
    wanted = words.split()
    texts = [f"{row['title']} {row['tags']}".lower() for row in products]
    assert any(all(re.search(rf"\b{word}s?\b", text) for word in wanted) for text in texts)


def test_licence_names_every_picture_with_origin_and_author(
    catalog: SampleReport, products: list[dict[str, str]]
) -> None:
    text = (catalog.folder / "LICENSE.txt").read_text(encoding="utf-8")
    assert "public domain" in text
    entries = re.findall(r"^(images/\S+)\n {4}(svg/\S.*\.svg)\n {4}(\S.*)$", text, re.MULTILINE)
    assert sorted(image for image, _, _ in entries) == sorted(row["image"] for row in products)
    assert len({origin for _, origin, _ in entries}) == len(entries)
    assert "@" not in text


def test_second_write_changes_nothing(tmp_path: Path) -> None:
    write_sample(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert write_sample(tmp_path).written == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_cut_off_write_is_completed(tmp_path: Path, catalog: SampleReport) -> None:
    write_sample(tmp_path)
    (tmp_path / "products.csv").unlink()
    (tmp_path / "images" / "red-apple.webp").unlink()
    assert write_sample(tmp_path).written == 2
    assert contents(tmp_path) == contents(catalog.folder)


def test_a_store_in_the_folder_is_no_obstacle(tmp_path: Path) -> None:
    write_sample(tmp_path)
    (tmp_path / ".mmsearch").mkdir()
    (tmp_path / ".mmsearch" / "manifest.json").write_text("{}")
    assert write_sample(tmp_path).written == 0


def test_a_folder_with_other_files_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holiday\.txt.*overwrite=True"):
        write_sample(tmp_path)
    assert contents(tmp_path) == {"holiday.txt": b"mine"}


def test_a_changed_file_is_refused_and_restored_by_overwrite(
    tmp_path: Path, catalog: SampleReport
) -> None:
    write_sample(tmp_path)
    (tmp_path / "products.csv").write_text("id,title\n")
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.md, products\.csv"):
        write_sample(tmp_path)
    assert write_sample(tmp_path, overwrite=True).written == 1
    assert contents(tmp_path) == {**contents(catalog.folder), "notes.md": b"mine"}


def test_a_file_in_the_way_is_an_input_error(tmp_path: Path) -> None:
    taken = tmp_path / "demo"
    taken.write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        write_sample(taken)
    with pytest.raises(InputError, match="cannot write"):
        write_sample(taken / "below")
    assert taken.read_text() == "mine"


def test_nothing_unused_ships() -> None:
    data = Path(str(files("mmsearch.sample") / "data"))
    assert {path.name for path in data.iterdir()} == {"images", "products.csv", "LICENSE.txt"}
    assert {path.suffix for path in (data / "images").iterdir()} == {".webp"}


def run_sample(*arguments: str) -> tuple[str, str]:
    app = typer.Typer()
    app.command()(sample)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_the_command_says_what_it_wrote_and_what_to_type_next(tmp_path: Path) -> None:
    folder = tmp_path / "my demo"
    stdout, stderr = run_sample(str(folder))
    assert "372 images" in stdout
    assert f"written to {folder}" in stdout
    assert f"mmsearch index '{folder / 'products.csv'}'" in stderr
    stdout, stderr = run_sample(str(folder), "--quiet")
    assert f"already in {folder}" in stdout
    assert stderr == ""


def test_the_old_name_of_the_count_works(catalog: SampleReport) -> None:
    with pytest.warns(DeprecationWarning, match=r"SampleReport\.pictures is now .*images"):
        assert catalog.pictures == catalog.images


def test_the_command_prints_json(tmp_path: Path, catalog: SampleReport) -> None:
    stdout, stderr = run_sample(str(tmp_path / "demo"), "--json")
    document = json.loads(stdout)
    assert document["sample"]["images"] == catalog.images
    assert document["sample"]["pictures"] == catalog.images
    assert document["sample"]["table"] == str(tmp_path / "demo" / "products.csv")
    assert document["next"].startswith("mmsearch index ")
    assert stderr == ""
