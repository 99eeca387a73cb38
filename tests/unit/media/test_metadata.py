"""Metadata in files of each format, as Pillow and the standards write it, and damaged blocks."""

import contextlib
import io
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from mmsearch.errors import InputError
from mmsearch.media.metadata import (
    ImageMetadata,
    MetadataRequest,
    read_metadata,
    read_metadata_of_file,
    sidecar_of,
)
from mmsearch.media.metadata.exif import read_exif
from mmsearch.media.metadata.iptc import read_iptc
from mmsearch.media.metadata.xmp import read_xmp

XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/">
<rdf:Description xmp:Rating="4" photoshop:City="Bratislava" photoshop:Country="Slovakia"
 exif:GPSLatitude="48,8.9032N" exif:GPSLongitude="17,6,28W" exif:GPSAltitude="1340/10"
 Iptc4xmpCore:Location="Main Square 1" photoshop:DateCreated="2019-07-14T23:30:00-07:00">
<dc:title><rdf:Alt><rdf:li xml:lang="de">Markttag</rdf:li>
<rdf:li xml:lang="x-default">Market day</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>Bratislava</rdf:li><rdf:li>wedding</rdf:li></rdf:Bag></dc:subject>
<dc:creator><rdf:Seq><rdf:li>Zelda Žitná</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()

EVERYTHING = MetadataRequest(position=True)
Codecs = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "TIFF": "tif",
    "AVIF": "avif",
    "HEIF": "heic",
}


def exif_block() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "Grandma Zelda harvest festival"
    exif[ExifTags.Base.Make] = "NIKON CORPORATION"
    exif[ExifTags.Base.Model] = "NIKON D90"
    exif[ExifTags.Base.Artist] = "J. Doe"
    exif[ExifTags.Base.XPKeywords] = "harvest;festival".encode("utf-16-le") + b"\0\0"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2019:07:14 18:22:05"
    details[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    details[ExifTags.Base.LensModel] = "50mm f/1.8"
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLongitudeRef] = "S", "E"
    gps[ExifTags.GPS.GPSLatitude] = (33.0, 51.0, 24.0)
    gps[ExifTags.GPS.GPSLongitude] = (151.0, 12.0, 36.0)
    return exif


def iptc_block(*records: tuple[int, bytes]) -> bytes:
    return b"".join(
        b"\x1c\x02" + struct.pack(">BH", number, len(text)) + text for number, text in records
    )


def encoded(kind: str, **options: object) -> bytes:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 160, 40)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", Codecs)
def test_exif_of_every_format(kind: str) -> None:
    found = read_metadata(encoded(kind, exif=exif_block().tobytes()), EVERYTHING)
    assert found.description == "Grandma Zelda harvest festival"
    assert found.keywords == ("harvest", "festival")
    assert (found.creator, found.camera, found.lens) == ("J. Doe", "NIKON D90", "50mm f/1.8")
    assert found.taken == datetime(2019, 7, 14, 16, 22, 5, tzinfo=UTC)
    assert (found.latitude, found.longitude) == pytest.approx((-33.8566667, 151.21))
    columns = found.columns()
    assert columns["taken"] == datetime(2019, 7, 14, 16, 22, 5, tzinfo=UTC)
    assert columns["taken_zone"] == "+02:00"


@pytest.mark.parametrize("kind", Codecs)
def test_xmp_of_every_format(kind: str) -> None:
    options: dict[str, object] = {"xmp": XMP}
    if kind == "PNG":
        chunk = PngImagePlugin.PngInfo()
        chunk.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": chunk}
    elif kind == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[700] = XMP
        tags.tagtype[700] = 1
        options = {"tiffinfo": tags}
    found = read_metadata(encoded(kind, **options), EVERYTHING)
    assert found.title == "Market day"
    assert found.keywords == ("Bratislava", "wedding")
    assert (found.creator, found.rating) == ("Zelda Žitná", 4)
    assert found.place == "Bratislava, Slovakia"
    assert found.taken == datetime(2019, 7, 15, 6, 30, tzinfo=UTC)
    assert (found.latitude, found.longitude) == pytest.approx((48.1483867, -17.1077778))
    assert found.altitude == 134.0


def test_position_is_left_out_unless_it_is_requested() -> None:
    data = encoded("JPEG", xmp=XMP, exif=exif_block())
    columns = read_metadata(data, MetadataRequest()).columns()
    assert columns["place"] == "Bratislava, Slovakia"
    assert not columns.keys() & {"latitude", "longitude", "altitude"}
    assert (
        read_metadata(data, EVERYTHING).columns()["place"] == "Main Square 1, Bratislava, Slovakia"
    )


def test_iptc_of_a_jpeg_and_of_a_tiff() -> None:
    block = iptc_block(
        (5, b"Harvest"), (25, b"wheat"), (25, "Köln".encode("latin-1")), (55, b"20190714"),
        (60, b"182205+0200"), (90, b"Nitra"), (101, b"Slovakia"), (120, b"Wheat in the evening"),
    )  # fmt: skip
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block
    segment = b"Photoshop 3.0\0" + b"8BIM\x04\x25\0\0\0\0\0\x01x\0" + resource
    jpeg = encoded("JPEG")
    jpeg = jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33723] = block
    tags.tagtype[33723] = 7
    for data in (jpeg, encoded("TIFF", tiffinfo=tags)):
        found = read_metadata(data, MetadataRequest())
        assert (found.title, found.description) == ("Harvest", "Wheat in the evening")
        assert found.keywords == ("wheat", "Köln")
        assert found.place == "Nitra, Slovakia"
        assert found.taken == datetime(2019, 7, 14, 16, 22, 5, tzinfo=UTC)


