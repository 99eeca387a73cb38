"""Measures how well any text of a catalog fits any of its images, learned from that catalog.

Two measures, neither of which needs labels: the cosine of text and image in the model's shared
space, and the cosine of the text with the one that a ridge regression predicts from the image. Each
is compared with the best-fitting texts and images of the catalog, since a text that fits no image,
or an image that no text describes, is no evidence of a swap.
"""

from dataclasses import dataclass

import numpy as np

from mmsearch.fusion import unit
from mmsearch.records import Floats, Ids

# Cross-validation folds: an item is predicted by a regression that was not fitted to it.
_FOLDS = 5
# Regularisation chosen on 3,000 items; 1 and 50 rank swapped texts of 300 and 3,000 items slightly
# worse.
_RIDGE = 10.0
_REFERENCES, _BEST_SHARE, _FEWEST_BEST = 1_000, 0.01, 3
_BLOCK = 4_096


@dataclass(frozen=True, slots=True)
class TextFit:
    """Scores of pairs of one item's image and another item's text.

    images, predicted, texts: float32 (n, dim), unit rows; vectors of the images, text vectors
        predicted from them, vectors of the texts.
    best_texts, best_images: float32 (n, 2), mean cosine of each image with its best-fitting texts,
        and of each text with its best-fitting images; one column per measure.
    """

    images: Floats
    predicted: Floats
    texts: Floats
    best_texts: Floats
    best_images: Floats

    @classmethod
    def of(cls, images: Floats, texts: Floats) -> "TextFit":
        """Fits the measures to the image and text vectors of items, float32 (n, dim), unit rows."""
        shown, said = images - images.mean(axis=0), texts - texts.mean(axis=0)
        pictures, predicted, words = unit(shown), unit(_predicted(shown, said)), unit(said)
        count = len(images)
        step = max(1, count // _REFERENCES)
        sample = np.arange(0, count, step)
        both = pictures, predicted
        return cls(
            pictures,
            predicted,
            words,
            np.stack([_best(side, words[sample]) for side in both], axis=1),
            np.stack([_best(words, side[sample]) for side in both], axis=1),
        )

    def shortfall(self, rows: Ids, claimed: Ids) -> Floats:
        """How far a text is below the best fit, float32 (m, 2); higher is worse.

        rows, claimed: int64 (m,), the items of the images and of the texts.
        """
        words = self.texts[claimed]
        reached = [
            np.einsum("md,md->m", side[rows], words) for side in (self.images, self.predicted)
        ]
        best = (self.best_texts[rows] + self.best_images[claimed]) / 2
        shortfall: Floats = best - np.stack(reached, axis=1)
        return shortfall


def _predicted(images: Floats, texts: Floats) -> Floats:
    """Text vector of each item from a ridge regression on the other folds."""
    dim = images.shape[1]
    folds = [np.arange(first, len(images), _FOLDS) for first in range(_FOLDS)]
    # float64, since the sums are subtracted from each other.
    grams = [(images[fold].T @ images[fold]).astype(np.float64) for fold in folds]
    crosses = [(images[fold].T @ texts[fold]).astype(np.float64) for fold in folds]
    gram, cross = sum(grams, np.eye(dim) * _RIDGE), sum(crosses, np.zeros((dim, texts.shape[1])))
    predicted = np.empty_like(texts)
    for fold, own_gram, own_cross in zip(folds, grams, crosses, strict=True):
        weights = np.linalg.solve(gram - own_gram, cross - own_cross).astype(np.float32)
        predicted[fold] = images[fold] @ weights
    return predicted


def _best(vectors: Floats, sample: Floats) -> Floats:
    """Mean of the highest cosines with the sample, float32 (n,)."""
    k = min(len(sample), max(_FEWEST_BEST, int(_BEST_SHARE * len(sample))))
    parts = []
    for start in range(0, len(vectors), _BLOCK):
        cosines = vectors[start : start + _BLOCK] @ sample.T
        parts.append(-np.partition(-cosines, k - 1, axis=1)[:, :k].mean(axis=1))
    best: Floats = np.concatenate(parts)
    return best
