"""Re-ranks results for variety: near-duplicates removed, maximal marginal relevance."""

from collections.abc import Sequence

import numpy as np

from mmsearch.engine.merging import Candidate
from mmsearch.records import Floats

# Cosine of centred image vectors from which two images are near-duplicates. In the sample catalog
# with the built-in model, copies saved as JPEG or at half the size have a median of 0.96 and 0.95,
# and 3 of 69,000 pairs of different images exceed 0.95 (two guitars, cello and violin).
NEAR_DUPLICATE = 0.95


class Distinct:
    """Removes candidates whose image is a near-duplicate of an earlier one."""

    def __init__(self) -> None:
        self._passed: list[Floats] = []

    def __call__(
        self, candidates: Sequence[Candidate], images: dict[int, Floats]
    ) -> list[Candidate]:
        """Returns the candidates that stay, in order.

        images: centred image vectors, float32 (dim,), unit, by uid; an item may have none.
        """
        kept: list[Candidate] = []
        for found in candidates:
            image = images.get(found.uid)
            if image is not None:
                passed = np.asarray(self._passed, np.float32).reshape(-1, len(image))
                if np.any(passed @ image >= NEAR_DUPLICATE):
                    continue
                self._passed.append(image)
            kept.append(found)
        return kept


class Diverse:
    """Maximal marginal relevance (Carbonell & Goldstein 1998) over one list after another.

    relevance_share: the paper's lambda; 1 = relevance only, 0 = diversity only.
    """

    def __init__(self, relevance_share: float) -> None:
        self._share = relevance_share
        self._chosen: list[Floats] = []

    def __call__(
        self, candidates: Sequence[Candidate], vectors: dict[int, Floats]
    ) -> list[Candidate]:
        """Returns the candidates in their new order.

        vectors: product vectors, float32 (dim,), unit, by uid, of every candidate.
        """
        if not candidates:
            return []
        matrix = np.stack([vectors[found.uid] for found in candidates])
        scores = np.array([found.score for found in candidates])
        # Text-image cosines span a narrow range, and merged lists have scores on other scales.
        relevance = (scores - scores.min()) / max(float(np.ptp(scores)), 1e-12)
        closest = np.zeros(len(candidates), np.float32)
        for vector in self._chosen:
            closest = np.maximum(closest, matrix @ vector)
        order: list[int] = []
        left = np.ones(len(candidates), bool)
        for _ in candidates:
            worth = self._share * relevance - (1 - self._share) * closest
            pick = int(np.argmax(np.where(left, worth, -np.inf)))
            left[pick] = False
            order.append(pick)
            closest = np.maximum(closest, matrix @ matrix[pick])
        self._chosen += [matrix[pick] for pick in order]
        return [candidates[pick] for pick in order]
