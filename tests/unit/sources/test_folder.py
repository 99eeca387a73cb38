"""Folders: what is an item, what belongs to another, what is skipped and what fails."""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.records import Failure, Record, real_path
from mmsearch.sources import FolderSource, SourceOptions, open_source


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), "red").save(path, "PNG")
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def read(root: Path, **options: Any) -> tuple[dict[str, Record], dict[str, Failure]]:
    """Records and failures by key without the source's name."""
    items = list(FolderSource(root, name="f", options=SourceOptions(**options)))
    records = {item.key[2:]: item for item in items if isinstance(item, Record)}
    failures = {item.key[2:]: item for item in items if isinstance(item, Failure)}
    assert len(records) + len(failures) == len(items)
    return records, failures


def test_pictures_are_known_by_content_whatever_they_are_called(tmp_path: Path) -> None:
    picture(tmp_path / "a.PNG")
    picture(tmp_path / "really_a_png.jpg")
    picture(tmp_path / "no_extension")
    records, failures = read(tmp_path)
    assert list(records) == ["a.PNG", "no_extension", "really_a_png.jpg"]
    assert not failures


def test_false_pictures_fail_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    text(tmp_path / "page.png", "<html>\n404 not found</html>")
    (tmp_path / "noise.webp").write_bytes(bytes(range(128, 200)))
    records, failures = read(tmp_path)
    assert not records
    assert "empty (0 bytes)" in failures["empty.jpg"].reason
    assert "holds text: '<html> 404 not found</html>" in failures["page.png"].reason
    assert "80 81 82" in failures["noise.webp"].reason
    assert {failure.stage for failure in failures.values()} == {"read"}


def test_order_is_that_of_the_bytes_of_whole_paths(tmp_path: Path) -> None:
    names = ["a.png", "a/b.png", "a-b.png", "ab.png", "Z.png", "é.png", "a/B/c.png"]
    for name in names:
        picture(tmp_path / name)
    records, _ = read(tmp_path)
    assert list(records) == sorted(names, key=os.fsencode)


def test_captions_lie_beside_their_pictures(tmp_path: Path) -> None:
    for name in ("one.jpg", "two.jpg", "three.jpg", "four.jpg"):
        picture(tmp_path / name)
    text(tmp_path / "one.txt", "first")
    text(tmp_path / "two.jpg.TXT", "second")
    text(tmp_path / "three.json", json.dumps("third"))
    text(
        tmp_path / "four.jpg.json",
        json.dumps(
            {"caption": "Soft wool", "title": "Scarf", "price": 12.5, "Text": None, "key": "k",
             "tags": ["warm", "red"], "size": {"w": 1}, "filename": "x", "stock": True}
        ),
    )  # fmt: skip
    records, failures = read(tmp_path)
    assert not failures
    assert {key: record.text for key, record in records.items()} == {
        "one.jpg": "first",
        "two.jpg": "second",
        "three.jpg": "third",
        "four.jpg": "Scarf. Soft wool",
    }
    metadata = records["four.jpg"].metadata
    assert metadata["price"] == 12.5
    assert metadata["tags"] == "warm; red"
    assert metadata["stock"] is True
    assert metadata["title"] == "Scarf"
    assert metadata["meta_key"] == "k"
    assert metadata["filename"] == "four.jpg"
    assert metadata["filename_2"] == "x"
    assert "size" not in metadata


def test_a_caption_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    text(tmp_path / "a.json", "{broken")
    picture(tmp_path / "b.jpg")
    text(tmp_path / "b.json", "[1]")
    picture(tmp_path / "c.jpg")
    text(tmp_path / "c.txt", "")
    records, failures = read(tmp_path)
    assert [record.text for record in records.values()] == [None, None, None]
    assert list(failures) == ["a.json", "b.json"]
    assert "not valid JSON at line 1" in failures["a.json"].reason
    assert "got a list" in failures["b.json"].reason


