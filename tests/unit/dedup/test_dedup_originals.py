"""Choice of the original of a group, with real files and exact registrations."""

import io
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageOps

from mmsearch.dedup.originals import (
    Candidate,
    Registration,
    choose,
    read_candidate,
)
from mmsearch.dedup.originals.names import copy_hints
from mmsearch.dedup.originals.quantisation import remainder
from mmsearch.dedup.originals.same_grid import on_same_grid
from mmsearch.media import MediaBounds

Matrix = NDArray[np.float64]
SIZE = (400, 300)
SAME = np.eye(3)
MIRROR = np.diag([-1.0, 1.0, 1.0])


def scene(seed: int = 1, size: tuple[int, int] = SIZE) -> Image.Image:
    """Shapes, gradients and grain of all sizes, as in a photograph."""
    chance = np.random.default_rng(seed)
    picture = np.zeros((size[1], size[0], 3))
    for cells in (3, 6, 12, 25, 50, 100, 200):
        noise = chance.uniform(0, 255, (cells, cells, 3)).astype(np.uint8)
        layer = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        picture += (np.asarray(layer) - 127.5) / cells**0.6
    picture = (picture - picture.mean()) / picture.std() * 42 + 125
    return Image.fromarray(np.clip(picture, 5, 250).astype(np.uint8))


def saved(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **{"format": "JPEG", **options})  # type: ignore[arg-type]
    return stream.getvalue()


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def candidate(data: bytes, name: str, modified: int = 0) -> Candidate:
    return read_candidate(data, path=name, modified=modified, bounds=MediaBounds())


def camera() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS 750D"
    return exif


def framed(image: Image.Image) -> tuple[Image.Image, Matrix]:
    width, height = image.size
    return ImageOps.expand(image, 25, "white"), np.diag(
        [width / (width + 50), height / (height + 50), 1]
    )


def cropped(image: Image.Image) -> tuple[Image.Image, Matrix]:
    width, height = image.size
    return image.crop((40, 30, width - 40, height - 30)), np.diag([1.25, 1.25, 1.0])


def captioned(image: Image.Image) -> tuple[Image.Image, Matrix]:
    marked = image.copy()
    ImageDraw.Draw(marked).rectangle((60, 220, 340, 270), fill="yellow", outline="black", width=4)
    return marked, SAME


