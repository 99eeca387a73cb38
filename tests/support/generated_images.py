"""Pictures made on the spot that have what photographs have: texture on all scales, and shapes."""

import io
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mmsearch.dedup.comparison import Examined


def photo(seed: int, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """Cloudy colours with grain, and shapes with hard edges; no two seeds are alike."""
    chance = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3))
    for blur in (48, 16, 6, 2):
        noise = chance.normal(size=total.shape)
        layer = np.stack([_blurred(noise[..., channel], blur) for channel in range(3)], axis=-1)
        total += layer / layer.std() * (20 if blur > 2 else 8)
    image = Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(14):
        x, y = int(chance.integers(size[0])), int(chance.integers(size[1]))
        reach = int(chance.integers(8, 40))
        colour = tuple(int(level) for level in chance.integers(20, 236, 3))
        shape = pen.ellipse if chance.random() < 0.5 else pen.rectangle
        shape((x - reach, y - reach, x + reach, y + reach), fill=colour)
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _blurred(
    values: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", radius: int
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    from scipy.ndimage import gaussian_filter

    blurred: np.ndarray[tuple[int, int], np.dtype[np.float64]] = gaussian_filter(values, radius)
    return blurred


def page(seed: int, amounts: int = 0, size: tuple[int, int] = (800, 1100)) -> Image.Image:
    """A letter on white paper. seed: of its words. amounts: of the numbers in its table."""
    chance, numbers = random.Random(seed), random.Random(f"{seed} {amounts}")
    image = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    pen.rectangle((0, 0, size[0], 70), fill=(30, 60, 120))
    pen.text((40, 22), "Miller & Sons, Harbour Road 7", font=font, fill="white")
    words = ["order", "invoice", "delivery", "thank", "goods", "date", "harbour", "paid", "crates"]
    for line in range(14):
        said = " ".join(chance.choice(words) for _ in range(8))
        pen.text((60, 130 + 34 * line), said, font=font, fill="black")
    for line in range(9):
        pen.text((60, 660 + 40 * line), f"position {line + 1}", font=font, fill="black")
        amount = f"{numbers.randint(100, 999)}.{numbers.randint(10, 99)} EUR"
        pen.text((520, 660 + 40 * line), amount, font=font, fill="black")
    return image


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def examined(image: Image.Image) -> Examined:
    return Examined.of(image, *image.size)
