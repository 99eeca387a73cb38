"""Compares whole files: all frames or pages, and transparency on two backgrounds.

`compare_whole` is the basis of both `mmsearch same` and plans. A fingerprint shows one frame on one
background, so files with several frames or with transparency are compared here before they count as
edited copies.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.comparison.comparing import PairComparison, compare_examined, unrelated
from mmsearch.dedup.comparison.examined import Examined
from mmsearch.dedup.thumbnails.backgrounds import BACKGROUNDS, blended_on
from mmsearch.dedup.thumbnails.edited_copies import align_pairs
from mmsearch.dedup.thumbnails.fingerprints import SIDE, make_print
from mmsearch.media import Decoded, Frame, MediaBounds, decode, read_frames
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


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A decoded file.

    images: the representative frame, on each background if it is transparent.
    frames: number of frames.
    samples: some of them, None for a single one.
    """

    images: tuple[Examined, ...]
    frames: int
    samples: FrameSamples | None


def read_whole(
    data: bytes, bounds: MediaBounds, *, draft: tuple[int, int] | None = None
) -> WholeFile:
    """Decodes a file. Raises UnreadableMedia, MediaTooLarge.

    draft: see `decode`.
    """
    decoded = decode(data, bounds=bounds, draft=draft)
    samples = sample_frames(data, decoded.frames, bounds) if decoded.frames > 1 else None
    return WholeFile(_images(decoded), decoded.frames, samples)


def _images(decoded: Decoded) -> tuple[Examined, ...]:
    size = decoded.width, decoded.height
    if decoded.alpha is None:
        return (Examined.of(decoded.image, *size, decoded.covers),)
    return tuple(
        Examined.of(blended_on(decoded, background), *size, decoded.covers)
        for background in BACKGROUNDS
    )


def compare_whole(first: WholeFile, second: WholeFile) -> PairComparison:
    """Compares two files by all their content."""
    if reason := frames_differ(first.frames, second.frames):
        return unrelated(reason)
    if first.samples is not None and second.samples is not None:
        agreement, _ = frames_agreement(first.samples, second.samples)
        if agreement < FRAMES_AGREE:
            return unrelated(f"their frames or pages agree to {agreement:.2f} at worst")
    if len(first.images) == len(second.images):
        # Both must match on every background.
        pairs = zip(first.images, second.images, strict=True)
        return min((compare_examined(one, two) for one, two in pairs), key=_rank)
    # The other image was flattened on one of the backgrounds.
    every = [compare_examined(one, two) for one in first.images for two in second.images]
    found = max(every, key=_rank)
    if found.judgement != "same image":
        return found
    return replace(found, judgement="edited version", reason=f"flattened, {found.reason}")


def _rank(found: PairComparison) -> tuple[int, float]:
    return ("different", "edited version", "same image").index(found.judgement), found.similarity


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
                make_print(blended_on(image, background), image.width, image.height).thumbnail
                for background in BACKGROUNDS
            ]
        )
        for image in (one, two)
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
