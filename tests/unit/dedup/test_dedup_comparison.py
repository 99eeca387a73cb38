"""Full comparison: one image, an edited version of it, or a different one that looks similar."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFont, ImageOps

from mmsearch.dedup.cache.comparison_cache import ComparisonCache
from mmsearch.dedup.cache.database import NAME, CacheDatabase
from mmsearch.dedup.comparison import PairComparison, compare_examined
from mmsearch.dedup.comparison.blocks import match_blocks
from mmsearch.dedup.comparison.rendering import overlap_of
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
    """The foreground moves further than the background, as between frames of a burst."""
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


def _scanned(page: Image.Image, seed: int) -> Image.Image:
    """Tilted by two degrees, noisy, grey, with a shadow on one side."""
    turned = page.rotate(2, Image.Resampling.BICUBIC, fillcolor="#f0f0ee").resize((720, 990))
    light = np.linspace(0.78, 1, turned.height)[:, None, None]
    noise = np.random.default_rng(seed).normal(0, 6, (turned.height, turned.width, 3))
    levels = np.clip(np.asarray(turned) * light + noise, 0, 255).astype(np.uint8)
    return recompressed(Image.fromarray(levels).convert("L"), 30)


def test_a_page_that_was_scanned_again_is_found_and_another_one_is_not() -> None:
    letter = page(1, amounts=1)
    again = compared(letter, _scanned(letter, 1))
    assert again.judgement == "edited version", again.reason
    other = compared(letter, _scanned(page(1, amounts=2), 2))
    assert other.judgement == "different", other.reason


def _icon(shape: str) -> Image.Image:
    icon = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(icon)
    pen.rounded_rectangle((8, 8, 248, 248), 40, fill=(190, 50, 40))
    corners = {
        "arrow": [(60, 90), (200, 60), (150, 200)],
        "house": [(50, 190), (120, 50), (210, 190)],
    }
    pen.polygon(corners[shape], fill="white")
    pen.rectangle((100, 150, 160, 220) if shape == "house" else (60, 170, 110, 215), fill="white")
    return icon


def _pie(shares: tuple[int, ...]) -> Image.Image:
    chart = Image.new("RGB", (480, 360), "white")
    pen, start = ImageDraw.Draw(chart), 0
    for share, colour in zip(shares, ("#b02a2a", "#2a6a4a", "#1a4a90", "#c87a1a"), strict=True):
        pen.pieslice((40, 30, 340, 330), start, start + share, fill=colour)
        pen.rectangle((380, 60 + start // 3, 400, 80 + start // 3), fill=colour)
        start += share
    return chart


GRAPHICS = {
    "icons": (_icon("arrow"), _icon("house")),
    "pie charts": (_pie((80, 100, 60, 120)), _pie((150, 40, 100, 70))),
}


@pytest.mark.parametrize("name", GRAPHICS)
def test_drawings_of_one_design_are_different_and_their_copies_are_one_image(name: str) -> None:
    one, other = GRAPHICS[name]
    found = compared(one, other)
    assert found.judgement == "different", found.reason
    for copy in (one.resize((one.width * 3 // 5, one.height * 3 // 5)), recompressed(one, 60)):
        same = compared(one, copy)
        assert same.judgement == "same image", same.reason


def _vignetted(image: Image.Image) -> Image.Image:
    dark = Image.radial_gradient("L").resize(image.size).point([level // 2 for level in range(256)])
    return ImageChops.subtract(image, Image.merge("RGB", (dark,) * 3))


def test_a_vignette_is_a_version_and_a_flat_thing_in_another_colour_is_different() -> None:
    image = photo(3)
    found = compared(image, recompressed(_vignetted(image), 85))
    assert found.judgement == "edited version", found.reason
    packs = []
    for colour in ((200, 70, 60), (60, 80, 190)):
        pack = image.copy()
        pen = ImageDraw.Draw(pack)
        pen.rectangle((120, 40, 340, 330), fill=colour)
        for line in range(8):
            pen.text((140, 60 + 32 * line), "fresh fruit juice of the day", fill="white")
        packs.append(pack)
    other = compared(packs[0], recompressed(packs[1], 85))
    assert other.judgement == "different", other.reason


def test_another_price_on_a_small_label_is_never_one_image() -> None:
    def labelled(price: str) -> Image.Image:
        shelf = photo(8)
        pen = ImageDraw.Draw(shelf)
        pen.rectangle((200, 150, 256, 172), fill="white")
        pen.text((204, 152), price, font=ImageFont.load_default(16), fill="black")
        return shelf

    first = labelled("12.90")
    other = compared(first, recompressed(labelled("18.45"), 85))
    assert other.judgement == "edited version", other.reason
    copy = compared(first, recompressed(labelled("12.90").resize((360, 270)), 80))
    assert copy.judgement == "same image", copy.reason


@pytest.mark.parametrize("number", range(8))
def test_turns_of_odd_sizes_lie_on_each_other_to_a_fraction_of_a_pixel(number: int) -> None:
    image = photo(9, (401, 533))
    found = compared(image, ORIENTATIONS[number].turn_image(image))
    assert found.judgement == "same image", found.reason
    inverse = np.linalg.inv(ORIENTATIONS[number].matrix)
    np.testing.assert_allclose(found.matrix, inverse, atol=0.004)


def test_patches_looked_for_one_by_one_are_found_where_all_are() -> None:
    coarse = np.random.default_rng(4).uniform(0, 255, (48, 64)).astype(np.float32)
    first = np.asarray(Image.fromarray(coarse).resize((128, 96), Image.Resampling.BICUBIC))
    second = first.copy()
    second[40:64, 40:80] = np.roll(first, 1, axis=1)[40:64, 40:80]
    every = match_blocks(first, second, radius=2, floor=4.0)
    some = match_blocks(first, second, radius=2, floor=4.0, until=0.9)
    inside = (slice(5, 8), slice(6, 10))
    np.testing.assert_allclose(every.across[inside], 1, atol=0.5)
    np.testing.assert_allclose(some.correlation[inside], every.correlation[inside], atol=0.01)
    np.testing.assert_allclose(some.across[inside], every.across[inside], atol=0.01)
    np.testing.assert_allclose(some.down[inside], every.down[inside], atol=0.01)
    np.testing.assert_allclose(some.correlation[:4], 1, atol=0.02)


@given(
    number=st.integers(0, 7),
    scales=st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)),
    offsets=st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)),
)
def test_what_straight_pictures_share_is_what_slightly_tilted_ones_share(
    number: int, scales: tuple[float, float], offsets: tuple[float, float]
) -> None:
    matrix = ORIENTATIONS[number].matrix @ np.diag([*scales, 1.0])
    matrix[:2, 2] = offsets
    tilted = matrix.copy()
    tilted[2, 0] = 1e-6
    straight, probed = overlap_of(matrix), overlap_of(tilted)
    assert straight.first_share == pytest.approx(probed.first_share, abs=0.05)
    assert straight.second_share == pytest.approx(probed.second_share, abs=0.05)
    np.testing.assert_allclose(straight.box, probed.box, atol=0.045)


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
    np.testing.assert_allclose(found.matrix, turn.matrix, atol=0.03)
    back = found.reversed()
    np.testing.assert_allclose(back.matrix @ found.matrix, np.eye(3), atol=1e-4)
    assert back.orientation == compared(image, turned).orientation


def test_comparisons_are_kept_by_content(tmp_path: Path) -> None:
    found = compared(photo(3), _with_sticker(photo(3)))
    cache = ComparisonCache(CacheDatabase(tmp_path))
    cache.add({("a", "b"): found})
    cache.save()
    again = ComparisonCache(CacheDatabase(tmp_path)).get(("a", "b"))
    assert again is not None
    np.testing.assert_array_equal(again.matrix, found.matrix)
    assert again.changes == found.changes
    assert again.judgement == found.judgement
    (tmp_path / NAME).write_bytes(b"torn" * 999)
    assert ComparisonCache(CacheDatabase(tmp_path)).get(("a", "b")) is None


@pytest.mark.parametrize("seed", [3, 5, 8])
def test_a_part_in_a_slightly_different_hue_is_an_edited_version(seed: int) -> None:
    image = photo(seed)
    levels = np.array(image.convert("HSV"))
    levels[..., 0] += 28
    recoloured = Image.fromarray(levels, "HSV").convert("RGB")
    mask = Image.new("L", image.size)
    width, height = image.size
    ImageDraw.Draw(mask).ellipse((0.2 * width, 0.3 * height, 0.5 * width, 0.55 * height), fill=255)
    other = image.copy()
    other.paste(recoloured, (0, 0), mask)
    found = compare_examined(examined(image), examined(recompressed(other, 88)))
    assert found.judgement == "edited version", found.reason
