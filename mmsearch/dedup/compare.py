"""Two files: are they the same bytes, the same picture, an edited copy, or different?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from mmsearch.dedup.comparison import Examined, compare_examined
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
    threshold: float = 0.0,
) -> Comparison:
    """What two files are to each other, by the comparison that a plan rests on.

    threshold: the similarity below which even an edited version counts as different. Raises
    UnreadableMedia, MediaTooLarge; files of equal bytes are not opened as pictures.
    """
    if content_hash(first) == content_hash(second):
        return Comparison("bytes", 1.0, "upright", "the files hold the same bytes", "exact")
    one, two = (decode(path, bounds=bounds or MediaBounds()) for path in (first, second))
    if one.image.size == two.image.size and one.image.tobytes() == two.image.tobytes():
        evidence = f"all {one.width} x {one.height} pixels are equal once decoded"
        return Comparison("pixels", 1.0, "upright", evidence, "exact")
    found = compare_examined(*(Examined.of(e.image, e.width, e.height) for e in (one, two)))
    name = ORIENTATIONS[found.orientation].name
    if found.judgement == "different" or found.similarity < threshold:
        reason = found.reason
        if found.judgement != "different":
            reason = f"{reason}, below the threshold of {threshold:.2f}"
        return Comparison("different", found.similarity, name, reason)
    return Comparison(
        "edited", found.similarity, name, found.reason, found.judgement, found.changes
    )
