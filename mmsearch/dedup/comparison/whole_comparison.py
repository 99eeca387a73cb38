"""Full comparison of files: all frames or pages, and transparency on two backgrounds.

This is the basis of both `mmsearch same` and plans.
"""

from dataclasses import dataclass, replace

from mmsearch.dedup.comparison import Examined, PairComparison, compare_examined, unrelated
from mmsearch.dedup.comparison.whole_files import (
    FRAMES_AGREE,
    FrameSamples,
    frames_agreement,
    frames_differ,
    sample_frames,
)
from mmsearch.dedup.thumbnails.backgrounds import BACKGROUNDS, blended_on
from mmsearch.media import Decoded, MediaBounds, decode


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A decoded file.

    pictures: the representative frame, on each background if it is transparent.
    frames: number of frames.
    samples: some of them, None for a single one.
    """

    pictures: tuple[Examined, ...]
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
    return WholeFile(_pictures(decoded), decoded.frames, samples)


def _pictures(decoded: Decoded) -> tuple[Examined, ...]:
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
    if len(first.pictures) == len(second.pictures):
        # Both must match on every background.
        pairs = zip(first.pictures, second.pictures, strict=True)
        return min((compare_examined(one, two) for one, two in pairs), key=_rank)
    # The other image was flattened on one of the backgrounds.
    every = [compare_examined(one, two) for one in first.pictures for two in second.pictures]
    found = max(every, key=_rank)
    if found.judgement != "same image":
        return found
    return replace(found, judgement="edited version", reason=f"flattened, {found.reason}")


def _rank(found: PairComparison) -> tuple[int, float]:
    return ("different", "edited version", "same image").index(found.judgement), found.similarity
