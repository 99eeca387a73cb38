"""Views of a training set's images: decoded within bounds, plain or augmented.

A random view depends on the seed, the item's key and the view's number alone, so that neither
threads nor resuming change it. The plain view is exactly what the encoder sees.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mmsearch.arrays import blocks
from mmsearch.encoders.base import Encoder
from mmsearch.errors import InputError
from mmsearch.finetuning.data.sampling import PLAIN_VIEW
from mmsearch.finetuning.data.training_set import TrainingSet
from mmsearch.media import MediaBounds, Preprocessing, decode, prepare
from mmsearch.records import Failure, Floats, Ids, Pixels, printable_path
from mmsearch.training.augment import AugmentOptions, augmented

# Memory limit of cached plain views: 14,000 of 224 x 224.
MAX_CACHED_BYTES = 2 * 2**30
# Images that are decoded together, to be embedded.
_BATCH = 32


class ImageViews:
    """Image views at the encoder's size. failures: of images that could not be read, by key."""

    def __init__(
        self,
        training_set: TrainingSet,
        spec: Preprocessing,
        options: AugmentOptions | None = None,
        *,
        seed: int = 0,
        bounds: MediaBounds | None = None,
        threads: int = 4,
    ) -> None:
        self._items, self._spec = training_set.items, spec
        self._options = options or AugmentOptions()
        self._seed, self._bounds, self._threads = seed, bounds or MediaBounds(), threads
        self.failures: dict[str, Failure] = {}

    def pixels(self, item: int, view: int) -> Pixels:
        """Returns one view, uint8 (size, size, 3). item: position in the training set.

        Raises UnreadableMedia, MediaTooLarge.
        """
        found = self._items[item]
        assert found.image is not None
        if view == PLAIN_VIEW:
            side = self._spec.size
            plain = decode(found.image, bounds=self._bounds, draft=(side, side))
            return prepare(plain.image, self._spec)
        # A crop is enlarged less than the whole image would be.
        side = self._options.least_side(self._spec.size)
        image = decode(found.image, bounds=self._bounds, draft=(side, side)).image
        return augmented(image, self._spec, self._options, _rng(self._seed, found.key, view))

    def batch(self, items: Ids, views: Ids) -> tuple[Pixels, NDArray[np.bool_]]:
        """Returns views, uint8 (b, size, size, 3), and which were readable, bool (b,).

        items, views: int64 (b,). Unreadable and missing images are black.
        """
        with ThreadPoolExecutor(self._threads) as threads:
            found = list(threads.map(self._read, items.tolist(), views.tolist()))
        black = np.zeros((self._spec.size, self._spec.size, 3), np.uint8)
        pixels = np.stack([black if each is None else each for each in found])
        return pixels, np.array([each is not None for each in found], np.bool_)

    def encode(
        self, encoder: Encoder, items: Ids, view: int, advance: Callable[[int], None]
    ) -> Floats:
        """Embeds one view of each item, float32 (n, dim), unit rows; zeros if it is unreadable."""
        vectors = np.zeros((len(items), encoder.space.dim), np.float32)
        for block in blocks(len(items), _BATCH):
            batch = items[block]
            pixels, readable = self.batch(batch, np.full(len(batch), view))
            vectors[block] = encoder.encode_pixels(pixels)
            vectors[block][~readable] = 0
            advance(len(batch))
        return vectors

    def _read(self, item: int, view: int) -> Pixels | None:
        found = self._items[item]
        if found.image is None or found.key in self.failures:
            return None
        try:
            return self.pixels(item, view)
        except InputError as error:
            # An image that becomes unreadable must not abort the run.
            path = printable_path(found.image)
            self.failures[found.key] = Failure(found.key, path, "decode", str(error))
            return None


class PlainViewCache:
    """Plain views, cached because every epoch and validation sees the same ones."""

    def __init__(self, views: ImageViews, size: int, *, max_bytes: int = MAX_CACHED_BYTES) -> None:
        """size: side of a view in pixels. max_bytes: of the cache; the rest is decoded again."""
        self._views, self._capacity = views, max_bytes // (3 * size * size)
        self._cached: dict[int, tuple[Pixels, bool]] = {}

    def __call__(self, items: Ids) -> tuple[Pixels, NDArray[np.bool_]]:
        """Returns plain views, uint8 (n, size, size, 3), and which were readable, bool (n,)."""
        known = {item: self._cached[item] for item in items.tolist() if item in self._cached}
        if new := [item for item in dict.fromkeys(items.tolist()) if item not in known]:
            pixels, readable = self._views.batch(np.array(new), np.full(len(new), PLAIN_VIEW))
            found = dict(zip(new, zip(pixels, readable.tolist(), strict=True), strict=True))
            room = max(0, self._capacity - len(self._cached))
            self._cached.update(list(found.items())[:room])
            known |= found
        rows = [known[item] for item in items.tolist()]
        return np.stack([row for row, _ in rows]), np.array([could for _, could in rows], np.bool_)


def _rng(seed: int, key: str, view: int) -> np.random.Generator:
    name = hashlib.blake2b(f"{seed} {view} {key}".encode("utf-8", "replace"), digest_size=8)
    return np.random.default_rng(int.from_bytes(name.digest(), "big"))
