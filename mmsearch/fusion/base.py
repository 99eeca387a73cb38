"""The interface of fusions, centring, and shrunken means."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.arrays import unit
from mmsearch.records import Floats, FusionKind, Modality

Bools: TypeAlias = NDArray[np.bool_]

# A mean over few items reflects those items more than the cone: it is shrunk towards the prior mean
# with the weight of this many items, so that a single item still has a direction.
PRIOR_ITEMS = 32


class Fusion(Protocol):
    """Computes product vectors from image and text vectors; centred queries search them."""

    @property
    def kind(self) -> FusionKind:
        """The kind of fusion."""
        ...

    @property
    def means(self) -> Mapping[Modality, Floats]:
        """The vectors that are subtracted first, float32 (dim,) by modality."""
        ...

    @property
    def weights(self) -> Mapping[str, Floats]:
        """The trained or chosen arrays, float32 by name, without the means."""
        ...

    def with_means(self, means: Mapping[Modality, Floats]) -> Self:
        """Returns the same fusion with other means."""
        ...

    def centre(self, vectors: Floats, modality: Modality) -> Floats:
        """Subtracts the modality's mean from unit rows, float32 (n, dim), and normalises them.

        Queries of one modality are compared with product vectors in this form.
        """
        ...

    def products(self, images: Floats, texts: Floats) -> Floats:
        """Returns product vectors, float32 (n, dim), unit rows; zeros where both are missing.

        images, texts: float32 (n, dim); a row of zeros is a missing modality.
        """
        ...


@dataclass(frozen=True, slots=True)
class Centring:
    """The part that all fusions share. means: float32 (dim,) by modality."""

    means: Mapping[Modality, Floats]

    def with_means(self, means: Mapping[Modality, Floats]) -> Self:
        """Returns the same fusion with other means."""
        return replace(self, means=means)

    def centre(self, vectors: Floats, modality: Modality) -> Floats:
        """Subtracts the modality's mean from unit rows, float32 (n, dim), and normalises them."""
        return centre(vectors, self.means[modality])


def centre(vectors: Floats, mean: Floats) -> Floats:
    """Subtracts a mean, float32 (dim,), from unit rows, float32 (n, dim), and normalises them."""
    return unit(vectors - mean)


def tokens(
    images: Floats, texts: Floats, means: Mapping[Modality, Floats]
) -> tuple[Floats, Floats, Bools, Bools]:
    """Returns both modalities centred, float32 (n, dim), zeros where missing, and presence."""
    has_image: Bools = np.asarray(images.any(axis=1))
    has_text: Bools = np.asarray(texts.any(axis=1))
    return (
        centre(images, means["image"]) * has_image[:, None],
        centre(texts, means["text"]) * has_text[:, None],
        has_image,
        has_text,
    )


def identity(fusion: Fusion) -> str:
    """Returns a hash of kind and weights without the means, so the same for all stores."""
    digest = sha256(fusion.kind.encode())
    for name, values in sorted(fusion.weights.items()):
        digest.update(f"{name}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values, "<f4").tobytes())
    return f"{fusion.kind}-{digest.hexdigest()[:16]}"


def shrunken_mean(total: Floats, count: int, prior: Floats | None = None) -> Floats:
    """Returns the mean of `count` unit rows, shrunk towards a prior mean for small counts.

    total: their sum, float32 (dim,). prior: float32 (dim,); zero if None.
    """
    known = total if prior is None else total + np.float32(PRIOR_ITEMS) * prior
    return (known / np.float32(count + PRIOR_ITEMS)).astype(np.float32)
