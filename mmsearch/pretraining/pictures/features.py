"""Features of the frozen trunk for every view of every image, computed once and kept on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.digests import digest_of_json
from mmsearch.pretraining.pictures.data import Picture
from mmsearch.pretraining.pictures.views import RandomView, decode, plain_view
from mmsearch.training.activations import Advance, Floats, forward_of, weights_digest, write_views

if TYPE_CHECKING:
    import torch


def cached_features(
    pictures: Sequence[Picture],
    *,
    trunk: "torch.nn.Module",
    size: int,
    views: int,
    seed: int,
    cache: Path,
    advance: Advance,
) -> NDArray[np.float16]:
    """float16 (n, views, width) memory-mapped; view 0 is the plain one.

    The file's name is a hash of everything that the features hang on.
    """
    identity = [[p.key for p in pictures], size, views, seed, weights_digest(trunk)]
    file = cache / f"features-{digest_of_json(identity)}.npy"
    if not file.exists():
        write_views(
            file,
            forward_of(trunk, size),
            view_loader(pictures, size=size, views=views, seed=seed),
            count=len(pictures),
            views=views,
            size=size,
            batch=max(1, 48 // views),
            advance=advance,
        )
    features: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return features


def view_loader(
    pictures: Sequence[Picture], *, size: int, views: int, seed: int
) -> Callable[[int], Floats]:
    """Picture number → float32 (views, 3, size, size): the plain view, then random ones."""
    backdrops = [p.path for p in pictures if p.photo and p.path is not None]
    random_view = RandomView(size, backdrops)

    def look(index: int) -> Floats:
        rng = np.random.default_rng([seed, index])
        image = decode(pictures[index])
        rest = [random_view(image, rng) for _ in range(views - 1)]
        return np.stack([plain_view(image, size), *rest])

    return look