def test_png_texts_and_blocks_after_the_pixels() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "Poppies", zip=True)
    text.add_text("Author", "Æbby")
    png = encoded("PNG", pnginfo=text)
    content = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)
    chunk = struct.pack(">I", len(content)) + b"iTXt" + content + bytes(4)
    end = png.rindex(b"IEND") - 4
    found = read_metadata(png[:end] + chunk + png[end:], MetadataRequest())
    assert found.title == "Market day"
    assert read_metadata(png, MetadataRequest()).title == "Poppies"
    assert read_metadata(png, MetadataRequest()).creator == "Æbby"


def test_descriptions_that_differ_are_joined_and_a_zone_is_taken_from_another_block() -> None:
    first = ImageMetadata(description="A", keywords=("x", "y"), taken=datetime(2019, 7, 14, 12))
    zoned = datetime.fromisoformat("2019-07-14T12:00:00+02:00")
    second = ImageMetadata(description="B", keywords=("y", "z"), taken=zoned, latitude=0.0)
    merged = ImageMetadata.merged([first, second])
    assert merged.description == "A\nB"
    assert merged.keywords == ("x", "y", "z")
    assert merged.taken == zoned
    assert merged.latitude == 0.0
    other = ImageMetadata(taken=datetime.fromisoformat("2019-07-14T09:00:00+02:00"))
    assert ImageMetadata.merged([first, other]).taken == datetime(2019, 7, 14, 12)


def test_a_time_without_a_zone_is_kept_as_local_time() -> None:
    exif = exif_block()
    del exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.OffsetTimeOriginal]
    columns = read_metadata(encoded("JPEG", exif=exif), MetadataRequest()).columns()
    assert columns["taken"] == datetime(2019, 7, 14, 18, 22, 5, tzinfo=UTC)
    assert "taken_zone" not in columns


@pytest.mark.parametrize(
    "text", ["OLYMPUS DIGITAL CAMERA", "SONY DSC", "   ", "\0\0", "Exif_JPEG_PICTURE", "----"]
)
def test_what_every_file_of_a_camera_says_is_no_description(text: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = text
    assert read_metadata(encoded("JPEG", exif=exif), MetadataRequest()).description is None


@pytest.mark.parametrize(
    "taken", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2019:13:40 1:2", ""]
)
def test_dates_that_are_none(taken: str) -> None:
    exif = exif_block()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    assert read_metadata(encoded("JPEG", exif=exif), MetadataRequest()).taken is None


def test_texts_in_utf8_latin1_and_overlong() -> None:
    for raw in ("Žltý kvet".encode(), "Blühende Wiese".encode("latin-1"), b"x" * 60_000):
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = raw
        found = read_metadata(encoded("JPEG", exif=exif), MetadataRequest()).description
        assert found in ("Žltý kvet", "Blühende Wiese", "x" * 4_000)


def test_sidecars_come_first_and_are_found_under_either_name(tmp_path: Path) -> None:
    for name, beside in (("a.jpg", "a.xmp"), ("b.jpg", "b.jpg.XMP")):
        image = tmp_path / name
        image.write_bytes(encoded("JPEG", exif=exif_block()))
        assert sidecar_of(image) is None
        (tmp_path / beside).write_bytes(XMP)
        assert sidecar_of(image) == tmp_path / beside
        found = read_metadata_of_file(image, MetadataRequest(sidecar=tmp_path / beside))
        assert (found.creator, found.camera) == ("Zelda Žitná", "NIKON D90")
        assert found.keywords == ("Bratislava", "wedding", "harvest", "festival")


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    for name in ("empty.jpg", "missing.jpg"):
        with pytest.raises(InputError, match=f"{name}: cannot be read"):
            read_metadata_of_file(tmp_path / name, MetadataRequest())


def test_xmp_with_entities_is_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + XMP.replace(b"Market day", b"&a;")
    with pytest.raises(ValueError, match="document type"):
        read_xmp(bomb)
    assert read_metadata(encoded("JPEG", xmp=bomb), MetadataRequest()) == ImageMetadata()
    for encoding in ("utf-16", "utf-8-sig"):
        assert read_xmp(XMP.decode().encode(encoding)).title == "Market day"


def test_a_directory_that_points_to_itself_and_claims_gigabytes() -> None:
    entries = [(0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (270, 2, 2**32 - 1, 8)] * 2_000
    block = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries))
    block += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    assert len(read_exif(block).description or "") <= 4_000


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**31), st.sampled_from(list(Codecs)))
def test_damaged_blocks_never_fail_an_image(noise: bytes, place: int, kind: str) -> None:
    good = GOOD.setdefault(
        kind, encoded(kind, exif=exif_block(), **({} if kind == "TIFF" else {"xmp": XMP}))
    )
    at = place % len(good)
    for data in (good[:at], good[:at] + noise + good[at + len(noise) :]):
        read_metadata(data, EVERYTHING).columns()


GOOD: dict[str, bytes] = {}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**31))
def test_damaged_iptc_and_exif_blocks_give_what_is_left(noise: bytes, place: int) -> None:
    block = iptc_block((5, b"Harvest"), (25, b"wheat"), (120, b"Wheat"))
    at = place % len(block)
    read_iptc(block[:at] + noise + block[at:])
    exif = exif_block().tobytes()
    at = place % len(exif)
    with contextlib.suppress(struct.error):
        read_exif(exif[:at] + noise + exif[at:])
