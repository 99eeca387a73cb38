"""What every fusion shares: the protocol, centring, and means that few items cannot bend."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.arrays import unit
from mmsearch.records import Floats, FusionKind, Modality

Bools: TypeAlias = NDArray[np.bool_]

# A mean over few items says more about those items than about the cone: it is shrunk towards the
# mean known before, with the weight of this many items, so that one item alone still has a
# direction.
PRIOR_ITEMS = 32


class Fusion(Protocol):
    """Image and text vectors of items become product vectors, which centred queries search.

    means: float32 (dim,) by modality, subtracted before anything else.
    """

    @property
    def kind(self) -> FusionKind: ...

    @property
    def means(self) -> Mapping[Modality, Floats]: ...

    @property
    def weights(self) -> Mapping[str, Floats]:
        """What was chosen or trained, float32 by name; the means left out."""
        ...

    def with_means(self, means: Mapping[Modality, Floats]) -> Self:
        """The same fusion over another catalog's means."""
        ...

    def centre(self, vectors: Floats, modality: Modality) -> Floats:
        """vectors: float32 (n, dim), unit rows of one modality → (n, dim), unit rows, centred.

        Queries of one modality are compared with product vectors in this form.
        """
        ...

    def products(self, images: Floats, texts: Floats) -> Floats:
        """images, texts: float32 (n, dim); a row of zeros is a missing modality.

        → float32 (n, dim), unit rows; zeros where both are missing.
        """
        ...


def centre(vectors: Floats, mean: Floats) -> Floats:
    """vectors: float32 (n, dim), unit rows; mean: float32 (dim,) → float32 (n, dim), unit rows."""
    return unit(vectors - mean)


def tokens(
    images: Floats, texts: Floats, means: Mapping[Modality, Floats]
) -> tuple[Floats, Floats, Bools, Bools]:
    """Both modalities centred, float32 (n, dim), zeros where missing; what is there, bool (n,)."""
    has_image: Bools = np.asarray(images.any(axis=1))
    has_text: Bools = np.asarray(texts.any(axis=1))
    return (
        centre(images, means["image"]) * has_image[:, None],
        centre(texts, means["text"]) * has_text[:, None],
        has_image,
        has_text,
    )


def identity(fusion: Fusion) -> str:
    """Names kind and weights, not the means: one identity under all catalogs."""
    digest = sha256(fusion.kind.encode())
    for name, values in sorted(fusion.weights.items()):
        digest.update(f"{name}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values, "<f4").tobytes())
    return f"{fusion.kind}-{digest.hexdigest()[:16]}"


def shrunken_mean(total: Floats, count: int, prior: Floats | None = None) -> Floats:
    """total: float32 (dim,), the sum of `count` unit rows → their mean, shrunk for small counts.

    prior: float32 (dim,), the mean to shrink towards; zero if None.
    """
    known = total if prior is None else total + np.float32(PRIOR_ITEMS) * prior
    return (known / np.float32(count + PRIOR_ITEMS)).astype(np.float32)
