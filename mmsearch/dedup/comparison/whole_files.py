"""Compares files by all frames or pages, and transparency on both backgrounds.

A fingerprint shows one frame on one background. Files with several frames or with transparency are
compared here before they count as edited copies.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.thumbnails.backgrounds import BACKGROUNDS, blended_on
from mmsearch.dedup.thumbnails.edited_copies import align_pairs
from mmsearch.dedup.thumbnails.fingerprints import SIDE, make_print
from mmsearch.media import Decoded, Frame, MediaBounds, read_frames
from mmsearch.records import Pixels

# Number of frames compared, evenly spaced, including the first and the last.
_COMPARED_FRAMES = 12
# GIF durations are in hundredths of a second.
_SAME_TIME = 10
# Pages of one layout with different text agree to 0.87; a page in another resolution to more.
FRAMES_AGREE = 0.9
# A frame with a lower standard deviation is blank: it agrees with one of the same level.
_BLANK, _SAME_LEVELS = 2.0, 1.0
# An image with less contrast on a background is hardly visible: the other one decides.
_FAINT, _SAME_MEAN = 8.0, 4.0


@dataclass(frozen=True, slots=True)
class FrameSamples:
    """Samples of the frames of a file.

    count: number of all frames.
    durations: of each, in ms.
    thumbnails: uint8 (n, SIDE, SIDE), of some.
    """

    count: int
    durations: tuple[float, ...]
    thumbnails: Pixels


def sample_frames(source: Path | bytes, count: int, bounds: MediaBounds) -> FrameSamples:
    """Reads samples of frames. Raises UnreadableMedia, MediaTooLarge.

    count: number of frames, as reported by decoding.
    """
    chosen = {*np.linspace(0, count - 1, min(count, _COMPARED_FRAMES)).round().astype(int).tolist()}
    durations: list[float] = []
    thumbnails: list[Pixels] = []

    def see(frame: Frame, _: str) -> None:
        durations.append(frame.duration)
        if frame.place in chosen:
            image = frame.upright
            thumbnails.append(make_print(image, *image.size).thumbnail)

    read_frames(source, see, bounds=bounds)
    stacked = np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE, SIDE), np.uint8)
    return FrameSamples(len(durations), tuple(durations), stacked)


def frames_differ(one: int, two: int) -> str:
    """Why files with these numbers of frames cannot be copies; '' if they can."""
    if one == two:
        return ""
    more, fewer = max(one, two), min(one, two)
    return f"one file holds {more:,} frames or pages, the other {fewer:,}"


def frames_agreement(one: FrameSamples, two: FrameSamples) -> tuple[float, int]:
    """Agreement of the worst matching frames, and their orientation.

    The agreement is 0 if numbers or durations of frames differ; the orientation is an index into
    ORIENTATIONS.
    """
    apart = (
        np.abs(np.subtract(one.durations, two.durations)) if one.count == two.count else [np.inf]
    )
    if np.max(apart, initial=0) > _SAME_TIME or len(one.thumbnails) != len(two.thumbnails):
        return 0.0, 0
    ones, twos = one.thumbnails, two.thumbnails
    blank = _fainter(ones, _BLANK) & _fainter(twos, _BLANK)
    blank &= np.abs(ones.astype(np.int16) - twos).mean(axis=(1, 2)) < _SAME_LEVELS
    return _all_agree(ones[~blank], twos[~blank]) if not blank.all() else (1.0, 0)


def backgrounds_agreement(one: Decoded, two: Decoded) -> tuple[float, int]:
    """Agreement on the background where two images agree least, and the orientation there."""
    ones, twos = (
        np.stack(
            [
                make_print(blended_on(picture, background), picture.width, picture.height).thumbnail
                for background in BACKGROUNDS
            ]
        )
        for picture in (one, two)
    )
    faint = _fainter(ones, _FAINT) & _fainter(twos, _FAINT)
    faint &= np.abs(ones.mean(axis=(1, 2)) - twos.mean(axis=(1, 2))) < _SAME_MEAN
    # Faint on both backgrounds: both are compared directly.
    seen = ~faint if not faint.all() else faint
    return _all_agree(ones[seen], twos[seen])


def _all_agree(ones: Pixels, twos: Pixels) -> tuple[float, int]:
    """The least agreement of pairs, uint8 (n, SIDE, SIDE) each, and its orientation."""
    numbers = np.arange(len(ones))
    pairs = np.stack([numbers, numbers + len(ones)], axis=1)
    found = align_pairs(np.concatenate([ones, twos]), pairs)
    if len(found) < len(ones) or not len(ones):
        return 0.0, 0
    worst = int(found.agreement.argmin())
    return float(found.agreement[worst]), int(found.orientation[worst])


def _fainter(thumbnails: Pixels, deviation: float) -> NDArray[np.bool_]:
    """Whether the standard deviation of thumbnails is below a threshold, bool (n,)."""
    faint: NDArray[np.bool_] = thumbnails.std(axis=(1, 2), dtype=np.float32) < deviation
    return faint
