"""What images say of themselves: indexed, searched, filtered, kept up to date without encoding."""

import os
from collections.abc import Callable
from pathlib import Path

import lancedb
import numpy as np
import pytest
from PIL import ExifTags, Image

import mmsearch
from mmsearch.catalog import Catalog
from mmsearch.records import IngestReport
from tests.support.command_line import Call

Photo = Callable[..., Path]

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/">
<rdf:Description><dc:subject><rdf:Bag>{}</rdf:Bag></dc:subject></rdf:Description>
</rdf:RDF></x:xmpmeta>"""


def xmp(*keywords: str) -> bytes:
    return XMP.format("".join(f"<rdf:li>{word}</rdf:li>" for word in keywords)).encode()


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    """photo(name, seed, description, **options): writes a JPEG of noise with a position."""

    def write(
        name: str, seed: int, description: str = "", artist: str = "", **options: object
    ) -> Path:
        noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        exif = Image.Exif()
        if description:
            exif[ExifTags.Base.ImageDescription] = description
        if artist:
            exif[ExifTags.Base.Artist] = artist
        exif[ExifTags.Base.Model] = "PixelCam 5"
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2019:07:14 12:00:00"
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        gps[1], gps[2], gps[3], gps[4] = "N", (48.0, 8.0, 54.0), "E", (17.0, 6.0, 28.0)
        path = tmp_path / "photos" / name
        path.parent.mkdir(exist_ok=True)
        image = Image.fromarray(noise).resize((48, 40), Image.Resampling.BICUBIC)
        image.save(path, "JPEG", exif=exif, **options)
        return path

    return write


@pytest.fixture
def catalog(tmp_path: Path, tiny_model: Path) -> Catalog:
    return mmsearch.open(
        tmp_path / "store", model=str(tiny_model), device="cpu", workers=1, batch_size=4
    )


def changes(report: IngestReport) -> dict[str, int]:
    names = ("added", "updated", "moved", "unchanged", "decoded")
    return {name: count for name in names if (count := getattr(report, name))}


def keys(catalog: Catalog, **query: object) -> set[str]:
    return {hit.key for hit in catalog.search(**query)}  # type: ignore[arg-type]


def test_words_are_found_and_columns_filter(photo: Photo, catalog: Catalog) -> None:
    photo("a.jpg", 1, "Grandma Zelda harvest festival", xmp=xmp("Bratislava", "wedding"))
    photo("b.jpg", 2, artist="J. Doe")
    captioned = photo("c.jpg", 3, "Wheat in Nitra")
    captioned.with_suffix(".txt").write_text("a caption of its own", encoding="utf-8")
    catalog.index(captioned.parent)
    assert keys(catalog, keyword="Bratislava") == {"photos/a.jpg"}
    assert catalog["photos/a.jpg"].text == "Grandma Zelda harvest festival. Bratislava, wedding"
    assert catalog.search("wedding", target="text", k=1)[0].key == "photos/a.jpg"
    assert catalog["photos/b.jpg"].text is None
    assert catalog["photos/c.jpg"].text == "a caption of its own"
    assert keys(catalog, keyword="Nitra") == {"photos/c.jpg"}
    assert keys(catalog, keyword="Doe") == {"photos/b.jpg"}
    assert len(keys(catalog, text="x", where="taken BETWEEN '2019-07-14' AND '2019-07-15'")) == 3
    assert keys(catalog, text="x", where="taken > '2020-01-01'") == set()
    assert catalog["photos/b.jpg"].metadata["camera"] == "PixelCam 5"
    assert "latitude" not in catalog.info().columns


def test_an_unchanged_image_stays_and_what_changed_is_not_decoded(
    photo: Photo, catalog: Catalog
) -> None:
    first, second = photo("a.jpg", 1, "Zelda"), photo("b.jpg", 2)
    folder = first.parent
    catalog.index(folder)
    assert changes(catalog.index(folder)) == {"unchanged": 2}
    second.with_name("b.jpg.xmp").write_bytes(xmp("lighthouse"))
    assert changes(catalog.index(folder)) == {"updated": 1, "unchanged": 1}
    assert keys(catalog, keyword="lighthouse") == {"photos/b.jpg"}
    assert changes(catalog.index(folder)) == {"unchanged": 2}
    second.with_name("b.jpg.xmp").unlink()
    assert changes(catalog.index(folder)) == {"updated": 1, "unchanged": 1}
    assert keys(catalog, keyword="lighthouse") == set()
    os.utime(first)
    assert changes(catalog.index(folder)) == {"updated": 1, "unchanged": 1}
    assert catalog["photos/a.jpg"].text == "Zelda"
    first.rename(first.with_name("z.jpg"))
    assert changes(catalog.index(folder)) == {"moved": 1, "unchanged": 1}
    assert catalog["photos/z.jpg"].text == "Zelda"


def test_options_are_remembered_and_switched_without_decoding(
    photo: Photo, catalog: Catalog
) -> None:
    folder = photo("a.jpg", 1, "Zelda").parent
    catalog.index(folder)
    assert changes(catalog.index(position=True)) == {"updated": 1}
    assert catalog["photos/a.jpg"].metadata["latitude"] == pytest.approx(48.148333)
    assert changes(catalog.index()) == {"unchanged": 1}
    assert changes(catalog.index(position=False)) == {"updated": 1}
    assert catalog["photos/a.jpg"].metadata.get("latitude") is None
    assert changes(catalog.index(folder, metadata=False)) == {"updated": 1}
    assert catalog["photos/a.jpg"].text is None
    assert catalog["photos/a.jpg"].metadata.get("camera") is None
    assert changes(catalog.index()) == {"unchanged": 1}
    assert changes(catalog.index(metadata=True)) == {"updated": 1}
    assert catalog["photos/a.jpg"].text == "Zelda"


def test_a_store_from_before_reads_them_only_when_asked(
    photo: Photo, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photo("a.jpg", 1, "Zelda").parent
    photo("b.jpg", 2)
    catalog.index(folder, metadata=False)
    lancedb.connect(str(catalog.folder / "lance")).open_table("items").drop_columns(["_embedded"])
    manifest = catalog.folder / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    assert '"metadata": false' in text
    text = text.replace('"metadata": false', '"metadata": true').replace(
        '"format": 2', '"format": 1'
    )
    manifest.write_text(text, encoding="utf-8")
    catalog.reload()
    assert changes(catalog.index(progress=True)) == {"unchanged": 2}
    assert "2 images were indexed before their metadata was read" in capsys.readouterr().err
    assert changes(catalog.index(metadata=True)) == {"updated": 2}
    assert keys(catalog, keyword="Zelda") == {"photos/a.jpg"}
    assert changes(catalog.index(metadata=True)) == {"unchanged": 2}


def test_columns_of_a_table_stay_its_own(photo: Photo, catalog: Catalog, tmp_path: Path) -> None:
    photo("a.jpg", 1, "Zelda")
    table = tmp_path / "goods.csv"
    table.write_text("id,image,title,camera\n1,photos/a.jpg,Lamp,Leica\n", encoding="utf-8")
    catalog.index(table)
    record = catalog["goods/1"]
    assert (record.text, record.metadata["title"]) == ("Lamp", "Lamp")
    assert record.metadata["camera"] == "Leica"
    assert record.metadata["embedded_text"] == "Zelda"
    assert changes(catalog.index()) == {"unchanged": 1}


def test_a_damaged_block_does_not_fail_the_image(photo: Photo, catalog: Catalog) -> None:
    path = photo("a.jpg", 1, "Zelda", xmp=b"<!DOCTYPE x><x>")
    path.with_suffix(".xmp").write_bytes(b"<x:xmpmeta")
    report = catalog.index(path.parent)
    assert (report.added, report.failures) == (1, ())
    assert catalog["photos/a.jpg"].text == "Zelda"


def test_pages_leave_out_the_position(photo: Photo, call: Call, tmp_path: Path) -> None:
    photo("a.jpg", 1, "Zelda")
    (tmp_path / "photos" / "a.xmp").write_bytes(xmp("lighthouse"))
    done = call(tmp_path, "index", "photos", "--position")
    assert (done.returncode, ".xmp" in done.stderr) == (0, False)
    call(tmp_path, "search", "--keyword", "lighthouse", "--gallery", "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "PixelCam" in page
    assert "latitude" not in page
    assert "48.14" not in page


def test_the_command_line_has_both_options(photo: Photo, call: Call, tmp_path: Path) -> None:
    photo("a.jpg", 1, "Zelda")
    assert call(tmp_path, "index", "photos", "--no-metadata").returncode == 0
    assert "a.jpg" not in call(tmp_path, "search", "--keyword", "Zelda", "--paths").stdout
    assert call(tmp_path, "index", "--metadata", "--position").returncode == 0
    found = call(tmp_path, "search", "--keyword", "Zelda", "--json").stdout
    assert '"latitude": 48.14' in found
