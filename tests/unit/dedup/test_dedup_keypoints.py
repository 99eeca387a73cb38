"""Keypoints: rotated, mirrored, cropped or embedded images are found and aligned."""

import io
import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont, ImageOps

import mmsearch.sample
from mmsearch.dedup.keypoints import Keypoints, extract, match, propose
from mmsearch.errors import InputError
from mmsearch.records import Floats

_SAMPLES = sorted((Path(mmsearch.sample.__file__).parent / "data" / "images").glob("*.webp"))
_TILES = 12
_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)


@cache
def scene(number: int) -> Image.Image:
    """An image full of objects, 400 x 300; no two scenes share an object."""
    sources = _SAMPLES[number * _TILES : (number + 1) * _TILES]
    assert len(sources) == _TILES
    draw = random.Random(number)
    colour = (draw.randrange(90, 200), draw.randrange(90, 200), draw.randrange(90, 200))
    picture = Image.new("RGB", (400, 300), colour)
    for place, source in enumerate(sources):
        with Image.open(source) as opened:
            tile = opened.convert("RGB").resize((draw.randrange(90, 120),) * 2)
        corner = (place % 4 * 100 - draw.randrange(12), place // 4 * 100 - draw.randrange(12))
        picture.paste(tile, corner)
    return picture


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    return Image.open(held).convert("RGB")


def inside(picture: Image.Image, size: tuple[int, int], corner: tuple[int, int]) -> Image.Image:
    """The image pasted into a larger one with bars and lines, like a screenshot of an app."""
    larger = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(larger)
    draw.rectangle((0, 0, size[0], 22), fill=(40, 60, 120))
    for y in range(32, size[1], 14):
        draw.line((8, y, size[0] * 2 // 3, y), fill=(90, 90, 90))
    larger.paste(picture, corner)
    return larger


def page(seed: int) -> Image.Image:
    """A page of random words: the same glyphs in another order on every page."""
    draw_words = random.Random(seed)
    picture = Image.new("RGB", (420, 560), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(13)
    words = ("invoice", "order", "the", "of", "amount", "price", "total", "and", "item", "number")
    for line in range(30):
        text = " ".join(draw_words.choice(words) for _ in range(9))
        draw.text((24, 20 + line * 17), text, fill="black", font=font)
    return picture


def moved(points: Floats, affine: Floats) -> Floats:
    placed: Floats = points @ affine[:, :2].T + affine[:, 2]
    return placed


@settings(max_examples=12, deadline=None)
@given(angle=st.floats(0, 360), mirrored=st.booleans(), number=st.integers(0, 5))
def test_turning_and_mirroring_an_image_turns_and_mirrors_the_map(
    angle: float, mirrored: bool, number: int
) -> None:
    original = scene(number)
    copy = ImageOps.mirror(original) if mirrored else original
    copy = copy.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="black")
    found = match(extract(original), extract(copy))
    half, larger = (np.array(each.size) / 2 for each in (original, copy))
    turn = np.radians(-angle)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pixels = _CORNERS * half * ([-1, 1] if mirrored else [1, 1])
    assert moved(_CORNERS, found[0].map) == pytest.approx(pixels @ spin.T / larger, abs=0.03)
    assert (np.linalg.det(found[0].map[:, :2]) < 0) == mirrored
    assert found[0].inliers >= 20


@pytest.mark.parametrize("number", range(4))
def test_a_mirrored_crop_lies_where_it_was_cut(number: int) -> None:
    original = scene(number)
    crop = ImageOps.mirror(original.crop((40, 24, 370, 280)))
    (found, *_) = match(extract(crop), extract(recompressed(original, 60)))
    expected = np.array([[370, 24], [40, 24], [40, 280], [370, 280]]) / (200, 150) - 1
    assert moved(_CORNERS, found.map) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("number", range(4))
def test_a_photo_in_a_quarter_of_a_screenshot_is_found_in_its_place(number: int) -> None:
    small = scene(number).resize((300, 225))
    screenshot = recompressed(inside(small, (400, 675), (50, 200)), 75)
    (found, *_) = match(extract(scene(number)), extract(screenshot))
    expected = np.array([[50, 200], [350, 200], [350, 425], [50, 425]]) / (200, 337.5) - 1
    assert moved(_CORNERS, found.map) == pytest.approx(expected, abs=0.03)


def test_different_scenes_do_not_match() -> None:
    keypoints = [extract(scene(number)) for number in range(8)]
    found = [match(one, two) for at, one in enumerate(keypoints) for two in keypoints[:at]]
    assert max((each.inliers for some in found for each in some), default=0) < 8


def test_proposals_are_the_edited_copies_and_nothing_else() -> None:
    originals = [scene(number) for number in range(20)]
    edited = [
        ImageOps.mirror(originals[0]).crop((30, 20, 380, 270)),
        originals[1].rotate(11, Image.Resampling.BICUBIC, fillcolor="white"),
        inside(originals[2].resize((280, 210)), (360, 600), (40, 180)),
        recompressed(originals[3].transpose(Image.Transpose.TRANSVERSE), 40),
        inside(originals[4], (600, 500), (150, 80)),
    ]
    proposals = propose([extract(each) for each in [*originals, *edited]])
    assert proposals.pairs.tolist() == [[number, 20 + number] for number in range(5)]
    assert proposals.maps.shape == (5, 2, 3)
    assert proposals.maps.dtype == np.float32
    assert (np.linalg.det(proposals.maps[:, :, :2]) < 0).tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_the_frame_of_many_screenshots_proposes_nothing_but_their_content_does() -> None:
    frame = scene(30).resize((300, 600))
    screenshots = []
    for number in range(60):
        screenshot = frame.copy()
        content = _SAMPLES[number]
        with Image.open(content) as opened:
            screenshot.paste(opened.convert("RGB").resize((200, 200)), (50, 200))
        screenshots.append(screenshot)
    copy = recompressed(screenshots[7].crop((20, 100, 280, 500)), 70)
    proposals = propose([extract(each) for each in [*screenshots, copy]])
    assert [7, 60] in proposals.pairs.tolist()
    # Of 1,830 pairs: they share three quarters of their area.
    assert len(proposals) < 300


def test_pages_of_other_text_are_not_proposed_but_a_tilted_scan_is() -> None:
    pages = [page(seed) for seed in range(12)]
    scan = recompressed(pages[5].rotate(1.5, Image.Resampling.BICUBIC, fillcolor="white"), 50)
    proposals = propose([extract(each) for each in [*pages, scan]])
    assert [5, 12] in proposals.pairs.tolist()
    assert len(proposals) <= 6


def test_blank_images_have_no_keypoints_and_are_never_proposed() -> None:
    blank = extract(Image.new("RGB", (640, 480), "grey"))
    assert len(blank) == 0
    assert len(propose([])) == 0
    assert len(propose([blank, blank])) == 0
    assert match(blank, extract(scene(0))) == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (2000, 7), (24, 24)])
def test_images_of_any_shape_are_read(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    keypoints = extract(Image.fromarray(noise))
    assert len(match(keypoints, keypoints)) <= 2


def test_grey_and_colour_give_the_same_keypoints() -> None:
    assert extract(scene(1)).to_bytes() == extract(scene(1).convert("L")).to_bytes()


def test_keypoints_survive_being_stored_and_fit_in_20_kilobytes() -> None:
    keypoints = extract(scene(3))
    stored = keypoints.to_bytes()
    assert len(stored) <= 20_000
    again = Keypoints.from_bytes(stored)
    assert again.to_bytes() == stored
    assert match(keypoints, again)[0].map == pytest.approx(np.eye(2, 3), abs=0.01)


@pytest.mark.parametrize("damaged", [b"", b"abc", extract(scene(0)).to_bytes()[:-1]])
def test_damaged_keypoints_are_refused(damaged: bytes) -> None:
    with pytest.raises(InputError, match="hold no keypoints"):
        Keypoints.from_bytes(damaged)
