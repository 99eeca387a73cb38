"""Local features: propose pairs of images that share a part, and how one lies on the other.

A thumbnail of the whole image finds no copy that is mirrored and cropped, tilted, or a small part
of a screenshot or a collage. Keypoints do: `extract` reads them from an image, `match` aligns two
images, and `propose` finds the pairs worth aligning among many. All of it only proposes; whether
two images are copies is decided by comparing their pixels.
"""

from mmsearch.dedup.keypoints.extraction import extract
from mmsearch.dedup.keypoints.keypoint_set import Keypoints
from mmsearch.dedup.keypoints.matching import Match, match
from mmsearch.dedup.keypoints.proposing import Proposals, propose

__all__ = ["Keypoints", "Match", "Proposals", "extract", "match", "propose"]
