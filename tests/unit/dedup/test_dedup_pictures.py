"""Perceptual duplicates of really encoded images: tolerated edits, and differences that count."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from mmsearch.dedup.compare import compare_files
from mmsearch.dedup.thumbnails import edited_copies as edited
from mmsearch.dedup.thumbnails.alignment import align, window_maps
from mmsearch.dedup.thumbnails.edited_copies import EDITED_AGREEMENT, find_edited
from mmsearch.dedup.thumbnails.fingerprints import SIDE, make_print, read_print
from mmsearch.dedup.thumbnails.greedy_matching import joined
from mmsearch.dedup.thumbnails.views import ORIENTATIONS, WHOLE, WINDOWS, descriptors
from mmsearch.media import MediaBounds
from mmsearch.records import Pixels


def scene(seed: int, size: tuple[int, int] = (360, 300)) -> Image.Image:
    """A busy image: discs of all sizes and colours on a gradient, different for each seed."""
    chance = np.random.default_rng(seed)
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, reach = (
            int(chance.integers(low, high))
            for low, high in zip((0, 0, 6), (*size, 60), strict=True)
        )
        colour = tuple(int(level) for level in chance.integers(0, 256, 3))
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
    return image


def thumbnail(image: Image.Image) -> Pixels:
    return make_print(image, *image.size).thumbnail


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: image.resize((90, 75)),
    "cropped": lambda image: image.crop((30, 10, 340, 270)),
    "bordered": lambda image: ImageOps.expand(image, 20, "white"),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "darker": lambda image: image.point(lambda level: level * 0.6),
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "tilted": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_copy_is_found_among_distinct_pictures(name: str) -> None:
    pictures = [scene(seed) for seed in range(12)]
    copy = EDITS[name](pictures[5])
    thumbnails = np.stack([thumbnail(image) for image in [*pictures, copy]])
    assert find_edited(thumbnails).found.pairs.tolist() == [[5, 12]]


def test_only_pairs_with_new_pictures_are_looked_for_and_both_ways() -> None:
    pictures = [scene(seed) for seed in range(6)]
    crop = EDITS["cropped"]
    old = [*pictures, ImageOps.mirror(pictures[0]), crop(pictures[1])]
    new = [crop(pictures[2]), pictures[3].resize((700, 600))]
    thumbnails = np.stack([thumbnail(image) for image in old + new])
    assert find_edited(thumbnails).found.pairs.tolist() == [[0, 6], [1, 7], [2, 8], [3, 9]]
    assert find_edited(
        thumbnails, known=find_edited(thumbnails[: len(old)])
    ).found.pairs.tolist() == [[0, 6], [1, 7], [2, 8], [3, 9]]
    # A whole image added after its crop is found as well.
    backwards = np.stack([thumbnail(image) for image in [new[0], *pictures]])
    assert find_edited(backwards, known=find_edited(backwards[:1])).found.pairs.tolist() == [[0, 3]]


@pytest.fixture(scope="module")
def copies() -> Pixels:
    """Forty images, and a crop, a frame and a mirrored copy of the first twenty, by original."""
    pictures = [scene(seed) for seed in range(40)]
    changed = [
        EDITS[name](image)
        for image in pictures[:20]
        for name in ("cropped", "bordered", "mirrored")
    ]
    return np.stack([thumbnail(image) for image in [*pictures, *changed]])


@given(st.permutations(range(100)), st.integers(1, 99), st.sampled_from([0, 512]))
@settings(max_examples=12, deadline=None)
def test_whatever_comes_later_ends_in_the_same_groups(
    copies: Pixels, order: list[int], first: int, few: int
) -> None:
    """Few new images are searched for crops exhaustively. few: limit of that search."""
    thumbnails = copies[order]
    known = find_edited(thumbnails[:first])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edited, "_FEW_NEW", few)
        both = find_edited(thumbnails, known=known).found
    roots = joined(np.arange(100), *both.pairs.T)
    groups: dict[int, set[int]] = defaultdict(set)
    for row, root in enumerate(roots.tolist()):
        groups[root].add(order[row])
    expected = [{row, *(40 + 3 * row + place for place in range(3))} for row in range(20)]
    assert sorted(map(sorted, groups.values())) == sorted(
        map(sorted, [*expected, *({row} for row in range(20, 40))])
    )


def test_two_frames_of_a_moving_camera_are_no_copies_of_each_other() -> None:
    wide = scene(9, (400, 300))
    frames = [wide.crop((left, 0, left + 360, 300)) for left in (0, 40)]
    one, other = (thumbnail(frame) for frame in frames)
    assert find_edited(np.stack([one, other])).found.pairs.size == 0
    assert find_edited(np.stack([one, other, thumbnail(wide)])).found.pairs.tolist() == [
        [0, 2],
        [1, 2],
    ]


def test_blank_pictures_are_nobodys_copies() -> None:
    blank = [Image.new("RGB", (64, 64), colour) for colour in ("white", "white", "red")]
    thumbnails = np.stack([thumbnail(image) for image in [*blank, scene(1)]])
    assert len(find_edited(thumbnails).found.pairs) == 0


def test_no_pictures_make_no_pairs() -> None:
    assert find_edited(np.zeros((0, SIDE, SIDE), np.uint8)).found.pairs.shape == (0, 2)


def test_the_orientations_are_the_eight_of_the_square() -> None:
    square = np.arange(16, dtype=np.uint8).reshape(4, 4)
    turned = {turn.turn(square).tobytes() for turn in ORIENTATIONS}
    expected = {np.rot90(side, n).tobytes() for n in range(4) for side in (square, square.T)}
    assert turned == expected
    names = {turn.name: turn for turn in ORIENTATIONS}
    assert (names["turned by 90° clockwise"].turn(square) == np.rot90(square, -1)).all()
    assert (names["mirrored"].turn(square) == square[:, ::-1]).all()


def test_a_turned_descriptor_is_the_descriptor_of_the_turned_picture() -> None:
    small = thumbnail(scene(3))[None, ::2, ::2]
    views = descriptors(small, WHOLE, ORIENTATIONS)[0, 0]
    for view, turn in zip(views, ORIENTATIONS, strict=True):
        direct = descriptors(np.ascontiguousarray(turn.turn(small)))[0, 0, 0]
        np.testing.assert_allclose(view, direct, atol=1e-3)


def test_alignment_finds_where_a_crop_lies() -> None:
    image = scene(8, (256, 256))
    crop = image.crop((26, 0, 256, 230))
    start = window_maps([WINDOWS[6]])
    found = align(thumbnail(crop)[None], thumbnail(image)[None], start)
    assert found.agreement[0] > EDITED_AGREEMENT
    # The crop's centre (141, 115) in the whole, on its scale from -1 to 1.
    np.testing.assert_allclose(found.maps[0, :, 2], [141 / 128 - 1, 115 / 128 - 1], atol=0.03)


def test_tiers_of_two_files(tmp_path: Path) -> None:
    image = scene(4)
    for name in ("a.png", "b.bmp", "c.jpg", "copy.png"):
        image.save(tmp_path / name, quality=60)
    scene(5).save(tmp_path / "other.png")
    turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "exif.png", exif=exif)
    verdicts = {
        other: compare_files(tmp_path / "a.png", tmp_path / other).tier
        for other in ("copy.png", "b.bmp", "exif.png", "c.jpg", "other.png")
    }
    assert verdicts == {
        "copy.png": "bytes",
        "b.bmp": "pixels",
        "exif.png": "pixels",
        "c.jpg": "edited",
        "other.png": "different",
    }


def test_a_print_knows_size_and_sharpness(tmp_path: Path) -> None:
    image = scene(6, (400, 200))
    image.save(tmp_path / "sharp.png")
    image.resize((40, 20)).resize((400, 200)).save(tmp_path / "soft.png")
    sharp, soft = (read_print(tmp_path / name, MediaBounds()) for name in ("sharp.png", "soft.png"))
    assert (sharp.width, sharp.height) == (400, 200)
    assert sharp.thumbnail.shape == (SIDE, SIDE)
    assert sharp.sharpness > 1.5 * soft.sharpness
