"""Equal pixels, pages, raw photos and overlapping sources through the command line."""

import json
from pathlib import Path

from PIL import Image, ImageDraw

from tests.support.command_line import Call
from tests.support.dedup_stores import scene
from tests.support.raw_files import raw_photo


def test_equal_pixels_frames_raw_photos_and_overlapping_sources(call: Call, tmp_path: Path) -> None:
    library, inner = tmp_path / "library", tmp_path / "library" / "inner"
    inner.mkdir(parents=True)
    for number, colour in enumerate(("teal", "olive", "ivory")):
        # Much white, and a size that a JPEG's scaled decoding rounds.
        packshot = Image.new("RGB", (531, 397), "white")
        ImageDraw.Draw(packshot).ellipse((200, 100, 260, 300), fill=colour)
        packshot.save(library / f"{number}.jpg", quality=80)
        Image.open(library / f"{number}.jpg").save(inner / f"{number}.png")
        packshot.save(library / f"clean {number}.bmp")
        packshot.save(inner / f"clean {number}.tif")
    frames = [scene(seed) for seed in (7, 8, 9)]
    frames[0].save(library / "pages.tif", save_all=True, append_images=frames[1:])
    frames[0].save(library / "page.png")
    (library / "shot.nef").write_bytes(raw_photo(scene(5)))
    scene(5).save(library / "shot.jpg")
    done = call(tmp_path, "index", "library", "library/inner")
    assert done.returncode == 0, done.stderr
    assert "source 'inner' lies inside 'library'" in done.stderr
    assert "1 camera raw photo skipped: NEF 1" in done.stderr
    assert "1 file with several pages or frames" in done.stderr
    for _ in range(2):
        found = call(tmp_path, "dedup", "--json", "--tiers", "bytes,pixels")
        groups = json.loads(found.stdout)["dedup"]["groups"]
        pairs = {
            tuple(sorted({group["kept"]["key"], *(m["item"]["key"] for m in group["others"])}))
            for group in groups
            if group["tier"] == "pixels"
        }
        # Every file counts once, under the first of its keys.
        assert pairs == {
            *((f"library/{n}.jpg", f"library/inner/{n}.png") for n in range(3)),
            *((f"library/clean {n}.bmp", f"library/inner/clean {n}.tif") for n in range(3)),
        }
    edited = call(tmp_path, "dedup", "--csv", "--tiers", "bytes,pixels,edited").stdout
    assert "library/0.jpg" in edited
    assert "library/page" not in edited


def test_a_raw_photo_indexed_by_its_preview_is_taken_out(call: Call, tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    negative = tmp_path / "shots" / "shot.nef"
    scene(1).save(negative, "TIFF")
    assert call(tmp_path, "index", "shots").returncode == 0
    negative.write_bytes(raw_photo(scene(1)))
    done = call(tmp_path, "index")
    assert done.returncode == 0, done.stderr
    assert "1 camera raw photo skipped" in done.stderr
    info = json.loads(call(tmp_path, "info", "--json").stdout)
    assert info["store"]["counts"]["items"] == 0
