"""The strict comparison: one image, a version of it, or something that only looks like it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from mmsearch.dedup.cache.comparison_cache import ComparisonCache
from mmsearch.dedup.comparison import PairComparison, compare_examined
from mmsearch.dedup.comparison.turns import turn_matrix
from mmsearch.dedup.grouping.verification import reversed_comparison
from mmsearch.dedup.thumbnails.views import ORIENTATIONS
from tests.support.generated_images import examined, page, photo, recompressed

Edit = Callable[[Image.Image], Image.Image]


def compared(one: Image.Image, two: Image.Image) -> PairComparison:
    return compare_examined(examined(one), examined(two))


SAME: dict[str, Edit] = {
    "recompressed": lambda image: recompressed(image, 40),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice the size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_only_resolution_compression_and_turns_change_is_one_image(
    name: str, seed: int
) -> None:
    image = photo(seed)
    found = compared(image, recompressed(SAME[name](image), 90))
    assert found.judgement == "same image", found.reason
    assert min(found.first_share, found.second_share) > 0.98


def _cropped(image: Image.Image) -> Image.Image:
    return image.crop((30, 20, image.width - 60, image.height - 25))


def _with_bar(image: Image.Image) -> Image.Image:
    marked = image.copy()
    pen = ImageDraw.Draw(marked)
    pen.rectangle((0, image.height * 7 // 8, image.width, image.height), fill="black")
    pen.text((20, image.height * 7 // 8 + 6), "new this week", fill="white")
    return marked


def _with_sticker(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).ellipse((300, 60, 390, 150), fill="gold", outline="black", width=4)
    return marked


def _in_a_screenshot(image: Image.Image) -> Image.Image:
    screen = Image.new("RGB", (540, 1000), (245, 245, 248))
    pen = ImageDraw.Draw(screen)
    pen.rectangle((0, 0, 540, 90), fill=(30, 90, 200))
    pen.ellipse((20, 110, 80, 170), fill=(220, 120, 60))
    for line in range(6):
        pen.text((30, 700 + 40 * line), "look what I found at the market today", fill="black")
    screen.paste(image.resize((500, 375)), (20, 200))
    return screen


def _tilted(image: Image.Image) -> Image.Image:
    return image.rotate(7, Image.Resampling.BICUBIC, fillcolor="white")


VERSIONS: dict[str, Edit] = {
    "cropped": _cropped,
    "mirrored and cropped": lambda image: ImageOps.mirror(_cropped(image)),
    "framed": lambda image: ImageOps.expand(image, 30, "white"),
    "bar": _with_bar,
    "sticker": _with_sticker,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "tilted": _tilted,
    "stretched": lambda image: image.resize((image.width * 6 // 5, image.height)),
    "screenshot": _in_a_screenshot,
}


@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("seed", [3, 4])
def test_what_shows_less_more_or_other_colours_is_an_edited_version(name: str, seed: int) -> None:
    image = photo(seed)
    found = compared(image, recompressed(VERSIONS[name](image), 85))
    assert found.judgement == "edited version", found.reason


def test_a_crop_says_how_much_it_shows_and_where() -> None:
    image = photo(5)
    found = compared(image, _cropped(image))
    share = (480 - 90) * (360 - 45) / (480 * 360)
    assert found.first_share == pytest.approx(share, abs=0.02)
    assert found.second_share > 0.98
    centre = found.matrix @ [(30 + 195) / 240 - 1, (20 + 157.5) / 180 - 1, 1.0]
    np.testing.assert_allclose(centre[:2] / centre[2], 0, atol=0.02)


def test_a_sticker_is_boxed_where_it_is() -> None:
    found = compared(photo(3), _with_sticker(photo(3)))
    (box,) = found.changes
    right = [300 / 480, 60 / 360, 390 / 480, 150 / 360]
    np.testing.assert_allclose([box.left, box.top, box.right, box.bottom], right, atol=0.05)


def _other_garment(image: Image.Image) -> Image.Image:
    """A large part in another colour, with its own folds."""
    hue, saturation, value = image.convert("HSV").split()
    turned = Image.merge("HSV", (hue.point(lambda level: (level + 110) % 256), saturation, value))
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).rectangle((100, 40, 400, 340), fill=255)
    return Image.composite(turned.convert("RGB"), image, mask)


def _moved_camera(image: Image.Image) -> Image.Image:
    """What is near moves further than what is far, as from one frame of a burst to the next."""
    near = image.crop((150, 90, 350, 290))
    moved = image.crop((6, 4, image.width, image.height)).resize(image.size)
    moved.paste(near, (128, 80))
    return moved


@pytest.mark.parametrize("seed", [6, 7])
@pytest.mark.parametrize("edit", [_other_garment, _moved_camera])
def test_another_colour_or_another_frame_is_never_one_image(edit: Edit, seed: int) -> None:
    image = photo(seed)
    assert compared(image, recompressed(edit(image), 90)).judgement != "same image"


def test_pictures_of_other_things_are_different() -> None:
    pairs = [(photo(one), photo(two)) for one, two in [(10, 11), (11, 12), (12, 10)]]
    assert {compared(*pair).judgement for pair in pairs} == {"different"}


def test_pages_of_one_letterhead_are_different_and_their_copies_are_not() -> None:
    letter = page(1, amounts=1)
    assert compared(letter, page(2, amounts=1)).judgement == "different"
    other_amounts = compared(letter, page(1, amounts=2))
    assert other_amounts.judgement == "different", other_amounts.reason
    for size, quality in [((600, 825), 50), ((800, 1100), 30)]:
        copy = compared(letter, recompressed(letter.resize(size), quality))
        assert copy.judgement != "different", copy.reason


def test_pictures_with_nothing_to_see_are_never_joined() -> None:
    dark = [Image.new("RGB", (300, 200), (level, level, level)) for level in (2, 3)]
    assert compared(*dark).judgement == "different"


@settings(max_examples=8, deadline=None)
@given(number=st.integers(0, 7), seed=st.integers(20, 40))
def test_the_orientation_is_found_and_reversed(number: int, seed: int) -> None:
    image = photo(seed, (360, 270))
    turn = ORIENTATIONS[number]
    turned = Image.fromarray(
        np.ascontiguousarray(np.moveaxis(turn.turn(np.moveaxis(np.asarray(image), 2, 0)), 0, 2))
    )
    found = compared(turned, image)
    assert found.judgement == "same image"
    assert found.orientation == number
    np.testing.assert_allclose(found.matrix, turn_matrix(turn), atol=0.03)
    back = reversed_comparison(found)
    np.testing.assert_allclose(back.matrix @ found.matrix, np.eye(3), atol=1e-4)
    assert back.orientation == compared(image, turned).orientation


def test_comparisons_are_kept_by_content(tmp_path: Path) -> None:
    found = compared(photo(3), _with_sticker(photo(3)))
    cache = ComparisonCache(tmp_path / "comparisons.sqlite")
    cache.add({("a", "b"): found})
    cache.save()
    again = ComparisonCache(tmp_path / "comparisons.sqlite").get(("a", "b"))
    assert again is not None
    np.testing.assert_array_equal(again.matrix, found.matrix)
    assert again.changes == found.changes
    assert again.judgement == found.judgement
    (tmp_path / "comparisons.sqlite").write_bytes(b"torn" * 999)
    assert ComparisonCache(tmp_path / "comparisons.sqlite").get(("a", "b")) is None
