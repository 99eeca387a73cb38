"""Pictures on their way into a training step: decoded within bounds, then one view each.

A view's chance depends on the seed, the item's key and the view's number alone, so that neither
threads nor resuming change it. The plain view is the very picture that the encoder sees.
"""

import hashlib
import math
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torchvision.transforms.v2 import functional as T

from mmsearch.errors import ConfigError, InputError
from mmsearch.finetuning.data.sampling import PLAIN_VIEW, Draw
from mmsearch.finetuning.data.training_set import TrainCatalog
from mmsearch.media import MediaBounds, Preprocessing, decode, prepare
from mmsearch.records import Failure, Ids, Pixels, printable_path

_BATCHES_AHEAD = 2
# Kept plain views take at most so much memory: 14,000 of 224 x 224.
MOST_KEPT_BYTES = 2 * 2**30
_RESAMPLING = {
    "bicubic": T.InterpolationMode.BICUBIC,
    "bilinear": T.InterpolationMode.BILINEAR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentOptions:
    """least_area: of the picture that a random crop keeps. most_stretch: of its sides' ratio.

    flip: mirror every other view; switch it off where left and right or writing matter.
    brightness, contrast, saturation: factors up to 1 ± this. hue: turns of the colour circle, ±.
    blur: share of views; sigma is 0.1 to 2 pixels at a side of 224. grey: share of views.
    """

    least_area: float = 0.5
    most_stretch: float = 4 / 3
    flip: bool = True
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.02
    blur: float = 0.1
    grey: float = 0.05

    def __post_init__(self) -> None:
        faults = [
            f"{name} must lie between 0 and {most:g}, got {getattr(self, name):g}"
            for name, most in (
                ("brightness", 1), ("contrast", 1), ("saturation", 1), ("hue", 0.5), ("blur", 1),
                ("grey", 1), ("least_area", 1),
            )
            if not 0 <= getattr(self, name) <= most
        ]  # fmt: skip
        if self.least_area == 0 or self.most_stretch < 1:
            faults.append("least_area must be above 0, most_stretch 1 or more")
        if faults:
            raise ConfigError("augmentation: " + "; ".join(faults))


class Views:
    """The views of a catalog's pictures at an encoder's size. failures: pictures that broke."""

    def __init__(
        self,
        catalog: TrainCatalog,
        spec: Preprocessing,
        options: AugmentOptions | None = None,
        *,
        seed: int = 0,
        bounds: MediaBounds | None = None,
        threads: int = 4,
    ) -> None:
        self._catalog, self._spec = catalog, spec
        self._options = options or AugmentOptions()
        self._seed, self._bounds, self._threads = seed, bounds or MediaBounds(), threads
        self.failures: dict[str, Failure] = {}

    def pixels(self, item: int, view: int) -> Pixels:
        """item: its place in the catalog → uint8 (size, size, 3), as `Encoder.encode_pixels` takes.

        Raises UnreadableMedia, MediaTooLarge.
        """
        found = self._catalog.items[item]
        assert found.picture is not None
        if view == PLAIN_VIEW:
            side = self._spec.size
            plain = decode(found.picture, bounds=self._bounds, draft=(side, side))
            return prepare(plain.image, self._spec)
        return self._random(found.picture, _chance(self._seed, found.key, view))

    def batch(self, items: Ids, views: Ids) -> tuple[Pixels, NDArray[np.bool_]]:
        """items, views: int64 (b,) → uint8 (b, size, size, 3), and bool (b,) which could be read.

        The others, and items without a picture, are black; `failures` says why.
        """
        with ThreadPoolExecutor(self._threads) as threads:
            return self._stacked(
                [threads.submit(self._read, *pair) for pair in _pairs(items, views)]
            )

    def ahead(
        self, draws: Iterable[Draw]
    ) -> Generator[tuple[Draw, Pixels, NDArray[np.bool_]], None, None]:
        """Each draw with its first views, as `batch` gives them, decoded before they are wanted."""
        with ThreadPoolExecutor(self._threads) as threads:
            window: deque[tuple[Draw, list[Future[Pixels | None]]]] = deque()
            try:
                for draw in draws:
                    pairs = _pairs(draw.items, draw.views)
                    window.append((draw, [threads.submit(self._read, *pair) for pair in pairs]))
                    if len(window) > _BATCHES_AHEAD:
                        ready, futures = window.popleft()
                        yield (ready, *self._stacked(futures))
                while window:
                    ready, futures = window.popleft()
                    yield (ready, *self._stacked(futures))
            finally:
                for _, futures in window:
                    for future in futures:
                        future.cancel()

    def _stacked(self, futures: list[Future[Pixels | None]]) -> tuple[Pixels, NDArray[np.bool_]]:
        found = [future.result() for future in futures]
        black = np.zeros((self._spec.size, self._spec.size, 3), np.uint8)
        pixels = np.stack([black if each is None else each for each in found])
        return pixels, np.array([each is not None for each in found], np.bool_)

    def _read(self, item: int, view: int) -> Pixels | None:
        found = self._catalog.items[item]
        if found.picture is None or found.key in self.failures:
            return None
        try:
            return self.pixels(item, view)
        except InputError as fault:
            # One picture that breaks in the middle of an epoch must not cost the run.
            uri = printable_path(found.picture)
            self.failures[found.key] = Failure(found.key, uri, "decode", str(fault))
            return None

    # --- random views ---

    def _random(self, path: Path, chance: np.random.Generator) -> Pixels:
        options, size = self._options, self._spec.size
        # A crop is enlarged less than the whole would be.
        side = math.ceil(size / math.sqrt(options.least_area))
        image = decode(path, bounds=self._bounds, draft=(side, side)).image
        left, top, width, height = _crop(image.size, options, chance)
        sharp = _RESAMPLING[self._spec.interpolation]
        view = T.resized_crop(image, top, left, height, width, [size, size], sharp)
        if options.flip and chance.random() < 0.5:
            view = T.horizontal_flip(view)
        return np.array(_coloured(view, options, chance), np.uint8)


class PlainPixels:
    """Every epoch and every measurement sees the same plain views, so the first ones are kept."""

    def __init__(self, views: Views, size: int, *, most_bytes: int = MOST_KEPT_BYTES) -> None:
        """size: side of a view in pixels. most_bytes: of what is kept; others are decoded anew."""
        self._views, self._most = views, most_bytes // (3 * size * size)
        self._kept: dict[int, tuple[Pixels, bool]] = {}

    def __call__(self, items: Ids) -> tuple[Pixels, NDArray[np.bool_]]:
        """items: int64 (n,) → uint8 (n, size, size, 3), and bool (n,) which could be read."""
        known = {item: self._kept[item] for item in items.tolist() if item in self._kept}
        if new := [item for item in dict.fromkeys(items.tolist()) if item not in known]:
            pixels, readable = self._views.batch(np.array(new), np.full(len(new), PLAIN_VIEW))
            found = dict(zip(new, zip(pixels, readable.tolist(), strict=True), strict=True))
            room = max(0, self._most - len(self._kept))
            self._kept.update(list(found.items())[:room])
            known |= found
        rows = [known[item] for item in items.tolist()]
        return np.stack([row for row, _ in rows]), np.array([could for _, could in rows], np.bool_)


def _pairs(items: Ids, views: Ids) -> list[tuple[int, int]]:
    return list(zip(items.tolist(), views.tolist(), strict=True))


def _chance(seed: int, key: str, view: int) -> np.random.Generator:
    name = hashlib.blake2b(f"{seed} {view} {key}".encode("utf-8", "replace"), digest_size=8)
    return np.random.default_rng(int.from_bytes(name.digest(), "big"))


def _crop(
    sides: tuple[int, int], options: AugmentOptions, chance: np.random.Generator
) -> tuple[int, int, int, int]:
    """left, top, width, height in pixels: a random part of the area and ratio, as in Inception's
    training (Szegedy et al. 2015), cut to what there is.
    """
    width, height = sides
    area = width * height * chance.uniform(options.least_area, 1)
    stretch = math.log(options.most_stretch)
    ratio = math.exp(chance.uniform(-stretch, stretch)) * width / height
    across = min(width, max(1, round(math.sqrt(area * ratio))))
    down = min(height, max(1, round(math.sqrt(area / ratio))))
    left = int(chance.integers(width - across + 1))
    return left, int(chance.integers(height - down + 1)), across, down


def _coloured(
    view: Image.Image, options: AugmentOptions, chance: np.random.Generator
) -> Image.Image:
    """Brightness, contrast, saturation and hue in that order, then perhaps grey, then blur."""
    one, two, three, turn = chance.uniform(-1, 1, 4)
    grey, blurred, sigma = chance.random(3)
    view = T.adjust_brightness(view, 1 + options.brightness * one)
    view = T.adjust_contrast(view, 1 + options.contrast * two)
    view = T.adjust_saturation(view, 1 + options.saturation * three)
    if options.hue:
        view = T.adjust_hue(view, options.hue * turn)
    if grey < options.grey:
        view = T.to_grayscale(view, num_output_channels=3)
    if blurred < options.blur:
        radius = float(0.1 + 1.9 * sigma) * view.width / 224
        view = view.filter(ImageFilter.GaussianBlur(radius))
    return view
