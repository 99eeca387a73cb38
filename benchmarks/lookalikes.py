"""Pictures made of photos that are alike and not copies: templates, bursts, recoloured garments."""

import colorsys
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pens import COLOURS, Pens, money, title, word
from PIL import Image, ImageDraw, ImageOps
from scipy import ndimage

Levels: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scene:
    """pens: as for documents. shared: photos for the whole family. own: for this member alone.

    place: of the member among all, from 0 to below 1; the colours of garments are that far apart.
    """

    pens: Pens
    shared: Sequence[Path]
    own: Sequence[Path]
    place: float

    def hue(self) -> float:
        """Of 256. A few degrees off an even spacing."""
        return 256 * (self.place + self.pens.content.uniform(-0.01, 0.01)) % 256

    def shared_photo(self) -> Image.Image:
        return opened(self.pens.style.choice(self.shared))

    def own_photo(self) -> Image.Image:
        return opened(self.pens.content.choice(self.own))


def opened(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return ImageOps.exif_transpose(photo).convert("RGB")


Make: TypeAlias = Callable[[Scene], Image.Image]


def app_screenshot(scene: Scene) -> Image.Image:
    """One feed, other photos inside, at 30 to 60% of the area; names and counts stay or change."""
    style, content = scene.pens.style, scene.pens.content
    width, height = style.choice(((390, 844), (412, 915), (360, 720)))
    dark = style.random() < 0.5
    screen = Image.new("RGB", (width, height), "#111418" if dark else "#fafafa")
    pen, ink = ImageDraw.Draw(screen), "#e8e8e8" if dark else "#1c1c1c"
    pen.rectangle((0, 0, width, 84), fill=style.choice(COLOURS))
    pen.text((16, 8), f"{content.randint(7, 22)}:{content.randint(10, 59)}", fill="white",
             font=scene.pens.font(15))  # fmt: skip
    pen.text((16, 44), title(style, 1), font=scene.pens.font(24, "head"), fill="white")
    pen.ellipse((16, 100, 60, 144), fill=style.choice(COLOURS))
    name = title(style if style.random() < 0.5 else content, 2)
    pen.text((72, 112), name, font=scene.pens.font(16), fill=ink)
    inside = round(height * style.uniform(0.33, 0.6))
    screen.paste(ImageOps.fit(scene.own_photo(), (width, inside)), (0, 160))
    top = 172 + inside
    pen.text((16, top), f"{content.randint(2, 900)} likes", font=scene.pens.font(15), fill=ink)
    while (top := top + 26) < height - 90:
        pen.text((16, top), " ".join(word(content) for _ in range(5)), font=scene.pens.font(14),
                 fill=ink)  # fmt: skip
    pen.line((0, height - 64, width, height - 64), fill="#888888")
    for column in range(5):
        left = (column + 0.35) * width / 5
        pen.rounded_rectangle((left, height - 46, left + 26, height - 20), 7, outline=ink, width=2)
    return screen


def product_card(scene: Scene) -> Image.Image:
    style, content = scene.pens.style, scene.pens.content
    card = Image.new("RGB", (420, 560), "white")
    pen, colour = ImageDraw.Draw(card), style.choice(COLOURS)
    side = style.randint(250, 330)
    card.paste(ImageOps.fit(scene.own_photo(), (side, side)), ((420 - side) // 2, 40))
    pen.text((24, 390), title(content, 3), font=scene.pens.font(20, "head"), fill="black")
    pen.text(
        (24, 424), " ".join(word(style) for _ in range(5)), font=scene.pens.font(14), fill="#666666"
    )
    pen.text((24, 456), money(content), font=scene.pens.font(26, "head"), fill=colour)
    pen.rounded_rectangle((24, 500, 396, 544), 10, fill=colour)
    pen.text((210, 522), title(style, 2), font=scene.pens.font(17), fill="white", anchor="mm")
    pen.rectangle((0, 0, 70, 26), fill=colour)
    return card


def photo_slide(scene: Scene) -> Image.Image:
    """A slide with a photo at one half and bullets at the other."""
    style, content = scene.pens.style, scene.pens.content
    slide, colour = Image.new("RGB", (960, 540), "white"), style.choice(COLOURS)
    pen = ImageDraw.Draw(slide)
    pen.rectangle((0, 0, 960, 70), fill=colour)
    pen.text((30, 16), title(content, 3), font=scene.pens.font(32, "head"), fill="white")
    slide.paste(ImageOps.fit(scene.own_photo(), (440, 400)), (500, 95))
    for row in range(4):
        place = (40, 120 + 80 * row)
        pen.text(place, scene.pens.words(4), font=scene.pens.font(22), fill="#222222")
    return slide


def watermarked(scene: Scene) -> Image.Image:
    """Different photos under one heavy watermark and the same frame."""
    style = scene.pens.style
    photo = ImageOps.fit(scene.own_photo(), (480, 480))
    mark, pen_font = Image.new("L", photo.size, 0), scene.pens.font(46, "head")
    text, pen = title(style, 1), ImageDraw.Draw(mark)
    for row in range(6):
        for column in range(3):
            pen.text((170 * column - 40 * (row % 2), 85 * row), text, font=pen_font, fill=150)
    photo.paste("white", mask=mark)
    return ImageOps.expand(photo, 24, style.choice(COLOURS))


def packshot(scene: Scene) -> Image.Image:
    """One pack design on white, other names, fruit and colours."""
    style, content = scene.pens.style, scene.pens.content
    shot = Image.new("RGB", (480, 600), "white")
    pen, colour = ImageDraw.Draw(shot), style.choice(COLOURS)
    left, top, right, bottom = 130, 60, 350, 560
    pen.rounded_rectangle((left, top, right, bottom), 16, fill="#f2efe8", outline="#999999")
    pen.rectangle((left, top + 60, right, top + 150), fill=colour)
    pen.text(
        (240, top + 105),
        title(style, 1),
        font=scene.pens.font(38, "head"),
        fill="white",
        anchor="mm",
    )
    band = (content.randint(40, 230), content.randint(40, 230), content.randint(40, 230))
    pen.rectangle((left, top + 380, right, top + 440), fill=band)
    pen.text(
        (240, top + 410), title(content, 1), font=scene.pens.font(24), fill="white", anchor="mm"
    )
    for _ in range(5):
        x, y, size = (
            content.randint(left + 30, right - 60),
            content.randint(240, 390),
            content.randint(14, 40),
        )
        pen.regular_polygon((x, y, size), content.choice((3, 5, 6, 40)), fill=band)
    return shot


def worn_garment(scene: Scene) -> Image.Image:
    """One figure with one skin in one room; a garment of one cut, in another colour or pattern."""
    style, content = scene.pens.style, scene.pens.content
    skin = style.choice(("#f1c9a5", "#c68642", "#8d5524", "#ffdbac"))
    room = Image.linear_gradient("L").resize((400, 533))
    made = ImageOps.colorize(room, "#d8d8d8", style.choice(("#f4f4f4", "#cfd8dc", "#e6dcd0")))
    pen = ImageDraw.Draw(made)
    shift = style.randint(-12, 12)
    pen.ellipse((160 + shift, 30, 240 + shift, 135), fill=skin)
    pen.chord(
        (155 + shift, 18, 245 + shift, 110), 170, 370, fill=style.choice(("#2b1b0e", "#6b4423"))
    )
    pen.rectangle((182 + shift, 120, 218 + shift, 160), fill=skin)
    for left in (92, 276):
        pen.rounded_rectangle((left + shift, 240, left + 32 + shift, 400), 14, fill=skin)
    cut = [(140, 155), (182, 148), (200, 165), (218, 148), (260, 155), (315, 250), (278, 272),
           (262, 235), (262, 390), (138, 390), (138, 235), (122, 272), (85, 250)]  # fmt: skip
    mask = Image.new("L", made.size, 0)
    ImageDraw.Draw(mask).polygon([(x + shift, y) for x, y in cut], fill=255)
    cloth = ImageOps.fit(scene.shared_photo(), made.size).convert("L")
    strength, hue = content.uniform(0.5, 0.9), scene.hue() / 256
    dark, light = (
        tuple(round(255 * level) for level in colorsys.hsv_to_rgb(hue, strength, value))
        for value in (0.25, 0.9)
    )
    made.paste(ImageOps.colorize(cloth, dark, light), mask=mask)
    pen.rectangle((140 + shift, 388, 260 + shift, 533), fill=style.choice(("#23395b", "#3b3b3b")))
    return made


def recoloured_garment(scene: Scene) -> Image.Image:
    """The photo of a garment, its hue turned or its grey tinted; background and light stay."""
    content = scene.pens.content
    photo = scene.shared_photo()
    while not 0.1 < (mask := garment_mask(photo)).mean() < 0.7:
        photo = scene.shared_photo()
    hue, saturation, value = (np.asarray(band, np.float32) for band in photo.convert("HSV").split())
    inside = mask > 0.5
    coloured = float(np.median(saturation[inside])) > 60
    new_hue = (hue + scene.hue() if coloured else np.full_like(hue, scene.hue())) % 256
    new_saturation = saturation if coloured else np.full_like(hue, content.uniform(100, 190))
    # Black cloth is black in any hue.
    light = max(1.0, 130 / max(float(value[inside].mean()), 30))
    new_value = np.clip(value * light * content.uniform(0.9, 1.1), 0, 255)
    bands = np.stack([new_hue, new_saturation, new_value], 2).astype(np.uint8)
    changed = Image.fromarray(bands, "HSV").convert("RGB")
    return Image.composite(changed, photo, Image.fromarray((255 * mask).astype(np.uint8)))


def garment_mask(photo: Image.Image) -> Levels:
    """float32 (height, width) in 0..1: what differs in colour from the edges of the photo."""
    colours = np.asarray(photo.convert("LAB"), np.float32)
    edge = max(min(photo.size) // 20, 2)
    border = np.concatenate([
        part.reshape(-1, 3)
        for part in (colours[:edge], colours[-edge:], colours[:, :edge], colours[:, -edge:])
    ])  # fmt: skip
    centre, spread = np.median(border, 0), border.std(0) + 6
    distance = (((colours - centre) / spread) ** 2).sum(2) ** 0.5
    blobs, count = ndimage.label(ndimage.binary_opening(distance > 3, iterations=2))
    if not count:
        return np.zeros(distance.shape, np.float32)
    largest = 1 + int(
        np.argmax(ndimage.sum_labels(np.ones_like(blobs), blobs, range(1, count + 1)))
    )
    whole = ndimage.binary_fill_holes(blobs == largest)
    return np.asarray(ndimage.gaussian_filter(whole.astype(np.float32), 1.5), np.float32)


def burst(scene: Scene) -> Image.Image:
    """A frame of a burst: another place of the camera, parallax, a moved subject, other noise."""
    style, content = scene.pens.style, scene.pens.content
    photo = scene.shared_photo()
    photo.thumbnail((900, 900))
    photo = pasted_subject(photo, scene, style, content)
    levels = np.asarray(photo, np.float32)
    height, width = levels.shape[:2]
    near = smooth_noise(style, (height, width), 4)
    reach = width * content.uniform(0.015, 0.05)
    heading = content.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    depth = 0.4 + near
    rows = rows + np.sin(heading) * reach * depth
    columns = columns + np.cos(heading) * reach * depth
    moved = np.stack(
        [
            ndimage.map_coordinates(levels[..., band], (rows, columns), order=1, mode="reflect")
            for band in range(3)
        ],
        2,
    )
    noise = np.random.default_rng(content.getrandbits(32)).normal(0, 4, moved.shape)
    edge = round(0.04 * width)
    frame = np.clip(moved * content.uniform(0.95, 1.05) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(frame[edge : height - edge, edge : width - edge])


def pasted_subject(
    photo: Image.Image, scene: Scene, style: random.Random, content: random.Random
) -> Image.Image:
    """A part of another photo as a soft oval at 4 to 12% of the area, elsewhere in each frame."""
    side = round((style.uniform(0.04, 0.12) * photo.width * photo.height) ** 0.5)
    subject = ImageOps.fit(scene.shared_photo(), (side, side))
    oval = Image.new("L", (4 * side, 4 * side), 0)
    ImageDraw.Draw(oval).ellipse((0, 0, 4 * side, 4 * side), fill=255)
    reach_x, reach_y = (0.12 * length for length in photo.size)
    left = style.uniform(0.2, 0.6) * photo.width + content.uniform(-reach_x, reach_x)
    top = style.uniform(0.2, 0.6) * photo.height + content.uniform(-reach_y, reach_y)
    made = photo.copy()
    made.paste(subject, (round(left), round(top)), oval.resize((side, side)))
    return made


def smooth_noise(chance: random.Random, shape: tuple[int, int], cells: int) -> Levels:
    """float32 of the shape in 0..1, random at `cells` places a side, smooth between them."""
    coarse = np.random.default_rng(chance.getrandbits(32)).random((cells, cells)).astype(np.float32)
    image = Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.clip(np.asarray(image, np.float32), 0, 1)


def near_black(scene: Scene) -> Image.Image:
    """A photo taken in the dark: a twentieth of the light, with noise."""
    return _exposed(scene, lambda levels, share: levels * share)


def near_white(scene: Scene) -> Image.Image:
    return _exposed(scene, lambda levels, share: 255 - (255 - levels) * share)


def _exposed(scene: Scene, change: Callable[[Levels, float], Levels]) -> Image.Image:
    content = scene.pens.content
    levels = np.asarray(ImageOps.fit(scene.own_photo(), (480, 360)), np.float32)
    noise = np.random.default_rng(content.getrandbits(32)).normal(0, 1.5, levels.shape)
    exposed = change(levels, content.uniform(0.03, 0.08)) + noise.astype(np.float32)
    return Image.fromarray(np.clip(exposed, 0, 255).astype(np.uint8))


LOOKALIKES: dict[str, Make] = {
    "app screenshot": app_screenshot,
    "product card": product_card,
    "photo slide": photo_slide,
    "watermarked": watermarked,
    "packshot": packshot,
    "worn garment": worn_garment,
    "recoloured garment": recoloured_garment,
    "burst": burst,
    "near-black": near_black,
    "near-white": near_white,
}
