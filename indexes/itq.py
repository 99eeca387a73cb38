"""Iterative quantisation (ITQ): the rotation that minimises the loss of taking signs.

Y. Gong and S. Lazebnik, "Iterative Quantization: A Procrustean Approach to Learning Binary Codes",
CVPR 2011, section 2.2: with B = sign(V·R) fixed, the rotation that minimises |B - V·R|² is found
from the singular value decomposition of Bᵀ·V, and so on in turns.
"""

from collections.abc import Mapping

import numpy as np

from mmsearch.records import Floats

# The paper runs 50 iterations and gains little after the first few.
ROUNDS = 10
# Training rows, over all groups.
POINTS = 8_192


def learn_rotation(groups: Mapping[str, Floats], *, seed: int = 0) -> Floats:
    """Learns the rotation R, float32 (dim, dim), applied as v·R.

    groups: float32 (n, dim) by modality; each is centred by its own mean, since the modalities lie
    in two cones, and the axis between them would take up a bit without information.
    """
    generator = np.random.default_rng(seed)
    share = POINTS // max(1, len(groups))
    parts = []
    for rows in groups.values():
        chosen = generator.permutation(len(rows))[:share]
        parts.append(centred(rows[chosen], rows.mean(axis=0)))
    vectors = np.concatenate(parts)
    rotation = np.linalg.qr(generator.standard_normal((vectors.shape[1],) * 2))[0]
    rotation = rotation.astype(np.float32)
    for _ in range(ROUNDS):
        signs = np.where(vectors @ rotation >= 0, np.float32(1), np.float32(-1))
        left, _, right = np.linalg.svd(signs.T @ vectors)
        rotation = np.ascontiguousarray((left @ right).T)
    return rotation


def centred(vectors: Floats, mean: Floats) -> Floats:
    """Subtracts `mean` from vectors, float32 (n, dim), and normalises them; zero rows stay zero."""
    moved = vectors - mean
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    rows: Floats = np.divide(moved, lengths, out=np.zeros_like(moved), where=lengths > 0)
    return rows
