"""Layouts of data sets and archives: ImageFolder, WebDataset, a zip of a table and its images."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.errors import InputError, SourceUnavailable
from mmsearch.records import Failure, Record
from mmsearch.sources import FolderSource, Source, SourceOptions, TableSource, open_source
from mmsearch.sources.picture_files import PictureFiles
from mmsearch.sources.shards import ShardSource


def png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(stream, "PNG")
    return stream.getvalue()


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(path: Path) -> Source:
    return open_source(path, name="s", options=SourceOptions())


def records(source: Source) -> dict[str, Record]:
    return {item.key: item for item in source if isinstance(item, Record)}


def failures(source: Source) -> dict[str, str]:
    return {item.key: item.reason for item in source if isinstance(item, Failure)}


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    root = tmp_path / "hf"
    for name in ("train/apple.png", "train/more/pear.png", "test/milk.png", "test/plain.png"):
        write(root / name, png("red"))
    rows: list[dict[str, object]] = [
        {"file_name": "apple.png", "text": "a crisp fruit", "price": 3},
        {"file_name": "more/pear.png", "text": "a soft fruit", "price": 4},
        {"file_name": "gone.png", "text": "nothing", "price": 5},
    ]
    write(root / "train" / "metadata.jsonl", "\n".join(map(json.dumps, rows)))
    write(root / "test" / "metadata.csv", "file_name,text\nmilk.png,white drink\n")
    write(root / "test" / "milk.txt", "in a bottle")
    return root


def test_metadata_beside_images_describes_them(image_folder: Path) -> None:
    source = opened(image_folder)
    assert isinstance(source, FolderSource)
    found = records(source)
    assert {key: record.text for key, record in found.items()} == {
        "s/test/milk.png": "white drink. in a bottle",
        "s/test/plain.png": None,
        "s/train/apple.png": "a crisp fruit",
        "s/train/more/pear.png": "a soft fruit",
    }
    assert found["s/train/apple.png"].metadata["price"] == 3
    assert found["s/train/apple.png"].metadata["filename"] == "apple.png"
    (failure,) = failures(source).items()
    assert failure[0] == "s/train/metadata.jsonl/3"
    assert "'gone.png' does not exist (line 3 of metadata.jsonl)" in failure[1]
    assert source.skipped == {}
    assert any("train/metadata.jsonl: image: 'file_name'" in note for note in source.notes)
    assert records(source) == found


def test_other_tables_called_metadata_are_skipped(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.png", png("red"))
    write(tmp_path / "a" / "metadata.csv", "name,price\nx,3\n")
    source = opened(tmp_path)
    assert [record.text for record in records(source).values()] == [None]
    assert isinstance(source, FolderSource)
    assert source.skipped == {".csv": 1}


def test_metadata_does_not_name_images_of_other_folders(tmp_path: Path) -> None:
    write(tmp_path / "hf" / "train" / "a.png", png("red"))
    write(tmp_path / "private" / "b.png", png("blue"))
    write(
        tmp_path / "hf" / "train" / "metadata.csv",
        "file_name,text\na.png,An A\n../../private/b.png,A secret\n",
    )
    assert list(records(opened(tmp_path / "hf"))) == ["s/train/a.png"]


def shard(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


SAMPLE = {
    "a/001.jpg": png("red"),
    "a/001.txt": b"a red square",
    "a/001.json": json.dumps({"caption": "a red square", "width": 4, "license": "MIT"}).encode(),
    "a/002.back.png": png("green"),
    "a/002.front.png": png("blue"),
    "a/002.cls": b"7",
    "a/003.txt": b"words alone",
    "a/004.jpg": b"",
}


def test_equal_names_in_a_tar_are_one_item(tmp_path: Path) -> None:
    path = shard(tmp_path / "data" / "train-0000.tar", SAMPLE)
    pictures = PictureFiles(tmp_path / "kept")
    source = open_source(path, name="s", options=SourceOptions(), pictures=pictures)
    assert isinstance(source, ShardSource)
    found = records(source)
    assert list(found) == ["s/a/001", "s/a/002", "s/a/003"]
    first, second = found["s/a/001"], found["s/a/002"]
    assert first.text == "a red square"
    assert first.metadata["license"] == "MIT"
    assert first.metadata["meta_width"] == 4
    assert first.image is not None
    assert first.image.read_bytes() == SAMPLE["a/001.jpg"]
    assert first.image.suffix == ".png"
    assert [image.path.read_bytes() for image in second.more_images] == [SAMPLE["a/002.front.png"]]
    assert second.metadata["cls"] == "7"
    assert found["s/a/003"].image is None
    assert len([file for file in (tmp_path / "kept").rglob("*") if file.is_file()]) == 3


def test_a_folder_of_tars_is_one_source(tmp_path: Path) -> None:
    for number in range(2):
        shard(tmp_path / f"0000{number}.tar", {"1.png": png("red"), "1.txt": b"red"})
        write(tmp_path / f"0000{number}_stats.json", "{}")
    source = opened(tmp_path)
    assert isinstance(source, ShardSource)
    assert list(records(source)) == ["s/00000/1", "s/00001/1"]
    write(tmp_path / "notes.md", "about it")
    assert isinstance(opened(tmp_path), FolderSource)


def test_members_that_leave_the_archive_lead_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    secret = write(tmp_path / "secret.png", png("red"))
    with tarfile.open(path, "w") as archive:
        for kind, name in ((tarfile.SYMTYPE, "link.png"), (tarfile.LNKTYPE, "hard.png")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
        info = tarfile.TarInfo("../../escaped.png")
        info.size = len(png("blue"))
        archive.addfile(info, io.BytesIO(png("blue")))
    pictures = PictureFiles(tmp_path / "kept")
    source = open_source(path, name="s", options=SourceOptions(), pictures=pictures)
    (record,) = records(source).values()
    assert record.image is not None
    assert record.image.is_relative_to(tmp_path / "kept")
    assert not (tmp_path.parent / "escaped.png").exists()


def test_a_truncated_tar_gives_what_it_has(tmp_path: Path) -> None:
    members = {f"{i:03}.txt": f"text {i}".encode() for i in range(50)}
    path = shard(tmp_path / "t.tar", members)
    whole = path.read_bytes()
    for size in (20_480, 20_700, 21_000):
        path.write_bytes(whole[:size])
        source = opened(path)
        # The last item may lack files.
        assert len(records(source)) in (19, 20)
        assert list(failures(source)) == ["s"]
    path.write_bytes(b"not a tar at all" * 100)
    with pytest.raises(InputError, match="no tar archive"):
        opened(path)


def test_members_of_a_tar_have_bounds(tmp_path: Path) -> None:
    path = shard(tmp_path / "t.tar", {"1.txt": b"x" * 5_000, "1.png": png("red"), "2.txt": b"two"})
    source = open_source(path, name="s", options=SourceOptions(max_text_bytes=1_000))
    assert {key: record.text for key, record in records(source).items()} == {
        "s/1": None, "s/2": "two",
    }  # fmt: skip
    assert "max_text_bytes" in failures(source)["s/1"]


def test_a_vanished_tar_is_unavailable(tmp_path: Path) -> None:
    path = shard(tmp_path / "t.tar", {"1.txt": b"one"})
    source = opened(path)
    path.unlink()
    with pytest.raises(SourceUnavailable):
        list(source)


def zipped(path: Path, members: Mapping[str, object]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            assert isinstance(content, bytes | str)
            archive.writestr(name, content)
    return path


TABLE = "id,title,image\n1,Red,images/a.png\n2,Blue,Images/B.PNG\n3,Gone,images/c.png\n"


@pytest.mark.parametrize("top", ["", "shop/"])
def test_a_zip_of_a_table_and_its_images(tmp_path: Path, top: str) -> None:
    members = {
        f"{top}products.csv": TABLE,
        f"{top}images/a.png": png("red"),
        f"{top}images/b.png": png("blue"),
        "__MACOSX/._products.csv": b"junk",
        "readme.txt": b"unused",
    }
    path = zipped(tmp_path / "shop.zip", members)
    pictures = PictureFiles(tmp_path / "kept")
    source = open_source(path, name="s", options=SourceOptions(), pictures=pictures)
    assert isinstance(source, TableSource)
    assert source.root == path
    assert not (tmp_path / "kept").exists()
    found = records(source)
    assert [record.text for record in found.values()] == ["Red", "Blue", "Gone"]
    assert found["s/2"].image is not None
    assert found["s/2"].image.read_bytes() == png("blue")
    assert found["s/2"].image.is_relative_to(tmp_path / "kept")
    assert failures(source) == {
        "s/3": "image 'images/c.png' does not exist (row 3 of products.csv)"
    }


def test_a_zip_with_images_named_by_id_or_in_another_folder(tmp_path: Path) -> None:
    members = {"styles.csv": "id,name\n7,Shirt\n8,Shoe\n", "images/7.png": png("red"),
               "images/8/back.png": png("blue")}  # fmt: skip
    found = records(opened(zipped(tmp_path / "a.zip", members)))
    assert all(found[key].image is not None for key in ("s/7", "s/8"))
    members = {"data/t.csv": "image,name\na.png,Red\n", "photos/a.png": png("red")}
    assert records(opened(zipped(tmp_path / "b.zip", members)))["s/1"].image is not None


def test_cells_do_not_lead_out_of_a_zip(tmp_path: Path) -> None:
    write(tmp_path / "outside.png", png("red"))
    cells = f"id,name,image\n1,Up,../outside.png\n2,Abs,{tmp_path}/outside.png\n3,In,a.png\n"
    path = zipped(tmp_path / "a.zip", {"t.csv": cells, "a.png": png("blue")})
    found = records(opened(path))
    assert [record.image is None for record in found.values()] == [True, True, False]


def test_zip_bombs_and_other_archives_are_refused(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", {"t.csv": TABLE, "zeros.bin": bytes(70_000_000)})
    with pytest.raises(InputError, match="would unpack to 70,000,"):
        opened(bomb)
    with pytest.raises(InputError, match="holds none"):
        opened(zipped(tmp_path / "none.zip", {"a.png": png("red")}))
    with pytest.raises(InputError, match=r"holds a.csv, b.csv"):
        opened(zipped(tmp_path / "two.zip", {"a.csv": TABLE, "b.csv": TABLE}))
    with pytest.raises(InputError, match="is not a zip archive"):
        opened(write(tmp_path / "not.zip", b"PK but no"))


def test_the_only_table_with_texts_describes_a_folder(tmp_path: Path) -> None:
    for name in ("15970", "15971"):
        write(tmp_path / "images" / f"{name}.png", png("red"))
    write(
        tmp_path / "images.csv",
        "filename,link\n15970.png,http://a.org/1\n15971.png,http://a.org/2\n",
    )
    write(tmp_path / "styles.csv", "id,productDisplayName\n15970,Blue shirt\n15971,Red shoe\n")
    source = opened(tmp_path)
    assert isinstance(source, TableSource)
    assert {key: record.text for key, record in records(source).items()} == {
        "s/15970": "Blue shirt",
        "s/15971": "Red shoe",
    }
    assert "images.csv beside it is left out" in source.notes[0]
