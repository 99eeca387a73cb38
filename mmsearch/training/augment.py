"""Random image augmentation: crop, horizontal flip, colour jitter, greyscale and blur.

Every function takes a NumPy generator, so that a view depends on its seed alone.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from PIL import Image, ImageFilter
from pydantic import Field
from torchvision.transforms.v2 import functional as T

from mmsearch.media import Preprocessing
from mmsearch.records import Pixels
from mmsearch.training.validated import Share, Validated

_RESAMPLING = {
    "bicubic": T.InterpolationMode.BICUBIC,
    "bilinear": T.InterpolationMode.BILINEAR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentOptions(Validated):
    """How far augmented views may differ from their image.

    least_area: smallest share of the image's area in a random crop.
    most_stretch: largest change of the aspect ratio, as a factor.
    flip: whether half of the views are mirrored; turn it off where text or sides matter.
    brightness, contrast, saturation: jitter factors of 1 ± this.
    hue: jitter in turns of the colour circle, ±.
    blur: share of blurred views; sigma is 0.1 to 2 pixels at a side of 224.
    grey: share of greyscale views.
    """

    least_area: Annotated[float, Field(gt=0, le=1)] = 0.5
    most_stretch: Annotated[float, Field(ge=1)] = 4 / 3
    flip: bool = True
    brightness: Share = 0.2
    contrast: Share = 0.2
    saturation: Share = 0.2
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    blur: Share = 0.1
    grey: Share = 0.05

    def least_side(self, size: int) -> int:
        """Returns the side in pixels to decode at, so that no crop is enlarged to `size`."""
        return math.ceil(size / math.sqrt(self.least_area))


def augmented(
    image: Image.Image, spec: Preprocessing, options: AugmentOptions, rng: np.random.Generator
) -> Pixels:
    """Returns a random view, uint8 (size, size, 3), of an RGB image."""
    left, top, width, height = _crop_box(image.size, options, rng)
    sharp = _RESAMPLING[spec.interpolation]
    view = T.resized_crop(image, top, left, height, width, [spec.size, spec.size], sharp)
    if options.flip and rng.random() < 0.5:
        view = T.horizontal_flip(view)
    return np.array(_jittered(view, options, rng), np.uint8)


def _crop_box(
    sides: tuple[int, int], options: AugmentOptions, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Returns left, top, width and height of a crop of random area and aspect ratio, in pixels.

    As in the training of Inception (Szegedy et al. 2015), but clipped to the image's sides.
    """
    width, height = sides
    area = width * height * rng.uniform(options.least_area, 1)
    stretch = math.log(options.most_stretch)
    ratio = math.exp(rng.uniform(-stretch, stretch)) * width / height
    across = min(width, max(1, round(math.sqrt(area * ratio))))
    down = min(height, max(1, round(math.sqrt(area / ratio))))
    left = int(rng.integers(width - across + 1))
    return left, int(rng.integers(height - down + 1)), across, down


def _jittered(view: Image.Image, options: AugmentOptions, rng: np.random.Generator) -> Image.Image:
    brightness, contrast, saturation, hue = rng.uniform(-1, 1, 4)
    grey, blurred, sigma = rng.random(3)
    view = T.adjust_brightness(view, 1 + options.brightness * brightness)
    view = T.adjust_contrast(view, 1 + options.contrast * contrast)
    view = T.adjust_saturation(view, 1 + options.saturation * saturation)
    if options.hue:
        view = T.adjust_hue(view, options.hue * hue)
    if grey < options.grey:
        view = T.to_grayscale(view, num_output_channels=3)
    if blurred < options.blur:
        radius = float(0.1 + 1.9 * sigma) * view.width / 224
        view = view.filter(ImageFilter.GaussianBlur(radius))
    return view
