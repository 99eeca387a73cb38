"""Distinct photos that are nearest to each other, by their looks and by the built-in model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.thumbnails.fingerprints import read_print
from mmsearch.encoders.registry import load_encoder
from mmsearch.media import MediaBounds, decode

BATCH = 64
CELL = 8
ENCODED = 2500  # encoding a photo takes many times as long as a thumbnail


def nearest_pairs(paths: Sequence[Path], count: int) -> list[tuple[int, int]]:
    """Places of the pairs that are nearest, half by each measure, each photo at most 4 times."""
    meant = np.linspace(0, len(paths) - 1, min(len(paths), ENCODED)).astype(int)
    by_looks = _ranked(_looks(paths))
    by_meaning = [
        (int(meant[one]), int(meant[two]))
        for one, two in _ranked(_meanings([paths[row] for row in meant]))
    ]
    chosen: dict[tuple[int, int], None] = {}
    uses = np.zeros(len(paths), int)
    for ranked, until in ((by_looks, count // 2), (by_meaning, count)):
        for one, two in ranked:
            if len(chosen) >= until:
                break
            if (one, two) not in chosen and max(uses[one], uses[two]) < 4:
                chosen[one, two] = None
                uses[[one, two]] += 1
    return list(chosen)


def _ranked(vectors: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Each row with its 6 nearest, the nearest pairs first. vectors: unit rows."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    near = np.argpartition(-cosines, 6, axis=1)[:, :6]
    pairs = {
        (min(row, other), max(row, other)) for row, others in enumerate(near.tolist())
        for other in others
    }  # fmt: skip
    return sorted(pairs, key=lambda pair: -float(cosines[pair]))


def _looks(paths: Sequence[Path]) -> NDArray[np.float32]:
    """float32 (n, 256): grey thumbnails of 16 x 16 without their mean, unit rows."""
    bounds = MediaBounds()
    rows = []
    for path in paths:
        thumbnail = np.asarray(read_print(path, bounds).thumbnail, np.float32).reshape(128, 128)
        small = thumbnail.reshape(16, CELL, 16, CELL).mean((1, 3)).ravel()
        small -= small.mean()
        rows.append(small / max(float(np.linalg.norm(small)), 1e-6))
    return np.stack(rows)


def _meanings(paths: Sequence[Path]) -> NDArray[np.float32]:
    encoder = load_encoder("builtin")
    return np.concatenate([
        encoder.encode_images([decode(path).image for path in paths[start : start + BATCH]])
        for start in range(0, len(paths), BATCH)
    ])  # fmt: skip
