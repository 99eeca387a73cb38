"""Captions and documents in the encodings that people have; binary files are refused."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.errors import UnreadableMedia
from mmsearch.media import read_text

CAPTION = "Une tasse à café émaillée, 12 € – «déjà vu»"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text") / "caption.txt"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "utf-16-be with mark"]
)
def test_reads_western_encodings(file: Path, encoding: str) -> None:
    data = (
        b"\xfe\xff" + CAPTION.encode("utf-16-be")
        if "mark" in encoding
        else CAPTION.encode(encoding)
    )
    file.write_bytes(data)
    assert read_text(file) == CAPTION


@pytest.mark.parametrize("text", ["赤いリンゴ", "красное яблоко", "تفاحة حمراء", "🍎"])
def test_reads_all_scripts_in_unicode(file: Path, text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        file.write_bytes(text.encode(encoding))
        assert read_text(file) == text


def test_line_ends_are_one_kind(file: Path) -> None:
    file.write_bytes(b"one\r\ntwo\rthree\nfour")
    assert read_text(file) == "one\ntwo\nthree\nfour"


@pytest.mark.parametrize("text", ["Ein Schloß am Fluß", "Été", "naïve"])
def test_short_legacy_captions_are_read(file: Path, text: str) -> None:
    file.write_bytes(text.encode("cp1252"))
    assert read_text(file) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("赤いリンゴと青い空", "shift_jis"),
        ("красное яблоко на столе", "cp1251"),
        ("κόκκινο μήλο", "cp1253"),
    ],
)
def test_reads_other_legacy_encodings(file: Path, text: str, encoding: str) -> None:
    file.write_bytes(text.encode(encoding))
    assert read_text(file) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_reads_utf_16_without_a_mark(file: Path, encoding: str) -> None:
    file.write_bytes(CAPTION.encode(encoding))
    assert read_text(file) == CAPTION


@pytest.mark.parametrize(
    "data",
    [
        b"text\0more",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\x7fELF\x02\x01\x01",
        b"caf\xe9\0",
        b"a\x01b",
    ],
)
def test_binary_content_is_refused(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(UnreadableMedia, match="binary content, not text"):
        read_text(file)


def test_a_mark_that_lies_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfea")
    with pytest.raises(UnreadableMedia, match="begins as utf-16 but is not, at byte"):
        read_text(file)


@given(data=st.binary(min_size=1, max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_text_or_refused(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    try:
        text = read_text(path)
    except UnreadableMedia:
        return
    assert "\0" not in text
    assert "\r" not in text
    text.encode("utf-8")
