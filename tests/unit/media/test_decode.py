"""Upright, from the right frame, and at the size that was asked for."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from mmsearch.errors import MediaTooLarge
from mmsearch.media import MediaBounds, Preprocessing, decode, prepare

Encode = Callable[..., bytes]
Distance = Callable[[Image.Image, Image.Image], float]

# How a camera held so stores an upright picture: what undoes the orientation, by EXIF's number.
STORED = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}


def stored(image: Image.Image, orientation: int) -> tuple[Image.Image, bytes]:
    for step in STORED[orientation]:
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return image, exif.tobytes()


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_all_orientations_are_upright(
    reference: Image.Image, encode: Encode, distance: Distance, orientation: int, format: str
) -> None:
    image, exif = stored(reference, orientation)
    decoded = decode(encode(image, format, exif=exif, quality=95))
    assert (decoded.width, decoded.height) == (240, 160)
    assert distance(decoded.image, reference) <= 3.0


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0junk", b"Exif\0\0"])
def test_damaged_exif_is_ignored_without_a_word(
    reference: Image.Image,
    encode: Encode,
    distance: Distance,
    capfd: pytest.CaptureFixture[str],
    exif: bytes,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = decode(encode(reference, "JPEG", quality=95, exif=exif))
    assert distance(decoded.image, reference) <= 3.0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_unknown_orientations_leave_the_picture_alone(
    reference: Image.Image, encode: Encode, distance: Distance, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert distance(decode(encode(reference, "PNG", exif=exif)).image, reference) == 0.0


@pytest.mark.parametrize(
    ("format", "tolerance"), [("GIF", 9), ("WEBP", 0), ("PNG", 0), ("TIFF", 0)]
)
def test_a_black_beginning_is_passed_over(
    reference: Image.Image, encode: Encode, distance: Distance, format: str, tolerance: float
) -> None:
    frames = [Image.new("RGB", reference.size, (level, 0, 0)) for level in (0, 1)]
    # Writers merge frames that are equal, so each is a level darker than the last.
    frames += [reference.point(lambda level, darker=darker: level - darker) for darker in range(6)]
    data = encode(
        frames[0], format, save_all=True, append_images=frames[1:], duration=50, lossless=True
    )
    decoded = decode(data)
    assert decoded.frames == 8
    # An eighth of the way lies the second frame, a quarter of the way the first real one.
    assert distance(decoded.image, reference) <= tolerance


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_a_good_first_frame_stands_for_all(
    reference: Image.Image, encode: Encode, distance: Distance, format: str
) -> None:
    others = [Image.new("RGB", reference.size, colour) for colour in ("red", "green", "blue")]
    decoded = decode(encode(reference, format, save_all=True, append_images=others))
    assert decoded.frames == 4
    assert distance(decoded.image, reference) <= 9.0


def test_the_further_pictures_of_a_camera_are_no_frames(
    reference: Image.Image, encode: Encode, distance: Distance
) -> None:
    data = encode(
        Image.new("RGB", (240, 160)), "MPO", save_all=True, append_images=[reference], quality=95
    )
    decoded = decode(data, draft=(20, 20))
    assert (decoded.format, decoded.frames, decoded.width) == ("jpeg", 1, 240)
    assert not np.asarray(decoded.image).any()
    shown = decode(encode(reference, "MPO", save_all=True, append_images=[reference], quality=95))
    assert distance(shown.image, reference) <= 3.0


def test_blank_animations_are_pictures_too(encode: Encode) -> None:
    blank = [Image.new("RGB", (40, 30), (0, 0, level)) for level in (0, 60, 120)]
    decoded = decode(encode(blank[0], "GIF", save_all=True, append_images=blank[1:]))
    assert decoded.frames == 3
    assert decoded.image.size == (40, 30)


def test_the_search_for_a_frame_decodes_no_more_than_the_bound(
    reference: Image.Image, encode: Encode
) -> None:
    black = Image.new("RGB", reference.size)
    data = encode(
        black, "PNG", save_all=True, append_images=[reference, *[black] * 5, reference], duration=9
    )
    close = decode(data, bounds=MediaBounds(max_pixels=240 * 160))
    assert not np.asarray(close.image).any()
    assert np.asarray(decode(data).image).any()


def test_the_pages_of_a_tiff_are_bounded_one_by_one(encode: Encode) -> None:
    small, large = Image.new("RGB", (10, 10)), Image.new("RGB", (400, 400))
    data = encode(small, "TIFF", save_all=True, append_images=[large] * 3)
    with pytest.raises(MediaTooLarge, match="400 x 400"):
        decode(data, bounds=MediaBounds(max_pixels=1000))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JXL"])
def test_strips_of_one_pixel_are_pictures(
    encode: Encode, size: tuple[int, int], format: str
) -> None:
    decoded = decode(encode(Image.new("RGB", size, (0, 0, 255)), format))
    assert (decoded.width, decoded.height) == decoded.image.size == size
    for mode in ("shortest", "longest", "squash"):
        assert prepare(decoded.image, Preprocessing(size=64, mode=mode)).shape == (64, 64, 3)


@pytest.mark.parametrize("orientation", [1, 6])
def test_draft_is_smaller_and_looks_the_same(
    reference: Image.Image, encode: Encode, distance: Distance, orientation: int
) -> None:
    large = reference.resize((2400, 1600), Image.Resampling.BICUBIC)
    image, exif = stored(large, orientation)
    data = encode(image, "JPEG", quality=92, exif=exif)
    full, draft = decode(data), decode(data, draft=(224, 224))
    assert (draft.width, draft.height) == (full.width, full.height) == (2400, 1600)
    assert draft.image.size == (1200, 800)
    spec = Preprocessing(size=224)
    shown = Image.fromarray(prepare(draft.image, spec))
    assert distance(shown, Image.fromarray(prepare(full.image, spec))) <= 0.6


@pytest.mark.parametrize("wanted", [1, 50, 112, 150, 300, 448, 449, 900])
def test_draft_keeps_twice_the_wanted_size(encode: Encode, wanted: int) -> None:
    data = encode(Image.new("RGB", (1300, 897), "teal"), "JPEG")
    image = decode(data, draft=(wanted, wanted)).image
    assert min(image.size) >= min(2 * wanted, 897)


def test_draft_leaves_other_formats_alone(reference: Image.Image, encode: Encode) -> None:
    assert decode(encode(reference, "PNG"), draft=(10, 10)).image.size == (240, 160)
