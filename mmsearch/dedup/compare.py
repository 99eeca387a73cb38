"""Compares two files: equal bytes, one image, an edited copy, or different images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from mmsearch.dedup.comparison.whole_files import WholeFile, compare_whole, read_whole
from mmsearch.dedup.results import Box, Relation
from mmsearch.dedup.thumbnails.views import ORIENTATIONS
from mmsearch.media import MediaBounds, content_hash, read_content
from mmsearch.media.bounds import read_bytes

Verdict: TypeAlias = Literal["bytes", "pixels", "edited", "different"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of comparing two files.

    agreement: of the best alignment, at most 1; 1 for equal bytes or pixels.
    orientation: how one image is turned against the other.
    evidence: a sentence for people.
    relation: see docs/decisions/0010, None for different images.
    changes: boxes of differences, in the first image's coordinates.
    """

    tier: Verdict
    agreement: float
    orientation: str
    evidence: str
    relation: Relation | None = None
    changes: tuple[Box, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both files show one image."""
        return self.tier != "different"


def compare_files(
    first: Path,
    second: Path,
    *,
    bounds: MediaBounds | None = None,
    threshold: float = 0.0,
) -> Comparison:
    """Compares two files by the comparison that plans are based on.

    threshold: minimum similarity of an edited version. Raises UnreadableMedia, MediaTooLarge; files
        with equal bytes are not decoded.
    """
    hashes = content_hash(first), content_hash(second)
    if hashes[0] == hashes[1]:
        return Comparison("bytes", 1.0, "upright", "the files hold the same bytes", "exact")
    bounds = bounds or MediaBounds()
    one, two = (
        read_bytes(path, max_bytes=bounds.max_bytes, setting="max_image_bytes")
        for path in (first, second)
    )
    wholes = [read_whole(data, bounds) for data in (one, two)]
    if read_content(one, bounds=bounds) == read_content(two, bounds=bounds):
        return Comparison("pixels", 1.0, "upright", _all_equal(wholes[0]), "exact")
    # In the order in which runs over a store compare them, so that both say the same.
    if hashes[0] < hashes[1]:
        found = compare_whole(*wholes)
    else:
        found = compare_whole(*wholes[::-1]).reversed()
    name = ORIENTATIONS[found.orientation].name
    if found.judgement == "different" or found.similarity < threshold:
        reason = found.reason
        if found.judgement != "different":
            reason = f"{reason}, below the threshold of {threshold:.2f}"
        return Comparison("different", found.similarity, name, reason)
    return Comparison(
        "edited", found.similarity, name, found.reason, found.judgement, found.changes
    )


def _all_equal(whole: WholeFile) -> str:
    pixels = f"all {whole.images[0].width} x {whole.images[0].height} pixels"
    if whole.frames > 1:
        pixels += f" of {whole.frames:,} frames or pages, and their times,"
    return f"{pixels} are equal once decoded"
