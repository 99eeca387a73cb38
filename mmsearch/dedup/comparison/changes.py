"""Locates differences of two registered images: boxes around patches that do not fit.

An overlay (bar, sticker, caption, logo) covers compact areas and is drawn in few colours. A
watermark is one-sided: it makes pixels brighter, or darker, never both. Another shot of the same
object differs in scattered patches, in both directions.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.ndimage import binary_closing, find_objects, label

from mmsearch.dedup.comparison.blocks import PATCH, Mask
from mmsearch.records import Floats, Pixels

# Rows and columns.
Place: TypeAlias = tuple[slice, slice]

_FEWEST_PATCHES = 2
_DENSE = 0.45
_MOST_BOXES = 12
# Share of pixels in the most common colours of stickers and logos, JPEG or not; photographs of
# moved objects have 0.36 at most.
_DRAWN_COLOURS, _DRAWN = 4, 0.45
# An area with this share of one colour is blank.
_BLANK = 0.8
_CLEARLY = 30
_GRAPHIC_COLOURS, _GRAPHIC = 8, 0.93
_VISIBLE_LEVELS = 12
_ONE_SIDED = 0.9


@dataclass(frozen=True, slots=True)
class Change:
    """A compact area that differs, in patches: rows top to bottom, columns left to right.

    drawn: whether one of the images has an overlay there.
    one_sided: see `one_sidedness`.
    """

    top: int
    left: int
    bottom: int
    right: int
    drawn: bool
    one_sided: bool

    @property
    def area(self) -> int:
        """Number of patches."""
        return (self.bottom - self.top) * (self.right - self.left)

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def place(self) -> Place:
        """Slices of rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def find_changes(changed: Mask, telling: Mask, first: Pixels, second: Pixels) -> tuple[Change, ...]:
    """Finds the areas that differ, the largest first.

    changed, telling: bool (rows, columns), patches that differ, and those with enough contrast to.
    first, second: uint8 (h, w, 3), the images on their common grid, with matched colours.
    """
    joined = binary_closing(np.pad(changed, 2), np.ones((3, 3)))[2:-2, 2:-2] | changed
    numbered, _ = label(joined, np.ones((3, 3)))
    found = []
    for number, place in enumerate(find_objects(numbered), 1):
        inside = numbered[place] == number
        differing = changed[place] & inside
        if differing.sum() < _FEWEST_PATCHES:
            continue
        comparable = telling[place].sum()
        if differing.sum() < _DENSE * max(comparable, 1):
            continue
        rows, columns = place
        pixels = (
            slice(rows.start * PATCH, rows.stop * PATCH),
            slice(columns.start * PATCH, columns.stop * PATCH),
        )
        one, two = first[pixels], second[pixels]
        drawn = _is_drawn(one, two)
        found.append(
            Change(rows.start, columns.start, rows.stop, columns.stop, drawn, _one_sided(one, two))
        )
    found.sort(key=lambda change: -change.area)
    return tuple(found[:_MOST_BOXES])


def _is_drawn(first: Pixels, second: Pixels) -> bool:
    """Whether one of the images has an overlay where they differ, on the content of the other.

    Overlay pixels have few colours. If those of the other image are as few, but not a single one as
    on blank ground, one drawing was replaced by another.
    """
    differing = np.abs(second.astype(np.int16) - first).max(axis=2) > _CLEARLY
    pixels = [each[differing] for each in (first, second)]
    drawn = [_share_of_colours(each, _DRAWN_COLOURS, bits=5) >= _DRAWN for each in pixels]
    if drawn[0] != drawn[1]:
        return True
    return drawn[0] and max(_share_of_colours(each, 1, bits=3) for each in pixels) >= _BLANK


def _share_of_colours(pixels: Pixels, count: int, *, bits: int) -> float:
    """Share of the pixels in the most common colours.

    pixels: uint8 (n, 3).
    bits: precision of a colour channel.
    """
    if not len(pixels):
        return 0.0
    red, green, blue = (pixels >> (8 - bits)).astype(np.int32).T
    counts = np.bincount(red << 2 * bits | green << bits | blue)
    return float(np.sort(counts)[-count:].sum() / len(pixels))


def is_graphic(pixels: Pixels) -> bool:
    """Whether few colours make up nearly all of uint8 (h, w, 3), as in icons and charts."""
    return _share_of_colours(pixels.reshape(-1, 3), _GRAPHIC_COLOURS, bits=3) >= _GRAPHIC


def _one_sided(first: Pixels, second: Pixels) -> bool:
    return one_sidedness(first, second) >= _ONE_SIDED


def one_sidedness(first: Pixels, second: Pixels) -> float:
    """Balance of differences: 0.5 if as much is brighter as darker, 1 if all have one sign."""
    difference = second.astype(np.int16).mean(axis=-1) - first.astype(np.int16).mean(axis=-1)
    brighter: Floats = np.clip(difference - _VISIBLE_LEVELS, 0, None)
    darker: Floats = np.clip(-difference - _VISIBLE_LEVELS, 0, None)
    total = float(brighter.sum() + darker.sum())
    return max(float(brighter.sum()), float(darker.sum())) / total if total else 0.5
