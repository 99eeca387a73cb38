"""Which column is what: by name, by content, by order of the user."""

from pathlib import Path

import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.sources import SourceOptions, TableColumns, TableSource, open_source
from mmsearch.sources.roles import words_of

STORY = "A long and pleasant sentence about the thing number"


def columns(folder: Path, content: str, **options: str | tuple[str, ...]) -> TableColumns:
    (folder / "images").mkdir(exist_ok=True)
    for name in "abc":
        Image.new("RGB", (4, 4)).save(folder / "images" / f"{name}.png")
    path = folder / "t.csv"
    path.write_text(content)
    return TableSource(path, name="t", options=SourceOptions(**options)).columns  # type: ignore[arg-type]


def test_a_shop_catalog(tmp_path: Path) -> None:
    found = columns(
        tmp_path,
        "id,title,description,category,tags,price,image\n"
        "1,Apple,Red and crisp,food,red; round,1.5,images/a.png\n"
        "2,Pear,Green and soft,food,green; sweet,2,images/b.png\n",
    )
    assert (found.image, found.texts, found.id) == ("image", ("title", "description"), "id")
    assert found.describe() == (
        "image: 'image' · text: 'title', 'description' · id: 'id' · filters: category, tags, price"
    )


def test_names_in_any_spelling_and_order(tmp_path: Path) -> None:
    found = columns(
        tmp_path,
        "productDescription,Product Display Name,brand name,Image Path (str),ProductID\n"
        "Very nice indeed,Apple,ACME,/images/a.png,1\n"
        "Not so nice,Pear,ACME,/images/b.png,2\n",
    )
    assert found.image == "Image Path (str)"
    assert found.texts == ("Product Display Name", "productDescription")
    assert found.id == "ProductID"
    assert found.metadata["brand name"] == "brand_name"


def test_contents_find_columns_with_unhelpful_names(tmp_path: Path) -> None:
    rows = "".join(f"images/{n}.png,{STORY} {n},kind {i % 2}\n" for i, n in enumerate("abc"))
    found = columns(tmp_path, f"x,y,z\n{rows}")
    assert (found.image, found.texts, found.id) == ("x", ("y",), None)


def test_contents_veto_names(tmp_path: Path) -> None:
    found = columns(
        tmp_path,
        "image,text,id,title\nsunny,http://a.org/1,5,Apple\nrainy,http://a.org/2,5,Pear\n",
    )
    assert found.image is None
    assert found.texts == ("title",)
    assert found.id is None


def test_the_column_that_leads_to_pictures_wins(tmp_path: Path) -> None:
    found = columns(tmp_path, "image,file\nold/a.png,images/a.png\nold/b.png,images/b.png\n")
    assert found.image == "file"


def test_paths_to_texts_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("hello")
    found = columns(tmp_path, "path,title\none.txt,A\none.txt,B\n")
    assert (found.image, found.texts) == (None, ("title",))


def test_pictures_that_are_all_missing_or_urls_are_still_recognised(tmp_path: Path) -> None:
    assert columns(tmp_path, "image,title\nx/a.png,A\nx/b.png,B\n").image == "image"
    assert columns(tmp_path, "img_url,title\nhttps://x.org/1,A\nhttps://x.org/2,B\n").image
    assert columns(tmp_path, "link,title\nhttps://x.org/1,A\nhttps://x.org/2,B\n").image is None


def test_categories_are_for_filtering_and_stories_for_reading(tmp_path: Path) -> None:
    rows = "".join(
        f"{i},Men's shoes for the winter season {i % 3},{STORY} {i}\n" for i in range(40)
    )
    found = columns(tmp_path, f"id,department,blurb\n{rows}")
    assert found.texts == ("blurb",)
    assert found.metadata == {"id": "id", "department": "department", "blurb": "blurb"}


def test_long_texts_are_not_metadata(tmp_path: Path) -> None:
    found = columns(tmp_path, f"id,title,text\n1,A,{'long ' * 300}\n2,B,{'words ' * 300}\n")
    assert found.texts == ("title", "text")
    assert found.metadata == {"id": "id", "title": "title"}


def test_the_user_decides(tmp_path: Path) -> None:
    found = columns(
        tmp_path,
        "id,title,subtitle,photo,sku\n1,A,x,images/a.png,s1\n2,B,y,images/b.png,s2\n",
        image_column="photo",
        text_columns=("subtitle", "title"),
        id_column="sku",
    )
    assert (found.image, found.texts, found.id) == ("photo", ("subtitle", "title"), "sku")


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"image_column": "pic"}, "`image_column`"),
        ({"text_columns": ("title", "pic")}, "`text_columns`"),
        ({"id_column": "pic"}, "`id_column`"),
    ],
)
def test_columns_that_are_not_there_are_named_with_those_that_are(
    tmp_path: Path, options: dict[str, str], flag: str
) -> None:
    with pytest.raises(InputError, match=rf"{flag}: t.csv has no column 'pic'; .* 'id', 'title'"):
        columns(tmp_path, "id,title\n1,A\n", **options)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Iconic Image Path (str)", ["iconic", "image", "path"]),
        ("iconicImagePath", ["iconic", "image", "path"]),
        ("SKU", ["sku"]),
        ("HTMLBody", ["html", "body"]),
        ("image_2", ["image", "2"]),
        ("int", ["int"]),
    ],
)
def test_words_of(name: str, words: list[str]) -> None:
    assert words_of(name) == words


def catalog(folder: Path, *, rows: int, pictures: int) -> Path:
    (folder / "images").mkdir(parents=True)
    for i in range(pictures):
        Image.new("RGB", (2, 2)).save(folder / "images" / f"{i}.png")
    lines = "".join(f"{i},title {i},images/{i}.png\n" for i in range(rows))
    (folder / "products.csv").write_text(f"id,title,image\n{lines}")
    return folder


def test_a_folder_whose_table_names_its_pictures_is_that_table(tmp_path: Path) -> None:
    source = open_source(
        catalog(tmp_path / "c", rows=3, pictures=4), name="c", options=SourceOptions()
    )
    assert isinstance(source, TableSource)
    assert "is read as the table products.csv" in source.notes[0]
    assert [item.key for item in source] == ["c/0", "c/1", "c/2"]


def test_a_folder_with_far_more_pictures_than_rows_stays_a_folder(tmp_path: Path) -> None:
    source = open_source(
        catalog(tmp_path / "c", rows=2, pictures=9), name="c", options=SourceOptions()
    )
    assert not isinstance(source, TableSource)
    assert len(list(source)) == 9
    assert "products.csv in it is left out" in source.notes[0]


def test_two_tables_or_the_users_word_make_it_a_folder(tmp_path: Path) -> None:
    folder = catalog(tmp_path / "c", rows=3, pictures=3)
    as_folder = open_source(folder, name="c", options=SourceOptions(kind="folder"))
    assert len(list(as_folder)) == 3
    (folder / "more.csv").write_text("id,title\n1,x\n")
    assert isinstance(open_source(folder, name="c", options=SourceOptions()), TableSource)
    (folder / "more.csv").write_text((folder / "products.csv").read_text())
    assert not isinstance(open_source(folder, name="c", options=SourceOptions()), TableSource)
    with pytest.raises(InputError, match=r"more.csv, products.csv; name the file"):
        open_source(folder, name="c", options=SourceOptions(kind="table"))


def test_column_options_on_a_folder_of_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not read as a table"):
        open_source(tmp_path, name="c", options=SourceOptions(id_column="id"))
