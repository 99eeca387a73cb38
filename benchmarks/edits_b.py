"""Edited copies, generator B: held out. The kinds of `edits_a` by other code and parameters.

Geometry goes through one affine or projective map. What is laid around or over a photo is in
`layouts_b`, what changes its levels and colours in `levels_b`.
"""

import random
from typing import TypeAlias

import layouts_b
import levels_b
import numpy as np
from edited_copies import Edit, Kind, Kit, Saved, chain_of
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

Matrix: TypeAlias = NDArray[np.float64]


def warped(
    photo: Image.Image, matrix: Matrix, size: tuple[int, int], paper: float | None = 0.0
) -> Image.Image:
    """matrix: 3 x 3, from places (x, y, 1) of the result to those of the photo.

    paper: the grey that fills what lies outside; None: the photo's edge, mirrored.
    """
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    places = matrix @ np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)])
    x, y = places[0] / places[2], places[1] / places[2]
    mode = "mirror" if paper is None else "constant"
    bands = [
        ndimage.map_coordinates(band, (y, x), order=1, mode=mode, cval=paper or 0.0)
        for band in levels_b.levels_of(photo).transpose(2, 0, 1)
    ]
    return levels_b.image_of(np.stack(bands, 1).reshape(size[1], size[0], 3).astype(np.float32))


def turning(degrees: float, size: tuple[int, int], new: tuple[int, int], zoom: float = 1) -> Matrix:
    """Turns about the middle, which is that of `new` as well. zoom: above 1 is nearer."""
    angle = np.radians(degrees)
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    (x, y), (new_x, new_y) = ((side / 2 for side in each) for each in (size, new))
    return np.array([
        [cosine, -sine, x - cosine * new_x + sine * new_y],
        [sine, cosine, y - sine * new_x - cosine * new_y],
        [0, 0, 1],
    ])  # fmt: skip


def degrees(chance: random.Random, most: float = 14.5) -> float:
    return chance.choice((-1.0, 1.0)) * chance.triangular(1.2, most, 6)


def tilt_filled(photo: Image.Image, kit: Kit) -> Image.Image:
    paper = kit.chance.choice((0.0, 1.0, 0.72, None))
    return warped(photo, turning(degrees(kit.chance), photo.size, photo.size), photo.size, paper)


def tilt_expanded(photo: Image.Image, kit: Kit) -> Image.Image:
    grow = 1 + kit.chance.uniform(0.1, 0.25)
    size = (round(photo.width * grow), round(photo.height * grow))
    paper = kit.chance.choice((0.0, 1.0, 0.93))
    return warped(photo, turning(degrees(kit.chance), photo.size, size), size, paper)


def tilt_cropped(photo: Image.Image, kit: Kit) -> Image.Image:
    """Zoomed in until no corner is outside, as photo programs straighten a horizon."""
    turn = degrees(kit.chance)
    long, short = max(photo.size), min(photo.size)
    angle = np.radians(abs(turn))
    zoom = float(np.cos(angle) + long / short * np.sin(angle))
    scale = kit.chance.uniform(0.7, 1)
    size = (round(photo.width * scale), round(photo.height * scale))
    return warped(photo, turning(turn, photo.size, size, zoom * scale), size)


def flip(photo: Image.Image) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(np.asarray(photo)[:, ::-1]))


def tilt_mirrored(photo: Image.Image, kit: Kit) -> Image.Image:
    return kit.chance.choice((tilt_cropped, tilt_filled))(flip(photo), kit)


def orient(photo: Image.Image, kit: Kit) -> Image.Image:
    """One of the seven orientations that are not the photo's own."""
    quarter, mirrored = kit.chance.choice(
        [(q, m) for q in range(4) for m in (False, True) if q or m]
    )
    levels = np.rot90(np.asarray(photo), quarter)
    return Image.fromarray(np.ascontiguousarray(levels[:, ::-1] if mirrored else levels))


def cut(photo: Image.Image, shares: tuple[float, float, float, float]) -> Image.Image:
    """shares: taken off the left, top, right and bottom."""
    left, top, right, bottom = shares
    width, height = photo.size
    return photo.crop((
        int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height),
    ))  # fmt: skip


def crop_one_side(photo: Image.Image, kit: Kit) -> Image.Image:
    shares = [0.0] * 4
    shares[kit.chance.randrange(4)] = kit.chance.triangular(0.04, 0.25, 0.15)
    return cut(photo, (shares[0], shares[1], shares[2], shares[3]))


