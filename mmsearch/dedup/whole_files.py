"""Comparison of files by all that they hold: every frame or page, and both sides of transparency.

A picture's fingerprint shows one frame on one background. Files with several frames or with
transparency are compared once more here before they count as edited copies of each other.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.dedup.backgrounds import BACKGROUNDS, blended_on
from mmsearch.dedup.edited import align_pairs
from mmsearch.dedup.prints import SIDE, make_print
from mmsearch.media import Decoded, Frame, MediaBounds, read_frames
from mmsearch.records import Pixels

# Of an animation so many frames are compared, evenly spread, the first and the last among them.
_COMPARED_FRAMES = 12
# GIF counts in hundredths of a second.
_SAME_TIME = 10
# Pages of one layout with other words agree to 0.87; a page in another resolution to more.
FRAMES_AGREE = 0.9
# Thumbnails of less contrast (standard deviation) show nothing; they agree where levels do.
_BLANK, _SAME_LEVEL = 2.0, 4.0


@dataclass(frozen=True, slots=True)
class FrameSamples:
    """count: of all frames. durations: ms, of each. thumbnails: uint8 (n, SIDE, SIDE), of some."""

    count: int
    durations: tuple[float, ...]
    thumbnails: Pixels


def sample_frames(source: Path | bytes, count: int, bounds: MediaBounds) -> FrameSamples:
    """count: the frames of the file, as decoding it said. Raises UnreadableMedia, MediaTooLarge."""
    wanted = {*np.linspace(0, count - 1, min(count, _COMPARED_FRAMES)).round().astype(int).tolist()}
    durations: list[float] = []
    thumbnails: list[Pixels] = []

    def see(frame: Frame, _: str) -> None:
        durations.append(frame.duration)
        if frame.place in wanted:
            image = frame.upright
            thumbnails.append(make_print(image, *image.size).thumbnail)

    read_frames(source, see, bounds=bounds)
    stacked = np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE, SIDE), np.uint8)
    return FrameSamples(len(durations), tuple(durations), stacked)


def frames_differ(one: int, two: int) -> str:
    """Why files of so many frames or pages cannot be copies of each other; '' if they may be."""
    if one == two:
        return ""
    more, fewer = max(one, two), min(one, two)
    return f"one file holds {more:,} frames or pages, the other {fewer:,}"


def frames_agreement(one: FrameSamples, two: FrameSamples) -> tuple[float, int]:
    """The agreement of the frames that agree least, 0 where counts or times differ, and how these
    are turned against each other (a place in ORIENTATIONS)."""
    apart = (
        np.abs(np.subtract(one.durations, two.durations)) if one.count == two.count else [np.inf]
    )
    if np.max(apart, initial=0) > _SAME_TIME or len(one.thumbnails) != len(two.thumbnails):
        return 0.0, 0
    return _all_agree(one.thumbnails, two.thumbnails)


def backgrounds_agreement(one: Decoded, two: Decoded) -> tuple[float, int]:
    """The agreement on the background where the two agree least, and the orientation there."""
    thumbnails = [
        np.stack(
            [
                make_print(blended_on(picture, background), picture.width, picture.height).thumbnail
                for background in BACKGROUNDS
            ]
        )
        for picture in (one, two)
    ]
    return _all_agree(*thumbnails)


def _all_agree(ones: Pixels, twos: Pixels) -> tuple[float, int]:
    """ones, twos: uint8 (n, SIDE, SIDE). Pairs that are blank alike agree, but say little."""
    seen = np.flatnonzero(~_blank_alike(ones, twos))
    if not seen.size:
        return (1.0, 0) if len(ones) else (0.0, 0)
    pairs = np.stack([seen, seen + len(ones)], axis=1)
    found = align_pairs(np.concatenate([ones, twos]), pairs)
    if len(found) < seen.size:
        return 0.0, 0
    worst = int(found.agreement.argmin())
    return float(found.agreement[worst]), int(found.orientation[worst])


def _blank_alike(ones: Pixels, twos: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """bool (n,): where both are of one level, and of the same one."""
    flat = [images.reshape(len(images), -1).astype(np.float32) for images in (ones, twos)]
    still = [levels.std(axis=1) < _BLANK for levels in flat]
    near = np.abs(flat[0].mean(axis=1) - flat[1].mean(axis=1)) < _SAME_LEVEL
    blank: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = still[0] & still[1] & near
    return blank