def grey(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return image.convert("L").convert("RGB"), SAME


def enlarged(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return ImageOps.scale(image, 1.6, Image.Resampling.BICUBIC), SAME


def reduced(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return ImageOps.scale(image, 0.5), SAME


def mirrored(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return ImageOps.mirror(image), MIRROR


def as_it_is(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return image, SAME


def stretched(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return image.resize((round(image.width * 1.15), image.height), Image.Resampling.BICUBIC), SAME


def brighter(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return image.point([min(255, round(1.2 * level)) for level in range(256)] * 3), SAME


def blurred(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return image.filter(ImageFilter.GaussianBlur(1.2)), SAME


def sharpened(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return image.filter(ImageFilter.UnsharpMask(2, 150, 2)), SAME


def noisy(image: Image.Image) -> tuple[Image.Image, Matrix]:
    grain = np.random.default_rng(3).normal(0, 8, (*image.size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)), SAME


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (framed, "no frame"),
        (cropped, "whole picture"),
        (captioned, "no caption"),
        (grey, "full colour"),
        (enlarged, "not enlarged"),
        (reduced, "times the detail"),
        (mirrored, "saved from it"),
        (as_it_is, "saved from it"),
        (brighter, "saved from it"),
        (stretched, "not stretched"),
    ],
)
def test_a_poor_original_stays_rather_than_a_better_saved_copy_of_it(
    edit: Callable[[Image.Image], tuple[Image.Image, Matrix]], why: str
) -> None:
    original = saved(scene(), quality=72)
    copy, matrix = edit(decoded(original))
    # There is no other evidence for the original: no metadata, no name, no time.
    pair = candidate(saved(copy, quality=93), "a.jpg"), candidate(original, "b.jpg")
    choice = choose(pair, {(1, 0): Registration(matrix)})
    assert choice.order == (1, 0)
    assert why in choice.reason


def smoothed(image: Image.Image) -> tuple[Image.Image, Matrix]:
    return image.filter(ImageFilter.BoxBlur(1)), SAME


@pytest.mark.parametrize("edit", [blurred, smoothed, sharpened, noisy])
@pytest.mark.parametrize("quality", [75, 88])
def test_a_file_stays_rather_than_a_blurred_sharpened_or_noisy_copy_of_it(
    edit: Callable[[Image.Image], tuple[Image.Image, Matrix]], quality: int
) -> None:
    # Grain of the size of a pixel, without which the original itself looks blurred.
    grain = np.random.default_rng(1).normal(0, 5, (*SIZE[::-1], 1))
    image = Image.fromarray(np.clip(np.asarray(scene()) + grain, 0, 255).astype(np.uint8))
    original = saved(image, quality=quality)
    copy, matrix = edit(decoded(original))
    pair = candidate(saved(copy, quality=90), "a"), candidate(original, "b")
    assert choose(pair, {(0, 1): Registration(matrix)}).index == 1


def shifted_crop(image: Image.Image) -> tuple[Image.Image, Matrix]:
    """Crops 13 pixels on the left and 9 at the bottom."""
    width, height = image.size
    scale = np.array([width / (width - 13), height / (height - 9)])
    matrix = np.array([[scale[0], 0, scale[0] - 1 - 26 / (width - 13)],
                       [0, scale[1], scale[1] - 1], [0, 0, 1]])  # fmt: skip
    return image.crop((13, 0, width, height - 9)), matrix


def test_a_crop_lies_on_the_pixels_that_it_was_cut_from() -> None:
    image = scene(7)
    cut, matrix = shifted_crop(image)
    whole, part = candidate(saved(image, format="PNG"), "a"), candidate(
        saved(cut, format="PNG"), "b"
    )  # fmt: skip
    # A registration has subpixel errors.
    off = np.array([[1e-3, 0, 2e-3], [-1e-3, 0, -3e-3], [0, 0, 0]])
    grid = on_same_grid(part, whole, np.linalg.inv(matrix) + off)
    assert grid is not None
    assert grid.own.shape == (192, 192, 3)
    assert np.array_equal(grid.own, grid.other)


def test_pictures_that_are_turned_by_a_few_degrees_have_no_grid_in_common() -> None:
    image = scene(7)
    pair = candidate(saved(image), "a"), candidate(saved(image.rotate(4)), "b")
    turn = np.radians(4)
    matrix = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0],
                       [0, 0, 1]])  # fmt: skip
    assert on_same_grid(*pair, matrix) is None


@pytest.mark.parametrize("turned", [False, True])
def test_a_copy_misses_its_source_by_what_its_own_file_rounds_off(turned: bool) -> None:
    original = saved(scene(8, (397, 301)), quality=75)
    image = decoded(original)
    copy = ImageOps.mirror(image) if turned else image
    pair = candidate(original, "a"), candidate(saved(copy, quality=92), "b")
    matrix = MIRROR if turned else SAME
    left = []
    for own, other in (pair, pair[::-1]):
        grid = on_same_grid(own, other, matrix)
        assert grid is not None
        assert own.file.table is not None
        found = remainder(grid.own, grid.other, own.file.table)
        assert found is not None
        left.append(found)
    assert left[0].plain < 0.6
    # On one block grid the steps of both files coincide by chance.
    assert left[1].plain == pytest.approx(1, abs=0.25) if turned else left[1].repeated > 0.95


@pytest.mark.parametrize("quality", [70, 85])
def test_a_file_stays_rather_than_the_same_one_saved_again_with_its_own_table(
    quality: int,
) -> None:
    # Clipped highlights, as photographs have them, do not survive rounding.
    image = scene(12).point([min(255, round(1.5 * level)) for level in range(256)] * 3)
    original = saved(image, quality=quality)
    copy = saved(decoded(original), quality=quality)
    choice = choose([candidate(copy, "a"), candidate(original, "b")], {(0, 1): Registration(SAME)})
    assert choice.index == 1
    assert choice.reason == "others were saved from it"


def test_all_members_have_a_vote_on_tones() -> None:
    """Two files disagree without other evidence; a crop and a thumbnail decide."""
    image = scene(9)
    warm = image.point(
        [min(255, round(gain * level)) for gain in (1.1, 1.0, 0.9) for level in range(256)]
    )
    cut, matrix = cropped(image)
    files = [
        candidate(saved(warm, format="PNG"), "a"),
        candidate(saved(image, format="PNG"), "b"),
        candidate(saved(cut, format="PNG"), "c"),
        candidate(saved(image.resize((200, 150)), format="PNG"), "d"),
    ]
    facts = {(0, 1): SAME, (0, 2): matrix, (0, 3): SAME}
    choice = choose(files, {pair: Registration(each) for pair, each in facts.items()})
    assert choice.index == 1
    assert "files show it so" in choice.reason


def test_a_colour_profile_does_not_hide_whose_pixels_a_lossless_copy_holds() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    original = saved(scene(11), quality=80, icc_profile=profile)
    with Image.open(io.BytesIO(original)) as opened:
        stored = opened.convert("RGB")
    pair = candidate(saved(stored, format="PNG"), "a"), candidate(original, "b")
    assert np.array_equal(pair[0].close, pair[1].close)
    assert choose(pair, {(0, 1): Registration(SAME)}).index == 1


@pytest.mark.parametrize("kind", ["WEBP", "GIF"])
def test_a_jpeg_stays_rather_than_another_lossy_file_made_of_it(kind: str) -> None:
    original = saved(scene(10), quality=70)
    pair = candidate(saved(decoded(original), format=kind), "a"), candidate(original, "b")
    assert choose(pair, {(0, 1): Registration(SAME)}).index == 1


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_the_jpeg_stays_rather_than_a_lossless_file_of_its_pixels(kind: str) -> None:
    original = saved(scene(2), quality=80)
    pair = candidate(saved(decoded(original), format=kind), "a"), candidate(original, "b")
    assert choose(pair, {(0, 1): Registration(SAME)}).index == 1


@pytest.mark.parametrize("quality", [70, 95])
def test_a_lossless_drawing_stays_rather_than_an_older_jpeg_of_it(quality: int) -> None:
    drawing = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(drawing)
    pen.polygon([(140, 60), (260, 60), (200, 250)], fill=(240, 130, 20))
    pen.ellipse((150, 20, 250, 80), fill=(40, 150, 60), outline=(20, 80, 30), width=4)
    pen.line((170, 90, 215, 200), fill=(200, 90, 10), width=3)
    files = (
        candidate(saved(drawing, format="PNG"), "b.png", 20),
        candidate(saved(drawing, quality=quality), "a.jpg", 10),
    )
    assert choose(files, {(0, 1): Registration(SAME)}).index == 0


def test_of_two_lossless_files_of_equal_pixels_the_smaller_stays() -> None:
    image = scene(2)
    older, newer = saved(image, format="BMP"), saved(image, format="PNG")
    assert len(newer) < len(older)
    pair = candidate(older, "a", modified=1), candidate(newer, "b", modified=2)
    choice = choose(pair, {(0, 1): Registration(SAME)})
    assert choice.index == 1
    assert choice.reason == "same pixels in fewer bytes"


@pytest.mark.parametrize(
    ("options", "name"), [({"exif": camera()}, "a.png"), ({}, "photos/garden copy.png")]
)
def test_a_larger_lossless_file_stays_if_metadata_or_names_say_so(
    options: dict[str, object], name: str
) -> None:
    image = scene(2)
    files = {True: saved(image, format="TIFF", **options), False: saved(image, format="PNG")}
    pair = candidate(files[True], "photos/garden.tiff", 1), candidate(files[False], name, 2)
    assert len(files[False]) < len(files[True])
    assert choose(pair, {(0, 1): Registration(SAME)}).index == 0


@pytest.mark.parametrize("quality", [70, 88])
def test_a_file_stays_rather_than_a_tilted_copy_whose_corners_are_filled_from_its_edge(
    quality: int,
) -> None:
    original = saved(scene(14), quality=quality)
    pixels = np.pad(np.asarray(decoded(original)), ((60, 60), (60, 60), (0, 0)), mode="reflect")
    tilted = Image.fromarray(pixels).rotate(4, Image.Resampling.BILINEAR).crop((60, 60, 460, 360))
    turn, (width, height) = np.radians(4), SIZE
    matrix = np.array([
        [np.cos(turn), np.sin(turn) * height / width, 0],
        [-np.sin(turn) * width / height, np.cos(turn), 0],
        [0, 0, 1],
    ])  # fmt: skip
    pair = candidate(saved(tilted, quality=93), "a"), candidate(original, "b")
    choice = choose(pair, {(1, 0): Registration(matrix)})
    assert choice.index == 1
    assert "sharper" in choice.reason


def test_the_less_compressed_of_two_files_stays_where_it_was_not_saved_from_the_other() -> None:
    original = saved(scene(3), quality=95)
    copy = saved(decoded(original), quality=60)
    choice = choose([candidate(copy, "a"), candidate(original, "b")], {(0, 1): Registration(SAME)})
    assert choice.index == 1
    assert choice.reason == "less compressed (quality 95 against 60)"


def test_of_equal_pixels_the_file_with_camera_metadata_stays() -> None:
    picture = scene(4)
    bare, full = saved(picture, quality=85), saved(picture, quality=85, exif=camera())
    choice = choose([candidate(bare, "a"), candidate(full, "b")], {(0, 1): Registration(SAME)})
    assert choice.index == 1
    assert choice.reason == "has camera EXIF"


def test_a_file_turned_by_exif_is_read_on_its_own_grid() -> None:
    original = saved(scene(5, (403, 301)), quality=70)
    turned = decoded(original).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    copy = saved(turned, quality=93, exif=exif)
    pair = candidate(copy, "a"), candidate(original, "b")
    assert (pair[0].file.width, pair[0].file.height) == (403, 301)
    assert choose(pair, {(0, 1): Registration(SAME)}).index == 1


GROUP_EDITS = (framed, cropped, captioned, grey, enlarged, mirrored, as_it_is)


@pytest.fixture(scope="module")
def group() -> tuple[list[Candidate], list[Matrix]]:
    original = saved(scene(6), quality=75, exif=camera())
    made = [edit(decoded(original)) for edit in GROUP_EDITS]
    files = [original, *(saved(image, quality=92) for image, _ in made)]
    candidates = [candidate(data, f"{number}.jpg", number) for number, data in enumerate(files)]
    return candidates, [SAME, *(matrix for _, matrix in made)]


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(len(GROUP_EDITS) + 1)), hub=st.integers(0, len(GROUP_EDITS)))
def test_the_choice_does_not_depend_on_the_order_nor_on_which_pairs_are_known(
    group: tuple[list[Candidate], list[Matrix]], order: list[int], hub: int
) -> None:
    candidates, matrices = group
    facts = {
        (hub, place): Registration(matrices[order[place]] @ np.linalg.inv(matrices[order[hub]]))
        for place in range(len(order))
        if place != hub
    }
    choice = choose([candidates[number] for number in order], facts)
    assert order[choice.index] == 0
    assert sorted(choice.order) == list(range(len(order)))


def test_the_whole_order_is_the_same_for_every_order_of_the_files(
    group: tuple[list[Candidate], list[Matrix]],
) -> None:
    candidates, matrices = group
    some = (0, 1, 3)
    found = set()
    for order in itertools.permutations(some):
        facts = {
            (one, two): Registration(matrices[order[two]] @ np.linalg.inv(matrices[order[one]]))
            for one, two in itertools.combinations(range(len(order)), 2)
        }
        choice = choose([candidates[number] for number in order], facts)
        found.add((tuple(order[place] for place in choice.order), choice.reason))
    assert len(found) == 1


def test_files_that_no_pair_connects_come_last(
    group: tuple[list[Candidate], list[Matrix]],
) -> None:
    candidates, _ = group
    choice = choose(candidates[5:8], {(0, 1): Registration(MIRROR)})
    assert choice.order[-1] == 2


@pytest.mark.parametrize(
    ("path", "hints"),
    [
        ("DCIM/100CANON/IMG_0012.JPG", -1),
        ("photos/garden.jpg", 0),
        ("photos/garden (1).jpg", 1),
        ("photos/garden - Kopie.png", 1),
        ("photos/garden_thumb.jpg", 1),
        ("Downloads/garden.jpg", 1),
        ("WhatsApp/Media/WhatsApp Images/IMG-20240101-WA0003.jpg", 3),
        ("photos/Screenshot_20240101.png", 1),
        ("photos/copyright.jpg", 0),
    ],
)
def test_signs_of_a_copy_in_paths(path: str, hints: int) -> None:
    assert copy_hints(path) == hints