def crop_two_sides(photo: Image.Image, kit: Kit) -> Image.Image:
    """Off one horizontal and one vertical side, or off two opposite ones."""
    one, two = kit.chance.uniform(0.03, 0.17), kit.chance.uniform(0.03, 0.13)
    return cut(photo, kit.chance.choice((
        (one, two, 0, 0), (0, one, two, 0), (one, 0, 0, two), (0, 0, one, two),
        (one / 1.5, 0, two, 0), (0, one / 1.5, 0, two),
    )))  # fmt: skip


def crop_all_sides(photo: Image.Image, kit: Kit) -> Image.Image:
    """To another shape (square, 4:5, 16:9) inside the photo, at 75% of each side or more."""
    shape = kit.chance.choice((1, 0.8, 16 / 9, 4 / 3))
    width = min(photo.width, round(photo.height * shape))
    height = min(photo.height, round(photo.width / shape))
    width = max(round(width * kit.chance.uniform(0.9, 1)), round(0.75 * photo.width))
    height = max(round(height * kit.chance.uniform(0.9, 1)), round(0.75 * photo.height))
    left = kit.chance.randint(0, photo.width - width)
    top = kit.chance.randint(0, photo.height - height)
    return photo.crop((left, top, left + width, top + height))


def mirrored_cropped(photo: Image.Image, kit: Kit) -> Image.Image:
    shares = (kit.chance.uniform(0, 0.1) for _ in range(4))
    left, top, right, bottom = shares
    return cut(flip(photo), (left + 0.025, top + 0.025, right, bottom))


def orientation_cropped(photo: Image.Image, kit: Kit) -> Image.Image:
    return kit.chance.choice((crop_one_side, crop_two_sides))(orient(photo, kit), kit)


def orientation_tilted(photo: Image.Image, kit: Kit) -> Image.Image:
    return kit.chance.choice((tilt_expanded, tilt_cropped))(orient(photo, kit), kit)


def exif_orientation(photo: Image.Image, kit: Kit) -> Saved:
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = Image.fromarray(np.ascontiguousarray(np.asarray(photo)[::-1, ::-1]))
    return Saved(turned, ".jpg", {"quality": 84, "exif": exif})


def perspective(photo: Image.Image, kit: Kit) -> Image.Image:
    """Seen from one side: one edge is shorter by 6 to 18%, the gaps in one colour or cut off."""
    near, width, height = kit.chance.uniform(0.06, 0.18), *photo.size
    lean = near / max(photo.size) * kit.chance.choice((-1, 1))
    across = kit.chance.random() < 0.5
    matrix = np.eye(3)
    matrix[2] = [lean if across else 0, 0 if across else lean, 1]
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1.0]])
    zoom = np.diag([1, 1, kit.chance.uniform(1, 1.06)])
    paper = kit.chance.choice((0.0, 1.0, None))
    return warped(photo, np.linalg.inv(middle) @ matrix @ zoom @ middle, photo.size, paper)


def stretch(photo: Image.Image, kit: Kit) -> Image.Image:
    share = kit.chance.uniform(0.06, 0.24)
    size = kit.chance.choice((
        (round(photo.width * (1 + share)), photo.height),
        (photo.width, round(photo.height * (1 + share))),
        (round(photo.width * (1 - 0.75 * share)), photo.height),
    ))  # fmt: skip
    return photo.resize(size, Image.Resampling.BILINEAR)


def scaled(photo: Image.Image, factor: float, how: Image.Resampling) -> Image.Image:
    return photo.resize((round(photo.width * factor), round(photo.height * factor)), how)


def resize(photo: Image.Image, kit: Kit) -> Image.Image:
    return scaled(photo, kit.chance.uniform(0.25, 0.8), kit.chance.choice((
        Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.NEAREST,
    )))  # fmt: skip


def upscale(photo: Image.Image, kit: Kit) -> Image.Image:
    how = kit.chance.choice((Image.Resampling.LANCZOS, Image.Resampling.BILINEAR))
    return scaled(photo, kit.chance.uniform(1.4, 2.2), how)


def thumbnail(photo: Image.Image, kit: Kit) -> Image.Image:
    small = kit.chance.uniform(66, 125) / max(photo.size)
    return scaled(photo, small, Image.Resampling.BOX)


def sharpen(photo: Image.Image, kit: Kit) -> Image.Image:
    return photo.filter(kit.chance.choice((ImageFilter.SHARPEN, ImageFilter.EDGE_ENHANCE)))


