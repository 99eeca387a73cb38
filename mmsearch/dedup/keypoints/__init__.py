"""Keypoints: propose pairs of images that share a part, and the map between them.

Thumbnails of whole images do not find copies that are mirrored and cropped, tilted, or a small part
of a screenshot or a collage. Keypoints do: `extract` computes them for an image, `match` aligns two
images, and `propose` finds the pairs worth aligning among many. Whether these are copies is decided
by comparing their pixels.
"""

from mmsearch.dedup.keypoints.extraction import extract
from mmsearch.dedup.keypoints.keypoint_set import Keypoints
from mmsearch.dedup.keypoints.matching import Match, match
from mmsearch.dedup.keypoints.proposing import Proposals, propose

__all__ = ["Keypoints", "Match", "Proposals", "extract", "match", "propose"]
