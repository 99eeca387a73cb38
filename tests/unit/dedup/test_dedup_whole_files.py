"""Files are compared by all their content: every frame, transparency, and names of one file."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmsearch.dedup.compare import compare_files
from mmsearch.dedup.comparison.whole_files import backgrounds_agreement
from mmsearch.dedup.items import Item
from mmsearch.dedup.one_file import without_other_names
from mmsearch.dedup.thumbnails.edited_copies import EDITED_AGREEMENT
from mmsearch.dedup.thumbnails.fingerprints import read_print
from mmsearch.dedup.tiers.equal_pixels import groups_of_equal, mean_levels, near_rows
from mmsearch.media import MediaBounds, content_hash, decode
from mmsearch.sources.overlaps import overlap_notes


def scene(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    chance = np.random.default_rng(seed)
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    pen = ImageDraw.Draw(image)
    for _ in range(50):
        x, y, reach = (int(chance.integers(*span)) for span in ((0, 240), (0, 180), (5, 40)))
        colour = tuple(int(level) for level in chance.integers(0, 256, 3))
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
    return image


def animation(path: Path, seeds: list[int], scale: float = 1, duration: int = 100) -> Path:
    frames = [scene(seed) for seed in seeds]
    size = (int(240 * scale), int(180 * scale))
    frames = [frame.resize(size, Image.Resampling.LANCZOS) for frame in frames]
    times: dict[str, Any] = {} if path.suffix == ".tif" else {"duration": duration}
    frames[0].save(path, save_all=True, append_images=frames[1:], **times)
    return path


def icon(path: Path, shape: str, colour: str = "white", side: int = 64) -> Path:
    image = Image.new("RGBA", (128, 128), (255, 255, 255, 0))
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse((20, 20, 108, 108), fill=colour)
    else:
        pen.rectangle((52, 16, 76, 112), fill=colour)
        pen.rectangle((16, 80, 112, 98), fill=colour)
    image.resize((side, side), Image.Resampling.LANCZOS).save(path)
    return path


@pytest.mark.parametrize("kind", [".gif", ".tif", ".webp"])
def test_a_file_of_several_frames_is_no_copy_of_one_of_them(tmp_path: Path, kind: str) -> None:
    whole = animation(tmp_path / f"whole{kind}", [1, 2, 3])
    scene(1).save(tmp_path / "first.png")
    found = compare_files(whole, tmp_path / "first.png")
    assert (found.tier, found.evidence) == (
        "different",
        "one file holds 3 frames or pages, the other 1",
    )


def test_animations_are_compared_frame_by_frame_and_by_their_times(tmp_path: Path) -> None:
    first = animation(tmp_path / "a.webp", [1, 2, 3, 4])
    same = [
        animation(tmp_path / "smaller.webp", [1, 2, 3, 4], scale=0.5),
        animation(tmp_path / "other.gif", [1, 2, 3, 4]),
    ]
    assert [compare_files(first, each).tier for each in same] == ["edited", "edited"]
    others = [
        animation(tmp_path / "other-end.webp", [1, 2, 3, 5]),
        animation(tmp_path / "other-middle.webp", [1, 2, 7, 4]),
        animation(tmp_path / "slower.webp", [1, 2, 3, 4], duration=300),
        animation(tmp_path / "longer.webp", [1, 2, 3, 4, 5]),
    ]
    assert {compare_files(first, each).tier for each in others} == {"different"}


def test_icons_that_differ_in_shape_alone_are_different(tmp_path: Path) -> None:
    for colour in ("white", "black", "#f0f0f0"):
        circle = icon(tmp_path / "circle.png", "circle", colour)
        cross = icon(tmp_path / "cross.png", "cross", colour)
        assert compare_files(circle, cross).tier == "different"
        smaller = icon(tmp_path / "smaller.png", "cross", colour, side=48)
        first, second, other = (decode(path) for path in (cross, smaller, circle))
        assert backgrounds_agreement(first, second)[0] > 0.9
        assert backgrounds_agreement(first, other)[0] < EDITED_AGREEMENT
        prints = [read_print(path, MediaBounds()).thumbnail for path in (circle, cross)]
        assert min(each.std() for each in prints) > 10


def test_a_picture_seen_through_is_not_the_same_filled_with_white(tmp_path: Path) -> None:
    cross = icon(tmp_path / "cross.png", "cross", "black")
    flat = Image.new("RGB", (64, 64), "white")
    with Image.open(cross) as image:
        flat.paste(image, mask=image.getchannel("A"))
    flat.save(tmp_path / "flat.png")
    assert compare_files(cross, tmp_path / "flat.png").tier != "pixels"


def test_fingerprints_do_not_depend_on_the_scale_of_decoding(tmp_path: Path) -> None:
    """At an odd size, where a JPEG is decoded to a whole number of pixels that is too large."""
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        photo = scene(3, (240, 180)).resize((1043, 777), Image.Resampling.LANCZOS)
        photo.save(tmp_path / "a.jpg", quality=95, exif=exif)
        with Image.open(tmp_path / "a.jpg") as decoded:
            decoded.save(tmp_path / "a.png", exif=exif)
        scaled, full = (
            read_print(tmp_path / name, MediaBounds()).thumbnail.astype(int)
            for name in ("a.jpg", "a.png")
        )
        assert np.abs(scaled - full).mean() < 0.8


def test_near_rows_are_all_those_that_a_search_of_every_pair_finds() -> None:
    chance = np.random.default_rng(1)
    base = chance.integers(0, 250, (60, 256), dtype=np.uint8)
    blocks = np.concatenate([base, base[:20] + chance.integers(0, 6, (20, 256), dtype=np.uint8)])
    fresh = chance.random(80) < 0.5
    levels = blocks.astype(int)
    means = levels.mean(axis=1)
    expected = set()
    for one in range(80):
        for two in range(one):
            near = np.abs(levels[one] - levels[two]).max() <= 6
            if near and abs(means[one] - means[two]) <= 3 and (fresh[one] or fresh[two]):
                expected |= {one, two}
    assert len(expected) > 20
    assert near_rows(blocks, fresh).tolist() == sorted(expected)
    assert mean_levels(np.full((2, 128, 128), 7, np.uint8)).tolist() == [[7] * 256] * 2
    assert [*groups_of_equal({"a": "1", "b": "", "c": "1", "d": "2", "e": ""})] == [["a", "c"]]


def item(uid: int, path: Path, source: str, text: str = "", *, protected: bool = False) -> Item:
    facts = path.stat()
    return Item(
        *(uid, f"{source}/{path.name}", source, str(path), text, 1, 1, facts.st_size, 0),
        image_hash=content_hash(path),
        protected=protected,
    )


def test_one_file_under_several_names_is_one_item(tmp_path: Path) -> None:
    real, copy = tmp_path / "real.png", tmp_path / "copy.png"
    file = io.BytesIO()
    scene(1).save(file, "PNG")
    for path in (real, copy):
        path.write_bytes(file.getvalue())
    os.link(real, tmp_path / "hard.png")
    (tmp_path / "soft.png").symlink_to(real)
    items = [
        item(1, real, "outer"),
        item(2, real, "inner"),
        item(3, tmp_path / "hard.png", "outer", protected=True),
        item(4, tmp_path / "soft.png", "outer"),
        item(5, copy, "outer"),
        item(6, real, "shop", "A thing"),
        item(7, real, "shop", "The thing in red"),
    ]
    left = without_other_names(items)
    assert [each.uid for each in left] == [5, 6, 7]
    assert [each.protected for each in left] == [False, True, True]
    assert [each.uid for each in without_other_names(items[:5])] == [1, 5]


def test_sources_inside_one_another_are_told(tmp_path: Path) -> None:
    (tmp_path / "lib" / "sub").mkdir(parents=True)
    (tmp_path / "library").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lib")
    places = {name: tmp_path / name for name in ("lib", "library")}
    assert [*overlap_notes(places, {"lib", "library"})] == []
    places |= {"sub": tmp_path / "lib" / "sub"}
    [note] = overlap_notes(places, {"sub"})
    assert note.startswith("source 'sub' lies inside 'lib'")
    assert [*overlap_notes(places, {"library"})] == []
    [same] = overlap_notes({"lib": tmp_path / "lib", "again": tmp_path / "link"}, {"again"})
    assert "is the same folder as 'lib'" in same
