"""Camera raw photos are named by their content; other TIFFs are not taken for them."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmsearch.errors import UnreadableMedia
from mmsearch.media import decode, raw_format, raw_format_of
from mmsearch.sources import SourceOptions, open_source
from tests.support.raw_files import raw_photo, strip, tiff


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("maker", "name"),
    [
        (b"NIKON CORPORATION\0", "NEF"),
        (b"SONY\0", "ARW"),
        (b"PENTAX\0", "PEF"),
        (b"Another maker\0", "raw"),
    ],
)
def test_a_preview_with_sensor_data_below_is_a_raw_photo(
    reference: Image.Image, order: str, maker: bytes, name: str
) -> None:
    data = raw_photo(reference, maker, order=order)
    with Image.open(io.BytesIO(data)) as seen_by_pillow:
        assert seen_by_pillow.size == (160, 120)
    assert raw_format(data) == name
    with pytest.raises(UnreadableMedia, match=r"a camera raw photo.*use the JPEG beside it"):
        decode(data)


def test_a_negative_in_dng_is_a_raw_photo(reference: Image.Image) -> None:
    assert raw_format(raw_photo(reference, dng=True)) == "DNG"


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"IIU\0\x18\0\0\0", "RW2"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"II*\0\x10\0\0\0CR\x02\0", "CR2"),
    ],
)
def test_raw_formats_with_a_magic_number_are_named(start: bytes, name: str) -> None:
    assert raw_format(start + bytes(64)) == name


@pytest.mark.parametrize("big", [False, True])
def test_pages_and_compressed_tiffs_are_not_raw(reference: Image.Image, big: bool) -> None:
    file = io.BytesIO()
    pages = [reference.resize((80, 60)), reference.rotate(90)]
    reference.save(file, "TIFF", save_all=True, append_images=pages, big_tiff=big)
    assert raw_format(file.getvalue()) is None
    assert decode(file.getvalue()).frames == 3


def test_a_pyramid_is_one_ordinary_picture(reference: Image.Image) -> None:
    """The full image first, its reduced copies as sub-images or as further directories."""
    small = reference.resize((120, 80))
    for chained in (False, True):
        layout = [
            strip(reference, subfile=0, photometric=2, at=8),
            strip(small, subfile=1, photometric=2, at=8),
        ]
        size = len(tiff(layout, chained=chained))
        placed = [
            strip(reference, subfile=0, photometric=2, at=size),
            strip(small, subfile=1, photometric=2, at=size + 240 * 160 * 3),
        ]
        data = tiff(placed, chained=chained) + reference.tobytes() + small.tobytes()
        assert raw_format(data) is None
        decoded = decode(data)
        assert (decoded.width, decoded.height, decoded.frames) == (240, 160, 1)
        assert decoded.image.tobytes() == reference.tobytes()


@given(
    data=st.binary(max_size=200), magic=st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
)
def test_damaged_tiffs_are_never_an_error(data: bytes, magic: bytes) -> None:
    assert raw_format(magic + data) in (None, "raw", "DNG", "CR2", "IIQ")


@given(cut=st.integers(0, 400), flipped=st.integers(0, 399), value=st.integers(0, 255))
def test_a_damaged_raw_photo_is_never_an_error(cut: int, flipped: int, value: int) -> None:
    whole = bytearray(raw_photo(Image.new("RGB", (32, 24), "teal")))
    whole[flipped] = value
    raw_format(bytes(whole[:cut]))
    raw_format(bytes(whole))


def test_a_folder_skips_raw_photos_and_says_so(tmp_path: Path, reference: Image.Image) -> None:
    reference.save(tmp_path / "shot.jpg")
    (tmp_path / "shot.NEF").write_bytes(raw_photo(reference))
    (tmp_path / "misnamed.tif").write_bytes(raw_photo(reference, dng=True))
    source = open_source(tmp_path, name="shots", options=SourceOptions())
    assert [record.key for record in source] == ["shots/shot.jpg"]
    [note] = [note for note in source.notes if "raw" in note]
    assert note.startswith("2 camera raw photos skipped: ")
    assert "NEF 1" in note
    assert "DNG 1" in note


def test_a_table_may_not_name_a_raw_photo(tmp_path: Path, reference: Image.Image) -> None:
    reference.save(tmp_path / "shot.jpg")
    (tmp_path / "shot.nef").write_bytes(raw_photo(reference))
    (tmp_path / "shop.csv").write_text("id,image\n1,shot.jpg\n2,shot.nef\n")
    records = [*open_source(tmp_path / "shop.csv", name="shop", options=SourceOptions())]
    reasons = [getattr(each, "reason", "") for each in records]
    assert any("a camera raw photo (NEF)" in reason for reason in reasons)
    images = [getattr(each, "image", None) for each in records]
    assert [image for image in images if image] == [tmp_path / "shot.jpg"]
    assert raw_format_of(tmp_path / "gone.nef") is None
