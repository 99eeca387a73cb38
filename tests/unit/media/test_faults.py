"""A bad file is one clear line: what, where, and what to do; never half a picture."""

import io
import logging
import os
import pickle
import struct
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from mmsearch.errors import ConfigError, InputError, MediaTooLarge, UnreadableMedia
from mmsearch.media import MediaBounds, Preprocessing, content_hash, decode, read_image, read_text

Encode = Callable[..., bytes]
NOBODY = 65534

CUT = [
    ("JPEG", {"quality": 90}),
    ("JPEG", {"quality": 90, "progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("AVIF", {}),
    ("HEIF", {}),
    ("JXL", {}),
]


@pytest.mark.parametrize(("format", "options"), CUT)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.985])
def test_cut_files_are_refused(
    reference: Image.Image,
    encode: Encode,
    capfd: pytest.CaptureFixture[str],
    format: str,
    options: dict[str, object],
    kept: float,
) -> None:
    data = encode(reference, format, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableMedia, match="damaged or cut short") as refused:
            decode(data[: int(len(data) * kept)])
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().err == ""


def test_a_jpeg_filled_up_with_zeros_is_refused(reference: Image.Image, encode: Encode) -> None:
    data = encode(reference, "JPEG", quality=90)
    half = len(data) // 2
    with pytest.raises(UnreadableMedia, match="cut short"):
        decode(data[:half] + bytes(len(data) - half))


def test_a_lenient_pillow_is_strict_here_and_lenient_again_afterwards(
    reference: Image.Image, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encode(reference, "JPEG")
    with pytest.raises(UnreadableMedia, match="cut short"):
        decode(data[: len(data) // 2])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_libtiff_and_pillow_write_nothing(
    reference: Image.Image, encode: Encode, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(encode(reference, "TIFF", compression="jpeg"))
    tables = data.index(b"\xff\xdb")
    data[tables : tables + 2] = b"\xff\xfe"
    before = list(warnings.filters)
    with pytest.raises(UnreadableMedia):
        decode(bytes(data))
    assert capfd.readouterr().err == ""
    assert list(warnings.filters) == before
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"
    assert logging.getLogger("PIL").handlers


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2**31 - 1, 1), (1, 178_956_971)])
def test_bombs_are_refused_before_they_are_decoded(width: int, height: int) -> None:
    with pytest.raises(MediaTooLarge, match="max_pixels"):
        decode(png(width, height, zlib.compress(bytes(1000))))


def test_a_bound_above_pillows_own_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    data = png(100, 100, zlib.compress(bytes(101 * 100)), colour=0)
    with pytest.raises(MediaTooLarge, match="more pixels than the limit of 900"):
        decode(data, bounds=MediaBounds(max_pixels=900))
    assert decode(data, bounds=MediaBounds(max_pixels=10_000)).image.size == (100, 100)


def png(width: int, height: int, pixels: bytes, *, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    )


def test_an_svg_is_not_opened_and_its_references_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "drawing.png"
    path.write_text(
        "<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    )
    with pytest.raises(UnreadableMedia, match="an SVG drawing"):
        decode(path)


READERS: list[Callable[[Path], object]] = [
    decode,
    read_text,
    content_hash,
    lambda path: read_image(path, spec=Preprocessing()),
]


@pytest.mark.parametrize("read", READERS)
def test_missing_files_and_folders_say_so(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"gone\.png: no such file; check the path"):
        read(tmp_path / "gone.png")
    (tmp_path / "file").write_text("text")
    with pytest.raises(UnreadableMedia, match=r"file/inside\.png: no such file"):
        read(tmp_path / "file" / "inside.png")
    with pytest.raises(UnreadableMedia, match="a folder, not a file"):
        read(tmp_path)
    with pytest.raises(UnreadableMedia, match="cannot be read"):
        read(tmp_path / ("long" * 100))
    with pytest.raises(UnreadableMedia, match="cannot be read"):
        read(tmp_path / "nul\0byte")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("read", READERS)
def test_a_pipe_is_not_waited_for(read: Callable[[Path], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableMedia, match="a device or pipe, not a file"):
        read(tmp_path / "pipe")


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A file that this process may not read; root may read all, so as root it becomes nobody."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "secret.png")
        path.write_bytes(b"x")
        path.chmod(0)
        Path(folder).chmod(0o755)
        if os.geteuid() != 0:
            yield path
            return
        os.seteuid(NOBODY)
        try:
            yield path
        finally:
            os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("read", READERS)
def test_forbidden_files_say_so(read: Callable[[Path], object], forbidden: Path) -> None:
    with pytest.raises(UnreadableMedia, match="no permission to read it"):
        read(forbidden)


@pytest.mark.parametrize("read", [decode, read_text])
def test_empty_files_say_so(read: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(UnreadableMedia, match=r"empty\.png: the file is empty"):
        read(tmp_path / "empty.png")


def test_too_many_bytes_are_refused_unread(
    reference: Image.Image, encode: Encode, tmp_path: Path
) -> None:
    data = encode(reference, "PNG")
    bounds = MediaBounds(max_bytes=len(data) - 1, max_text_bytes=10)
    path = tmp_path / "big.png"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(MediaTooLarge, match=f"{len(data):,} bytes.*raise max_image_bytes"):
            decode(source, bounds=bounds)
    with pytest.raises(MediaTooLarge, match=f"{len(data):,} bytes.*raise max_text_bytes"):
        read_text(path, bounds=bounds)
    assert decode(path, bounds=MediaBounds(max_bytes=len(data))).width == 240


def test_bounds_below_one_are_all_named() -> None:
    with pytest.raises(ConfigError, match=r"max_pixels must be 1 or more, got 0; max_bytes"):
        MediaBounds(max_pixels=0, max_bytes=-1)


def test_faults_travel_between_processes(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        decode(tmp_path)
    copy = pickle.loads(pickle.dumps(refused.value))
    assert type(copy) is UnreadableMedia
    assert str(copy) == str(refused.value)


def test_damaged_bytes_name_the_file(reference: Image.Image, tmp_path: Path) -> None:
    file = io.BytesIO()
    reference.save(file, "PNG")
    path = tmp_path / "half.png"
    path.write_bytes(file.getvalue()[:5000])
    with pytest.raises(UnreadableMedia, match=r"half\.png: damaged or cut short \(png: .*replace"):
        decode(path)
