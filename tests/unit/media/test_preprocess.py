"""The square that a model sees equals OpenCLIP's own, pixel for pixel."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from mmsearch.errors import ConfigError
from mmsearch.media import Preprocessing, prepare

Distance = Callable[[Image.Image, Image.Image], float]
Mode = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]

SIZES = [
    (240, 160),
    (160, 240),
    (64, 64),
    (64, 99),
    (65, 64),
    (63, 200),
    (1001, 333),
    (20, 31),
    (500, 3),
    (640, 480),
]


# OpenCLIP scales a thin strip to nothing with "longest", and fails.
CASES = [
    pytest.param(size, mode, id=f"{mode}-{size}")
    for mode in ("shortest", "longest", "squash")
    for size in SIZES
    if mode != "longest" or min(size) * 64 / max(size) >= 0.5
]


@pytest.mark.parametrize(("size", "mode"), CASES)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_equal_to_open_clip(
    reference: Image.Image, size: tuple[int, int], mode: Mode, interpolation: Interpolation
) -> None:
    from open_clip.transform import image_transform

    spec = Preprocessing(size=64, mode=mode, interpolation=interpolation, fill=114)
    transform = image_transform(
        64,
        is_train=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        resize_mode=mode,
        interpolation=interpolation,
        fill_color=114,
    )
    image = reference.resize(size)
    theirs = transform(image).permute(1, 2, 0).numpy()
    ours = prepare(image, spec)
    assert ours.shape == (64, 64, 3)
    assert ours.dtype == np.uint8
    levels_off = np.abs(ours.astype(int) - np.round(theirs * 255).astype(int))
    # Nearly always equal; Pillow holds the edges of a crop in 32-bit floats, which may tip a level.
    assert levels_off.max() <= 2
    assert (levels_off <= 1).mean() >= 0.9999


def test_long_strips_cost_no_memory() -> None:
    strip = Image.new("RGB", (2, 400_000), "navy")
    for mode in ("shortest", "longest", "squash"):
        pixels = prepare(strip, Preprocessing(size=224, mode=mode))
        assert pixels[112, 111].tolist() == [0, 0, 128]


def test_reads_open_clips_own_settings() -> None:
    from dataclasses import asdict

    from open_clip.transform import PreprocessCfg

    config = asdict(PreprocessCfg(size=(256, 256), resize_mode="longest", fill_color=7))
    spec = Preprocessing.from_open_clip(config)
    assert (spec.size, spec.mode, spec.interpolation, spec.fill) == (256, "longest", "bicubic", 7)
    assert spec.mean == pytest.approx(config["mean"])
    assert spec.std == pytest.approx(config["std"])
    assert Preprocessing.from_open_clip({}) == Preprocessing()
    assert Preprocessing.from_open_clip({"mean": 0.5}).mean == (0.5, 0.5, 0.5)
    assert Preprocessing.from_open_clip({"interpolation": "random"}).interpolation == "bicubic"


def test_settings_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"only square sizes are supported, got \[224, 336\]"):
        Preprocessing.from_open_clip({"size": [224, 336]})
    with pytest.raises(ConfigError, match="mode must be one of shortest, longest, squash, got 'x'"):
        Preprocessing.from_open_clip({"resize_mode": "x"})
    with pytest.raises(ConfigError, match="size must be 1 or more, got 0"):
        Preprocessing(size=0)
