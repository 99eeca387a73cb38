"""Two files: are they the same bytes, the same picture, an edited copy, or different?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from mmsearch.dedup.backgrounds import visible_image
from mmsearch.dedup.edited import EDITED_AGREEMENT, align_pairs
from mmsearch.dedup.prints import make_print
from mmsearch.dedup.views import ORIENTATIONS
from mmsearch.dedup.whole_files import (
    FRAMES_AGREE,
    backgrounds_agreement,
    frames_agreement,
    frames_differ,
    sample_frames,
)
from mmsearch.media import Decoded, MediaBounds, content_hash, decode, read_content

Verdict: TypeAlias = Literal["bytes", "pixels", "edited", "different"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """agreement: of the best alignment, at most 1; 1 for equal bytes or pixels.

    orientation: how one is turned against the other. evidence: a sentence for people.
    """

    tier: Verdict
    agreement: float
    orientation: str
    evidence: str

    @property
    def same(self) -> bool:
        return self.tier != "different"


def compare_files(
    first: Path,
    second: Path,
    *,
    bounds: MediaBounds | None = None,
    threshold: float = EDITED_AGREEMENT,
) -> Comparison:
    """Raises UnreadableMedia, MediaTooLarge; files of equal bytes are not opened as pictures."""
    if content_hash(first) == content_hash(second):
        return Comparison("bytes", 1.0, "upright", "the files hold the same bytes")
    bounds = bounds or MediaBounds()
    one, two = (decode(path, bounds=bounds) for path in (first, second))
    if (one.width, one.height) == (two.width, two.height):
        contents = [read_content(path, bounds=bounds) for path in (first, second)]
        if contents[0] == contents[1]:
            return Comparison("pixels", 1.0, "upright", _all_equal(one, contents[0].frames))
    if reason := frames_differ(one.frames, two.frames):
        return Comparison("different", 0.0, "upright", reason)
    if one.frames > 1:
        ones, twos = (sample_frames(path, one.frames, bounds) for path in (first, second))
        agreement, turn = frames_agreement(ones, twos)
        return _judged(agreement, turn, max(threshold, FRAMES_AGREE), "frames that differ most")
    if one.alpha is not None and two.alpha is not None:
        agreement, turn = backgrounds_agreement(one, two)
        return _judged(agreement, turn, threshold, "background where they differ most")
    prints = [make_print(visible_image(each), each.width, each.height) for each in (one, two)]
    thumbnails = np.stack([each.thumbnail for each in prints])
    found = align_pairs(thumbnails, np.array([[0, 1]]))
    return _judged(float(found.agreement[0]), int(found.orientation[0]), threshold, "")


def _all_equal(picture: Decoded, frames: int) -> str:
    pixels = f"all {picture.width} x {picture.height} pixels"
    if frames > 1:
        return f"{pixels} of {frames:,} frames or pages and their times are equal once decoded"
    return f"{pixels} are equal once decoded"


def _judged(agreement: float, turn: int, threshold: float, where: str) -> Comparison:
    """where: of a comparison in several parts, which part the agreement is of."""
    name = ORIENTATIONS[turn].name
    edited = agreement >= threshold
    relation = "at least" if edited else "below"
    part = f", on the {where}" if where.startswith("background") else f", in the {where}"
    evidence = (
        f"laid over each other ({name}{part if where else ''}) they agree to {agreement:.2f}, "
        f"{relation} the {threshold:.2f} of an edited copy"
    )
    if agreement == 0:
        evidence = "in none of eight orientations one could be laid over the other"
    return Comparison("edited" if edited else "different", agreement, name, evidence)
