"""Downscaling, smoothing and warping of images for the alignment."""

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats, Pixels

Mask: TypeAlias = NDArray[np.bool_]


@lru_cache
def grid(side: int) -> Floats:
    """Homogeneous pixel centres (x, y, 1) from -1 to 1, float32 (3, side * side)."""
    centres = (np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1
    across, down = np.meshgrid(centres, centres)
    return np.stack([across.ravel(), down.ravel(), np.ones(side * side, np.float32)])


def warp(images: Floats, maps: Floats) -> tuple[Floats, Mask]:
    """Samples images through affine maps.

    images: float32 (n, side, side).
    maps: float32 (n, 2, 3).
    Returns the sampled images and a mask of valid pixels, float32 and bool (n, side, side).
    """
    count, side, _ = images.shape
    places = maps @ grid(side)
    inside = (np.abs(places) <= 1 + 1e-4).all(axis=1).reshape(count, side, side)
    places += np.float32(1)
    places *= np.float32(side / 2)
    places -= np.float32(0.5)
    pixels = np.clip(places, 0, side - 1, out=places)
    corner = np.minimum(pixels.astype(np.int64), side - 2)
    x, y = (pixels - corner.astype(np.float32)).transpose(1, 0, 2)
    at = corner[:, 1] * side + corner[:, 0] + np.arange(count)[:, None] * (side * side)
    flat = images.reshape(-1)
    # The indices are within bounds; 'clip' avoids NumPy's check.
    left, right = flat.take(at, mode="clip"), flat.take(at + 1, mode="clip")
    top = left + (right - left) * x
    at += side
    left, right = flat.take(at, mode="clip"), flat.take(at + 1, mode="clip")
    bottom = left + (right - left) * x
    return (top + (bottom - top) * y).reshape(images.shape), inside


def shrink(images: Pixels, side: int, blurs: int) -> Floats:
    """Averages images, uint8 (n, larger, larger), to float32 (n, side, side), and smooths them."""
    factor = images.shape[1] // side
    shrunk = np.zeros((len(images), side, side), np.float32)
    for down in range(factor):
        for across in range(factor):
            shrunk += images[:, down::factor, across::factor]
    shrunk *= np.float32(1 / factor**2)
    for _ in range(blurs):
        for axis in (1, 2):
            shrunk = _smoothed(shrunk, axis)
    return shrunk


def shrunk(images: Pixels, side: int) -> Pixels:
    """Averages images, uint8 (n, larger, larger), to uint8 (n, side, side)."""
    factor = images.shape[1] // side
    # Whole rows first: they are contiguous in memory.
    rows = images[:, ::factor].astype(np.uint16)
    for down in range(1, factor):
        rows += images[:, down::factor]
    total = rows[:, :, ::factor].copy()
    for across in range(1, factor):
        total += rows[:, :, across::factor]
    small: Pixels = ((total + factor**2 // 2) // factor**2).astype(np.uint8)
    return small


def _smoothed(images: Floats, axis: int) -> Floats:
    """Binomial filter 1, 2, 1 along an axis; edge values are repeated."""
    turned = np.swapaxes(images, 0, axis)
    smooth = 2 * turned
    smooth[1:] += turned[:-1]
    smooth[:-1] += turned[1:]
    smooth[0] += turned[0]
    smooth[-1] += turned[-1]
    smoothed: Floats = np.swapaxes(smooth / 4, 0, axis)
    return smoothed
