"""Extracts the keypoints of an image."""

import numpy as np
from PIL import Image

from mmsearch.dedup.keypoints.description import DIM, describe, dominant_angles
from mmsearch.dedup.keypoints.detection import detect
from mmsearch.dedup.keypoints.keypoint_set import Keypoints
from mmsearch.dedup.keypoints.pyramid import build_pyramid

_SPOTS = 320
# Some spots have two directions.
_MOST_KEYPOINTS = 375


def extract(image: Image.Image) -> Keypoints:
    """Extracts the keypoints of an image, RGB or L, upright; none if it is blank."""
    pyramid = build_pyramid(image)
    spots = detect(pyramid, _SPOTS)
    if not len(spots):
        none = np.zeros(0, np.float32)
        return Keypoints.quantised(
            pyramid.shape,
            places=np.zeros((0, 2), np.float32),
            octaves=none,
            angles=none,
            rows=np.zeros((0, DIM), np.float32),
        )
    pixels = pyramid.flattened()
    chosen, angles = dominant_angles(pixels, spots)
    chosen, angles = chosen[:_MOST_KEYPOINTS], angles[:_MOST_KEYPOINTS]
    level = spots.level[chosen]
    sides = np.stack([pixels.widths[level], pixels.heights[level]], axis=1)
    centres = np.stack([spots.x[chosen], spots.y[chosen]], axis=1) + np.float32(0.5)
    return Keypoints.quantised(
        pyramid.shape,
        places=(centres / sides).astype(np.float32),
        octaves=spots.octaves[chosen],
        angles=angles,
        rows=describe(pixels, spots, chosen, angles),
    )
