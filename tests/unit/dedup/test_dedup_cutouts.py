"""A photo that is cropped to a part of a larger image, beside other content, is found there."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from mmsearch.dedup.compare import compare_files
from mmsearch.dedup.comparison import PairComparison, compare_examined
from mmsearch.dedup.thumbnails.views import ORIENTATIONS
from tests.support.generated_images import examined, photo, recompressed

Layout = Callable[[Image.Image], Image.Image]


def compared(one: Image.Image, two: Image.Image) -> PairComparison:
    return compare_examined(examined(one), examined(recompressed(two, 88)))


def collage(image: Image.Image, others: int = 50, place: int = 1, gap: int = 8) -> Image.Image:
    """Four square cells."""
    sheet = Image.new("RGB", (2 * (300 + gap), 2 * (300 + gap)), "white")
    cells = [photo(others + number, (300, 300)) for number in range(3)]
    cells.insert(place, ImageOps.fit(image, (300, 300)))
    for number, cell in enumerate(cells):
        corner = (number % 2 * (300 + gap) + gap // 2, number // 2 * (300 + gap) + gap // 2)
        sheet.paste(cell, corner)
    return sheet


def stacked(image: Image.Image) -> Image.Image:
    """Cut off at the borders of the collage itself."""
    sheet = Image.new("RGB", (360, 640))
    sheet.paste(ImageOps.fit(image, (360, 360)), (0, 0))
    sheet.paste(photo(60, (360, 280)), (0, 360))
    return sheet


def story(image: Image.Image) -> Image.Image:
    screen = Image.new("RGB", (540, 960), (24, 26, 32))
    pen, font = ImageDraw.Draw(screen), ImageFont.load_default(28)
    pen.text((30, 40), "Mia, 2 h", font=font, fill="white")
    pen.ellipse((440, 30, 500, 90), fill=(220, 120, 60))
    screen.paste(ImageOps.fit(image, (540, 540)), (0, 180))
    pen.text((30, 800), "what a day at the market", font=font, fill="white")
    return screen


def banner(image: Image.Image) -> Image.Image:
    made = Image.new("RGB", (760, 360), (190, 40, 60))
    made.paste(ImageOps.fit(image, (400, 360)), (360, 0))
    pen = ImageDraw.Draw(made)
    for line, words in enumerate(("Autumn sale", "up to half price", "this week only")):
        pen.text((30, 60 + 80 * line), words, font=ImageFont.load_default(34), fill="white")
    return made


LAYOUTS: dict[str, Layout] = {
    "collage": collage,
    "collage without gaps": lambda image: collage(image, gap=0, place=2),
    "mirrored in a collage": lambda image: collage(ImageOps.mirror(image)),
    "stacked": stacked,
    "story": story,
    "banner": banner,
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("seed", [3, 4])
def test_a_cropped_photo_beside_other_content_is_an_edited_version(name: str, seed: int) -> None:
    image, layout = photo(seed), LAYOUTS[name](photo(seed))
    for found in (compared(image, layout), compared(layout, image).reversed()):
        assert found.judgement == "edited version", found.reason
        assert 0.6 <= found.first_share <= 0.9
        assert found.second_share < 0.75


def test_the_cut_part_lies_where_it_is_shown() -> None:
    found = compared(photo(3), collage(photo(3), place=3))
    assert found.first_share == pytest.approx(0.75, abs=0.06)
    assert found.second_share == pytest.approx(300**2 / 616**2, abs=0.03)
    centre = found.matrix @ [0, 0, 1]
    np.testing.assert_allclose(centre[:2] / centre[2], (312 + 150) / 308 - 1, atol=0.01)
    assert ORIENTATIONS[found.orientation].name == "upright"


def test_both_orders_of_two_files_give_one_answer(tmp_path: Path) -> None:
    pictures = [photo(7), collage(photo(7)), banner(ImageOps.mirror(photo(7))), story(photo(7))]
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    for one, two in combinations(paths, 2):
        there, back = compare_files(one, two), compare_files(two, one)
        assert (there.relation, there.evidence) == (back.relation, back.evidence)


def test_two_collages_with_one_photo_in_common_are_different() -> None:
    one, two = (collage(photo(3), others) for others in (70, 80))
    assert compared(one, two).judgement == "different"
    across, down = Image.new("RGB", (700, 360)), Image.new("RGB", (480, 600))
    for sheet, other, place in ((across, 90, (480, 0)), (down, 91, (0, 360))):
        sheet.paste(photo(3), (0, 0))
        sheet.paste(photo(other), place)
    found = compared(across, down)
    assert found.judgement == "different", found.reason
    wide = [Image.new("RGB", (700, 360)) for _ in "12"]
    for canvas, beside in zip(wide, (photo(81, (220, 360)), photo(82, (220, 360))), strict=True):
        canvas.paste(photo(3), (0, 0))
        canvas.paste(beside, (480, 0))
    found = compared(*wide)
    assert found.judgement == "different", found.reason


def test_one_template_with_other_photos_is_different() -> None:
    found = compared(story(photo(3)), story(photo(4)))
    assert found.judgement == "different", found.reason


def test_views_that_overlap_are_different() -> None:
    scene = photo(5, (720, 360))
    left, right = scene.crop((0, 0, 540, 360)), scene.crop((160, 0, 700, 360))
    found = compared(left, right)
    assert found.judgement == "different", found.reason


def test_a_scene_in_which_something_large_has_moved_is_different() -> None:
    one, two = photo(6), photo(6)
    one.paste(photo(7, (170, 250)), (20, 80))
    two.paste(photo(7, (170, 250)), (290, 60))
    found = compared(one, two)
    assert found.judgement == "different", found.reason