def test_texts_without_a_picture_are_documents(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    text(tmp_path / "a.md", "# Beside, but no caption")
    text(tmp_path / "essay.txt", " An essay \n")
    text(tmp_path / "blank.txt", " \n")
    text(tmp_path / "long.txt", "x" * 101)
    (tmp_path / "binary.txt").write_bytes(b"\0\1\2\3")
    records, failures = read(tmp_path, max_text_bytes=100)
    assert records["essay.txt"].text == "An essay"
    assert records["essay.txt"].image is None
    assert records["a.md"].text == "# Beside, but no caption"
    assert list(failures) == ["binary.txt", "blank.txt", "long.txt"]
    assert "max_text_bytes" in failures["long.txt"].reason


def test_metadata_is_what_one_filters_by(tmp_path: Path) -> None:
    path = picture(tmp_path / "shoes" / "red" / "a.jpg")
    os.utime(path, (0, 1_700_000_000))
    records, _ = read(tmp_path)
    assert records["shoes/red/a.jpg"].metadata == {
        "folder": "shoes/red",
        "filename": "a.jpg",
        "modified": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "bytes": path.stat().st_size,
    }


def test_hidden_and_system_files_are_skipped_and_others_counted(tmp_path: Path) -> None:
    hidden = [".x.jpg", "._a.jpg", "@eaDir/a.jpg", ".git/a.jpg", ".mmsearch/a.jpg",
              "$RECYCLE.BIN/a.jpg", "System Volume Information/a.jpg", "lost+found/a.jpg",
              "__MACOSX/a.jpg", "Thumbs.db", "desktop.ini", ".DS_Store"]  # fmt: skip
    for name in [*hidden, "seen.jpg"]:
        picture(tmp_path / name)
    for name in ("a.pdf", "b.PDF", "c.mp4", "alone.json"):
        text(tmp_path / name, "%PDF")
    source = FolderSource(tmp_path, name="f", options=SourceOptions())
    assert not source.notes
    assert [item.key for item in source] == ["f/seen.jpg"]
    assert source.notes == ("4 files of other kinds skipped: .pdf 2, .json 1, .mp4 1",)
    assert source.skipped == {".pdf": 2, ".json": 1, ".mp4": 1}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ("*.JPG",)}, ["a.jpg", "x/b.jpg", "x/drafts/c.jpg"]),
        ({"exclude": ("Drafts/",)}, ["a.jpg", "d.png", "x/b.jpg"]),
        ({"include": ("x/**/*.jpg",)}, ["x/b.jpg", "x/drafts/c.jpg"]),
        ({"include": ("/*.*",), "exclude": ("*.png",)}, ["a.jpg"]),
    ],
)
def test_globs(tmp_path: Path, options: dict[str, tuple[str, ...]], expected: list[str]) -> None:
    for name in ("a.jpg", "x/b.jpg", "x/drafts/c.jpg", "d.png"):
        picture(tmp_path / name)
    text(tmp_path / "a.txt", "caption")
    records, _ = read(tmp_path, **options)
    assert list(records) == expected
    if "a.jpg" in records:
        assert records["a.jpg"].text == "caption"


def test_links_are_followed_once_and_never_round(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    picture(outside / "o.jpg")
    root = tmp_path / "root"
    picture(root / "a" / "p.jpg")
    (root / "a" / "up").symlink_to(root)
    (root / "file.jpg").symlink_to(outside / "o.jpg")
    (root / "linked").symlink_to(outside)
    (root / "linked_again").symlink_to(outside)
    (root / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "self.jpg").symlink_to(root / "self.jpg")
    records, failures = read(root)
    assert list(records) == ["a/p.jpg", "file.jpg", "linked/o.jpg"]
    assert list(failures) == ["gone.jpg", "self.jpg"]
    assert "broken link" in failures["gone.jpg"].reason
    assert failures["gone.jpg"].stage == "source"


def test_pipes_and_sockets_are_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        picture(tmp_path / "a.jpg")
        records, failures = read(tmp_path)
    assert list(records) == ["a.jpg"]
    assert not failures


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    picture(tmp_path / name)
    text(tmp_path / os.fsdecode(b"caf\xe9.txt"), "coffee")
    records, _ = read(tmp_path)
    (record,) = records.values()
    record.key.encode("utf-8")
    assert record.text == "coffee"
    assert real_path(record.uri) == tmp_path / name
    assert real_path(record.uri).exists()


def test_a_folder_that_cannot_be_listed_is_one_failure(tmp_path: Path) -> None:
    picture(tmp_path / "z.jpg")
    # Too long a path cannot be opened by anyone, root included, but can be made step by step.
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    records, failures = read(tmp_path)
    assert list(records) == ["z.jpg"]
    (failure,) = failures.values()
    assert failure.stage == "source"
    assert "too long" in failure.reason


def test_deep_trees_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    folders = [f"{tmp_path}{'/d' * depth}" for depth in range(1, 1_201)]
    for folder in folders:
        os.mkdir(folder)  # noqa: PTH102
    deepest = picture(Path(folders[-1]) / "a.jpg")
    try:
        assert len(read(tmp_path)[0]) == 1
    finally:
        # pytest removes its folders recursively, which such a tree would break.
        deepest.unlink()
        for folder in reversed(folders):
            os.rmdir(folder)  # noqa: PTH106


def test_the_same_name_in_two_folders_is_two_items(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "x.jpg")
    picture(tmp_path / "b" / "x.jpg")
    assert list(read(tmp_path)[0]) == ["a/x.jpg", "b/x.jpg"]


def test_a_single_file_is_a_source_of_one(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    caption = text(tmp_path / "a.txt", "caption")
    (item,) = open_source(tmp_path / "a.jpg", name="f", options=SourceOptions())
    assert isinstance(item, Record)
    assert (item.key, item.text) == ("f/a.jpg", "caption")
    (document,) = open_source(caption, name="f", options=SourceOptions())
    assert isinstance(document, Record)
    assert (document.key, document.text, document.image) == ("f/a.txt", "caption", None)


def test_an_empty_folder_has_no_items(tmp_path: Path) -> None:
    assert read(tmp_path) == ({}, {})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.pdf", b"%PDF", "neither a picture, a text"), ("missing", None, "does not exist")],
)
def test_what_is_no_source(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / name, name="f", options=SourceOptions())


@pytest.mark.parametrize("name", ["", "a/b"])
def test_names_that_would_break_keys_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        open_source(tmp_path, name=name, options=SourceOptions())
