"""Vectors that behave like real ones: a mixture fitted to real embeddings, drawn in any number.

Uniform noise would not do: it has no neighbours to find, and every index looks bad on it.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats, Ids

COMPONENTS = 256
BLOCK = 50_000


def parser_of_embeddings(description: str | None) -> argparse.ArgumentParser:
    """A parser that asks for the files of real embeddings, --images and --texts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", type=Path, required=True, help="real image embeddings, .npy")
    parser.add_argument("--texts", type=Path, required=True, help="real text embeddings, .npy")
    return parser


@dataclass(frozen=True, slots=True)
class Mixture:
    """Gaussians on their way to the sphere: means (c, dim), factors (c, dim, dim), weights (c,)."""

    means: Floats
    factors: Floats
    weights: Floats

    @property
    def dim(self) -> int:
        return int(self.means.shape[1])

    @classmethod
    def fit(cls, real: Floats) -> "Mixture":
        """real: float32 (n, dim), unit rows. Small components borrow from the common covariance."""
        count, dim = real.shape
        components = max(1, min(COMPONENTS, count // 40))
        clustering = faiss.Kmeans(dim, components, niter=15, seed=0, spherical=True)
        clustering.train(real)
        _, labels = np.unique(clustering.index.search(real, 1)[1], return_inverse=True)
        labels = labels.ravel()
        components = labels.max() + 1
        centres = np.stack([real[labels == c].mean(axis=0) for c in range(components)])
        rest = real - centres[labels]
        common = rest.T @ rest / count
        factors, weights = [], []
        for component in range(components):
            part = rest[labels == component]
            own = len(part) / (len(part) + dim)
            covariance = own * (part.T @ part) / len(part) + (1 - own) * common
            factors.append(np.linalg.cholesky(covariance + 1e-9 * np.eye(dim)))
            weights.append(len(part) / count)
        return cls(
            centres.astype(np.float32), np.array(factors, np.float32), np.array(weights, np.float32)
        )

    def draw(self, count: int, seed: int) -> Floats:
        """float32 (count, dim), unit rows."""
        generator = np.random.default_rng(seed)
        weights = self.weights.astype(np.float64) / self.weights.sum(dtype=np.float64)
        labels = generator.choice(len(weights), size=count, p=weights)
        drawn = generator.standard_normal((count, self.means.shape[1]), dtype=np.float32)
        for component in np.unique(labels):
            rows = labels == component
            drawn[rows] = self.means[component] + drawn[rows] @ self.factors[component].T
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return drawn


@dataclass(frozen=True, slots=True)
class DrawnBatches:
    """`count` vectors of a mixture, drawn again at every reading, so that none need be kept."""

    mixture: Mixture
    count: int
    first_id: int = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for start in range(0, self.count, BLOCK):
            size = min(BLOCK, self.count - start)
            ids = np.arange(self.first_id + start, self.first_id + start + size, dtype=np.int64)
            yield self.mixture.draw(size, seed=self.first_id + start + 1), ids


@dataclass(frozen=True, slots=True)
class HeldBatches:
    """Vectors in memory or memory-mapped, float16 or float32 (n, dim), read in blocks."""

    vectors: Floats

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for start in range(0, len(self.vectors), BLOCK):
            block = unit_rows(self.vectors[start : start + BLOCK])
            yield block, np.arange(start, start + len(block), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class FileBatches:
    """Vectors in a file of float16 rows and nothing else, read in blocks: none of it is mapped."""

    path: Path
    dim: int

    def __len__(self) -> int:
        return self.path.stat().st_size // (2 * self.dim)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        count = len(self)
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            halves = np.fromfile(
                self.path, np.float16, size * self.dim, offset=2 * start * self.dim
            )
            ids = np.arange(start, start + size, dtype=np.int64)
            yield unit_rows(halves.reshape(size, self.dim)), ids


def unit_rows(vectors: NDArray[np.floating[Any]]) -> Floats:
    """Any float (n, dim) → float32, divided by their lengths."""
    wide = np.asarray(vectors, np.float32)
    rows: Floats = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return rows


def projected(images: Floats, texts: Floats, dim: int | None) -> tuple[Floats, Floats]:
    """Both on their first `dim` common principal axes, uncentred, so that cosines hardly move.

    images, texts: float32 (n, d), unit rows. None: as they are.
    """
    if dim is None or dim >= images.shape[1]:
        return images, texts
    both = np.concatenate([images[: len(texts)], texts[: len(images)]])
    values, axes = np.linalg.eigh(both.T @ both)
    kept = axes[:, ::-1][:, :dim]
    print(f"{dim} principal axes keep {values[::-1][:dim].sum() / values.sum():.1%} of the energy")
    return unit_rows(images @ kept), unit_rows(texts @ kept)


def read_real(path: Path) -> Floats:
    """A .npy file of real embeddings → float32 (n, dim), unit rows."""
    return unit_rows(np.load(path))
