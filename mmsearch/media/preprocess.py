"""Prepares images of any shape as the square input of a model.

Equal to OpenCLIP's evaluation transform before normalisation, without torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from PIL import Image

from mmsearch.errors import ConfigError
from mmsearch.records import Pixels

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_MODES = ("shortest", "longest", "squash")
Triple = tuple[float, float, float]
# The statistics of OpenAI's CLIP, which OpenCLIP falls back to as well.
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How images become a model's input.

    size: side in pixels. mode: 'shortest' scales the short side to size and crops the centre,
    'longest' scales the long side and pads, 'squash' ignores the aspect ratio. fill: grey level of
    the padding, 0 to 255. mean, std: of RGB / 255.
    """

    size: int = 224
    mode: Literal["shortest", "longest", "squash"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill: int = 0
    mean: Triple = _CLIP_MEAN
    std: Triple = _CLIP_STD

    def __post_init__(self) -> None:
        faults = []
        if self.size < 1:
            faults.append(f"size must be 1 or more, got {self.size}")
        if self.mode not in _MODES:
            faults.append(f"mode must be one of {', '.join(_MODES)}, got {self.mode!r}")
        if self.interpolation not in _RESAMPLING:
            faults.append(f"interpolation must be bicubic or bilinear, got {self.interpolation!r}")
        if faults:
            raise ConfigError("preprocessing: " + "; ".join(faults))

    @classmethod
    def from_open_clip(cls, config: Mapping[str, Any]) -> Self:
        """Reads a `preprocess_cfg`. Raises ConfigError where it is not supported."""
        size = config.get("size", 224)
        sides = {size} if isinstance(size, int) else set(size)
        if len(sides) != 1:
            raise ConfigError(f"preprocessing: only square sizes are supported, got {size}")
        return cls(
            size=int(sides.pop()),
            mode=config.get("resize_mode") or "shortest",
            # As in OpenCLIP: 'random' is for training, and bicubic in evaluation.
            interpolation="bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
            fill=int(config.get("fill_color") or 0),
            mean=_triple(config.get("mean") or _CLIP_MEAN),
            std=_triple(config.get("std") or _CLIP_STD),
        )


def prepare(image: Image.Image, spec: Preprocessing) -> Pixels:
    """Prepares an RGB image of any size: uint8 (size, size, 3), not normalised."""
    if spec.mode == "shortest":
        square = _centre_crop(image, spec)
    elif spec.mode == "longest":
        square = _pad(image, spec)
    else:
        square = image.resize((spec.size, spec.size), _RESAMPLING[spec.interpolation])
    return np.array(square, dtype=np.uint8)


def _centre_crop(image: Image.Image, spec: Preprocessing) -> Image.Image:
    """Scales and crops in one step: of a 1 x 100,000 strip only the centre is enlarged."""
    size, short = spec.size, min(image.size)
    scaled = [size if side == short else int(size * side / short) for side in image.size]
    starts = [round((side - size) / 2.0) for side in scaled]
    if short == size:
        return image.crop((starts[0], starts[1], starts[0] + size, starts[1] + size))
    (left, right), (top, bottom) = (
        (start * side / long, min((start + size) * side / long, side))
        for start, side, long in zip(starts, image.size, scaled, strict=True)
    )
    return image.resize((size, size), _RESAMPLING[spec.interpolation], (left, top, right, bottom))


def _pad(image: Image.Image, spec: Preprocessing) -> Image.Image:
    ratio = max(image.size) / spec.size
    width, height = (max(round(side / ratio), 1) for side in image.size)
    scaled = image.resize((width, height), _RESAMPLING[spec.interpolation])
    square = Image.new("RGB", (spec.size, spec.size), (spec.fill,) * 3)
    square.paste(scaled, ((spec.size - width) // 2, (spec.size - height) // 2))
    return square


def _triple(values: float | list[float] | tuple[float, ...]) -> Triple:
    if isinstance(values, int | float):
        return (float(values),) * 3
    red, green, blue = values
    return (float(red), float(green), float(blue))
