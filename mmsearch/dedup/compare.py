"""Two files: are they the same bytes, the same picture, an edited copy, or different?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from mmsearch.dedup.edited import EDITED_AGREEMENT, align_pairs
from mmsearch.dedup.prints import make_print
from mmsearch.dedup.results import Box, Relation
from mmsearch.dedup.views import ORIENTATIONS
from mmsearch.media import MediaBounds, content_hash, decode

Verdict: TypeAlias = Literal["bytes", "pixels", "edited", "different"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """agreement: of the best alignment, at most 1; 1 for equal bytes or pixels.

    orientation: how one is turned against the other. evidence: a sentence for people.
    relation: see docs/decisions/0010, None for different pictures. changes: where they differ, in
    the first one's coordinates.
    """

    tier: Verdict
    agreement: float
    orientation: str
    evidence: str
    relation: Relation | None = None
    changes: tuple[Box, ...] = ()

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
    one, two = (decode(path, bounds=bounds or MediaBounds()) for path in (first, second))
    if one.image.size == two.image.size and one.image.tobytes() == two.image.tobytes():
        evidence = f"all {one.width} x {one.height} pixels are equal once decoded"
        return Comparison("pixels", 1.0, "upright", evidence)
    prints = [make_print(each.image, each.width, each.height) for each in (one, two)]
    thumbnails = np.stack([each.thumbnail for each in prints])
    found = align_pairs(thumbnails, np.array([[0, 1]]))
    agreement = float(found.agreement[0])
    name = ORIENTATIONS[int(found.orientation[0])].name
    edited = agreement >= threshold
    relation = "at least" if edited else "below"
    evidence = (
        f"laid over each other ({name}) they agree to {agreement:.2f}, {relation} the "
        f"{threshold:.2f} of an edited copy"
    )
    if agreement == 0:
        evidence = "in none of eight orientations one could be laid over the other"
    return Comparison("edited" if edited else "different", agreement, name, evidence)
