"""The edited copies that benchmarks/dedup.py looks for: one function a transformation.

Each takes a photo (RGB), a seeded generator and the file to write; sizes are shares of the photo.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

Make = Callable[[Image.Image, random.Random], Image.Image]


def cropped(share: float) -> Make:
    """Takes `share` off the width and off the height, anywhere."""

    def make(photo: Image.Image, chance: random.Random) -> Image.Image:
        width, height = (round(side * (1 - share)) for side in photo.size)
        left = chance.randint(0, photo.width - width)
        top = chance.randint(0, photo.height - height)
        return photo.crop((left, top, left + width, top + height))

    return make


def turned(how: Image.Transpose) -> Make:
    return lambda photo, chance: photo.transpose(how)


def shrunk(photo: Image.Image, chance: random.Random) -> Image.Image:
    return photo.resize((photo.width // 4, photo.height // 4), Image.Resampling.LANCZOS)


def bordered(photo: Image.Image, chance: random.Random) -> Image.Image:
    edge = round(0.06 * min(photo.size))
    colour = chance.choice(["white", "black", "grey"])
    frame = Image.new("RGB", (photo.width + 2 * edge, photo.height + 2 * edge), colour)
    frame.paste(photo, (edge, edge))
    return frame


def watermarked(photo: Image.Image, chance: random.Random) -> Image.Image:
    layer = Image.new("RGBA", photo.size, (0, 0, 0, 0))
    pen, font = ImageDraw.Draw(layer), ImageFont.load_default(photo.width // 8)
    for row in range(3):
        place = (photo.width // 10, photo.height * (2 * row + 1) // 7)
        pen.text(place, "SAMPLE SAMPLE", font=font, fill=(255, 255, 255, 110))
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def with_logo(photo: Image.Image, chance: random.Random) -> Image.Image:
    marked, side = photo.copy(), min(photo.size) // 5
    left = chance.choice([4, photo.width - side - 4])
    top = chance.choice([4, photo.height - side - 4])
    pen = ImageDraw.Draw(marked)
    pen.ellipse((left, top, left + side, top + side), fill="orange", outline="navy", width=4)
    pen.text((left + side // 4, top + side // 4), "AB", font=ImageFont.load_default(side // 2))
    return marked


def with_text_bar(photo: Image.Image, chance: random.Random) -> Image.Image:
    marked, height = photo.copy(), photo.height // 8
    top = chance.choice([0, photo.height - height])
    pen = ImageDraw.Draw(marked)
    pen.rectangle((0, top, photo.width, top + height), fill="black")
    pen.text((10, top), "New this week", font=ImageFont.load_default(height * 2 // 3), fill="white")
    return marked


def with_turned_hue(photo: Image.Image, chance: random.Random) -> Image.Image:
    hue, saturation, value = photo.convert("HSV").split()
    shift = chance.choice([-25, 25])  # of 256: 35 degrees
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def noisy(photo: Image.Image, chance: random.Random) -> Image.Image:
    noise = np.random.default_rng(chance.getrandbits(32)).normal(0, 15, (*photo.size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8))


def tilted(photo: Image.Image, chance: random.Random) -> Image.Image:
    return photo.rotate(chance.choice([-3, 3]), Image.Resampling.BICUBIC)


def same(photo: Image.Image, chance: random.Random) -> Image.Image:
    return photo


COPIES: dict[str, Make] = {
    "resize-25": shrunk,
    "jpeg-q20": same,
    "crop-5": cropped(0.05),
    "crop-10": cropped(0.10),
    "crop-20": cropped(0.20),
    "border": bordered,
    "watermark": watermarked,
    "logo": with_logo,
    "text-bar": with_text_bar,
    "grey": lambda photo, chance: photo.convert("L").convert("RGB"),
    "brightness": lambda photo, chance: ImageEnhance.Brightness(photo).enhance(
        chance.choice([0.65, 1.4])
    ),
    "contrast": lambda photo, chance: ImageEnhance.Contrast(photo).enhance(
        chance.choice([0.6, 1.5])
    ),
    "hue": with_turned_hue,
    "blur": lambda photo, chance: photo.filter(ImageFilter.GaussianBlur(2)),
    "noise": noisy,
    "rotate-90": turned(Image.Transpose.ROTATE_90),
    "rotate-180": turned(Image.Transpose.ROTATE_180),
    "rotate-270": turned(Image.Transpose.ROTATE_270),
    "mirror": turned(Image.Transpose.FLIP_LEFT_RIGHT),
    "flip": turned(Image.Transpose.FLIP_TOP_BOTTOM),
    "exif": turned(Image.Transpose.ROTATE_90),
    "rotate-3": tilted,
    "png": same,
}
HARD = ("crop-20", "rotate-3")


def write_copy(photo: Image.Image, name: str, seed: str, path: Path) -> Path:
    """Writes the copy called `name` of the photo beside `path`, with the suffix that it needs."""
    made = COPIES[name](photo, random.Random(f"{name} {seed}"))  # noqa: S311
    if name == "png":
        path = path.with_suffix(".png")
        made.save(path)
        return path
    options: dict[str, Any] = {"quality": 20 if name == "jpeg-q20" else 88}
    if name == "exif":
        exif = Image.Exif()
        exif[0x0112] = 6  # shown turned by 90° clockwise, which undoes what was done
        options["exif"] = exif
    path = path.with_suffix(".jpg")
    made.save(path, **options)
    return path
