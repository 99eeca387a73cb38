"""What generator B does to the levels and colours of a photo, on arrays in 0..1."""

import random
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from edited_copies import Edit
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Levels: TypeAlias = NDArray[np.float32]
GREY = np.array([0.2126, 0.7152, 0.0722], np.float32)


def levels_of(photo: Image.Image) -> Levels:
    """float32 (height, width, 3) in 0..1."""
    return np.asarray(photo.convert("RGB"), np.float32) / np.float32(255)


def image_of(levels: Levels) -> Image.Image:
    return Image.fromarray((np.clip(levels, 0, 1) * 255 + 0.5).astype(np.uint8))


def by_levels(change: Callable[[Levels, random.Random], Levels]) -> Edit:
    return lambda photo, kit: image_of(change(levels_of(photo), kit.chance))


def _grey(levels: Levels) -> Levels:
    return np.asarray(levels @ GREY, np.float32)[..., None]


def sepia(levels: Levels, chance: random.Random) -> Levels:
    tone = np.array([[0.393, 0.349, 0.272], [0.769, 0.686, 0.534], [0.189, 0.168, 0.131]])
    share = chance.uniform(0.75, 1)
    return np.asarray(share * (levels @ tone.astype(np.float32)) + (1 - share) * levels, np.float32)


def grey(levels: Levels, chance: random.Random) -> Levels:
    return np.repeat(_grey(levels), 3, 2)


def duotone(levels: Levels, chance: random.Random) -> Levels:
    dark, light = ([chance.uniform(*span) for _ in "rgb"] for span in ((0, 0.35), (0.6, 1)))
    return np.asarray(
        np.array(dark) + _grey(levels) * (np.array(light) - np.array(dark)), np.float32
    )


def posterise(levels: Levels, chance: random.Random) -> Levels:
    steps = chance.choice((4, 5, 7))
    return np.asarray(np.round(levels * steps) / steps, np.float32)


def brightness(levels: Levels, chance: random.Random) -> Levels:
    return levels + chance.choice((chance.uniform(-0.22, -0.1), chance.uniform(0.1, 0.24)))


def contrast(levels: Levels, chance: random.Random) -> Levels:
    if chance.random() < 0.5:
        return 0.5 + (levels - 0.5) * chance.uniform(0.55, 0.8)
    slope = chance.uniform(3, 6)  # an S-curve
    return np.asarray(1 / (1 + np.exp(-slope * (levels - 0.5))), np.float32)


def saturation(levels: Levels, chance: random.Random) -> Levels:
    return _grey(levels) + (levels - _grey(levels)) * chance.choice((0.35, 0.6, 1.5, 1.9))


def gamma(levels: Levels, chance: random.Random) -> Levels:
    return np.asarray(levels ** np.float32(chance.choice((0.55, 0.7, 1.4, 1.8))), np.float32)


def white_balance(levels: Levels, chance: random.Random) -> Levels:
    warm = chance.choice((-1, 1)) * chance.uniform(0.08, 0.2)
    gains = np.array([1 + warm, 1 + chance.uniform(-0.05, 0.05), 1 - warm], np.float32)
    return levels * gains


def hue(levels: Levels, chance: random.Random) -> Levels:
    """Turned about the grey axis by 12 to 30 degrees."""
    angle = np.radians(chance.choice((-1, 1)) * chance.uniform(12, 30))
    third, root = (1 - np.cos(angle)) / 3, np.sin(angle) / np.sqrt(3)
    a, b, c = np.cos(angle) + third, third - root, third + root
    return np.asarray(levels @ np.array([[a, c, b], [b, a, c], [c, b, a]], np.float32), np.float32)


def blur(levels: Levels, chance: random.Random) -> Levels:
    size = max(round(chance.uniform(0.004, 0.009) * max(levels.shape)), 2)
    return np.asarray(ndimage.uniform_filter(levels, (size, size, 0)), np.float32)


def noise(levels: Levels, chance: random.Random) -> Levels:
    grain = np.random.default_rng(chance.getrandbits(32))
    if chance.random() < 0.5:
        shot = grain.poisson(np.clip(levels, 0, 1) * 150) / 150
        return np.asarray(shot, np.float32)
    return (
        levels
        + grain.normal(0, chance.uniform(0.02, 0.055), levels.shape[:2]).astype(np.float32)[
            ..., None
        ]
    )


def dust(levels: Levels, chance: random.Random) -> Levels:
    """Hairs and specks, dark or light, and faded edges."""
    grain = np.random.default_rng(chance.getrandbits(32))
    height, width = levels.shape[:2]
    specks = (
        ndimage.gaussian_filter((grain.random((height, width)) < 0.0012).astype(np.float32), 0.9)
        * 6
    )
    for _ in range(chance.randint(3, 8)):
        steps = np.cumsum(grain.normal(0, 0.25, (width // 3, 2)), 0) + grain.normal(0, 1, 2)
        places = (np.cumsum(steps / 4, 0) + grain.random(2) * (height, width)).astype(int)
        inside = ((places >= 0) & (places < (height, width))).all(1)
        specks[tuple(places[inside].T)] = 0.8
    cover = np.clip(specks, 0, 0.9)[..., None]
    return np.asarray(levels * (1 - cover) + cover * chance.choice((0.05, 0.95)), np.float32)


def vignette(levels: Levels, chance: random.Random) -> Levels:
    height, width = levels.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 - chance.uniform(0.25, 0.5) * (x**2 + y**2) / 2
    return np.asarray(levels * light[..., None], np.float32)
