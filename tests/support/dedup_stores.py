"""Pictures and folders with duplicates of several kinds."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps


def scene(seed: int) -> Image.Image:
    chance = np.random.default_rng(seed)
    image = Image.linear_gradient("L").resize((240, 200)).convert("RGB")
    pen = ImageDraw.Draw(image)
    for _ in range(50):
        x, y, reach = (int(chance.integers(*span)) for span in ((0, 240), (0, 200), (5, 40)))
        colour = tuple(int(level) for level in chance.integers(0, 256, 3))
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
    return image


def fill(folder: Path) -> None:
    """Two folders: originals with captions, and copies of some of them in several ways."""
    shop, copies = folder / "shop", folder / "copies"
    shop.mkdir()
    (copies / "deep er").mkdir(parents=True)
    for seed in range(6):
        scene(seed).save(shop / f"{seed}.png")
        (shop / f"{seed}.txt").write_text(f"Product number {seed}, a thing of many uses")
    shutil.copy(shop / "0.png", copies / "same bytes.png")
    scene(1).save(copies / "deep er" / "it's.bmp")
    ImageOps.mirror(scene(2)).resize((120, 100)).save(copies / "small.jpg")
    (copies / "small.txt").write_text("Quite another name for it")
    scene(3).crop((10, 8, 230, 196)).save(copies / "crop.png")
    (copies / "crop.txt").write_text("PRODUCT number 3: a thing of many uses!")