def palette(photo: Image.Image, kit: Kit) -> Saved:
    few = photo.quantize(
        kit.chance.choice((48, 96, 216)), Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    return Saved(few, kit.chance.choice((".gif", ".png")))


def palette_dithered(photo: Image.Image, kit: Kit) -> Saved:
    few = photo.quantize(kit.chance.choice((24, 64, 200)))
    return Saved(photo.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG), ".gif")


def saving(suffix: str, least: int, most: int) -> Edit:
    return lambda photo, kit: Saved(photo, suffix, {"quality": kit.chance.randint(least, most)})


def _version(edit: Edit, *, chained: bool = False) -> Kind:
    return Kind(edit, "edited version", chained)


def _same(edit: Edit, *, chained: bool = False) -> Kind:
    return Kind(edit, "same image", chained)


KINDS: dict[str, Kind] = {
    "mirrored and cropped": _version(mirrored_cropped),
    "tilt, filled": _version(tilt_filled, chained=True),
    "tilt, cropped": _version(tilt_cropped, chained=True),
    "tilt, expanded": _version(tilt_expanded),
    "tilt, mirrored": _version(tilt_mirrored),
    "orientation": _same(orient, chained=True),
    "orientation and crop": _version(orientation_cropped),
    "orientation and tilt": _version(orientation_tilted),
    "exif orientation": _same(exif_orientation),
    "phone screenshot": _version(layouts_b.phone_screenshot),
    "desktop screenshot": _version(layouts_b.browser_screenshot),
    "collage": _version(layouts_b.collage),
    "collage, cropped": _version(layouts_b.cropped_panel),
    "meme bar": _version(layouts_b.meme_bar),
    "caption inside": _version(layouts_b.caption_inside),
    "sticker": _version(layouts_b.sticker, chained=True),
    "logo": _version(layouts_b.logo, chained=True),
    "perspective": _version(perspective),
    "crop, one side": _version(crop_one_side, chained=True),
    "crop, two sides": _version(crop_two_sides, chained=True),
    "crop, all sides": _version(crop_all_sides),
    "sepia": _version(levels_b.by_levels(levels_b.sepia), chained=True),
    "grey": _version(levels_b.by_levels(levels_b.grey)),
    "duotone": _version(levels_b.by_levels(levels_b.duotone)),
    "stretch": _version(stretch, chained=True),
    "posterise": _version(levels_b.by_levels(levels_b.posterise)),
    "palette": _same(palette),
    "palette, dithered": _same(palette_dithered),
    "thumbnail": _same(thumbnail),
    "resize": _same(resize, chained=True),
    "upscale": _same(upscale, chained=True),
    "jpeg, poor": _same(saving(".jpg", 12, 35)),
    "jpeg": _same(saving(".jpg", 36, 93)),
    "webp": _same(saving(".webp", 25, 85)),
    "avif": _same(
        lambda photo, kit: Saved(
            photo, ".avif", {"quality": kit.chance.randint(30, 75), "speed": 8}
        )
    ),
    "png": Kind(lambda photo, kit: Saved(photo, ".bmp"), "exact"),
    "brightness": _version(levels_b.by_levels(levels_b.brightness), chained=True),
    "contrast": _version(levels_b.by_levels(levels_b.contrast), chained=True),
    "saturation": _version(levels_b.by_levels(levels_b.saturation), chained=True),
    "gamma": _version(levels_b.by_levels(levels_b.gamma)),
    "white balance": _version(levels_b.by_levels(levels_b.white_balance), chained=True),
    "hue": _version(levels_b.by_levels(levels_b.hue)),
    "blur": _same(levels_b.by_levels(levels_b.blur), chained=True),
    "noise": _same(levels_b.by_levels(levels_b.noise), chained=True),
    "sharpen": _same(sharpen),
    "watermark, tiled": _version(layouts_b.watermark_tiled, chained=True),
    "watermark, corner": _version(layouts_b.watermark_corner),
    "frame, flat": _version(layouts_b.frame_flat, chained=True),
    "frame, gradient": _version(layouts_b.frame_gradient),
    "polaroid": _version(layouts_b.polaroid),
    "rounded corners": _version(layouts_b.rounded),
    "drop shadow": _version(layouts_b.drop_shadow),
    "dust": _version(levels_b.by_levels(levels_b.dust)),
    "vignette": _version(levels_b.by_levels(levels_b.vignette)),
}


def chain(chance: random.Random) -> Kind:
    """Two or three edits of KINDS, in any order."""
    names = [name for name, kind in KINDS.items() if kind.chained]
    return chain_of(KINDS, chance.sample(names, chance.choice((2, 2, 3))))
