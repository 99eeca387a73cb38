"""Embeds every distinct image and text of a labelled set once.

Images are decoded by threads ahead of the encoder; texts are batched by length.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mmsearch.arrays import blocks
from mmsearch.encoders.base import Encoder
from mmsearch.errors import InputError
from mmsearch.evaluation.labels import Pool
from mmsearch.media import MediaBounds, PreparedImage, read_image
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, SpaceId

_THREADS = 4
_AHEAD = 64


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of a labelled set by one model.

    images (p, dim), texts (t, dim), prompts (c * templates, dim): float32 unit rows. broken: why an
    image could not be decoded or encoded, by position; its row is zeros.
    """

    model: str
    space: SpaceId
    images: Floats
    texts: Floats
    prompts: Floats
    broken: dict[int, str]
    truncated_texts: int
    seconds: float


def embed(
    model: str,
    encoder: Encoder,
    pool: Pool,
    prompts: Sequence[str],
    *,
    bounds: MediaBounds,
    batch_size: int,
    progress: ProgressListener,
) -> Embedded:
    """Embeds images, texts and prompts. Raises InputError for a text without a finite vector."""
    started = time.monotonic()
    texts = _embed_texts(
        encoder, [*pool.texts, *prompts], batch_size=batch_size, progress=progress, model=model
    )
    images, broken = _embed_images(
        encoder, pool.images,
        bounds=bounds, batch_size=batch_size, progress=progress, model=model,
    )  # fmt: skip
    return Embedded(
        model,
        encoder.space,
        images,
        texts[: len(pool.texts)],
        texts[len(pool.texts) :],
        broken,
        len(encoder.overlong(pool.texts)),
        time.monotonic() - started,
    )


def _embed_images(
    encoder: Encoder,
    paths: Sequence[Path],
    *,
    bounds: MediaBounds,
    batch_size: int,
    progress: ProgressListener,
    model: str,
) -> tuple[Floats, dict[int, str]]:
    vectors = np.zeros((len(paths), encoder.space.dim), np.float32)
    broken: dict[int, str] = {}
    progress.start(f"{model}: pictures", len(paths))
    outcomes = _decoded(paths, partial(read_image, bounds=bounds, spec=encoder.preprocessing))
    batch: list[tuple[int, PreparedImage]] = []
    for position, outcome in enumerate(outcomes):
        if isinstance(outcome, InputError):
            broken[position] = str(outcome)
        else:
            batch.append((position, outcome))
        if batch and (len(batch) == batch_size or position == len(paths) - 1):
            at = [place for place, _ in batch]
            vectors[at] = encoder.encode_pixels(np.stack([each.pixels for _, each in batch]))
            batch = []
        progress.advance(1)
    for position in np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist():
        broken[position] = "the encoder gave a vector that is not finite; use another device"
        vectors[position] = 0
    return vectors, broken


def _decoded(
    paths: Sequence[Path], read: Callable[[Path], PreparedImage]
) -> Iterator[PreparedImage | InputError]:
    """Yields images or their errors in order, decoded at most _AHEAD in advance."""
    with ThreadPoolExecutor(_THREADS) as threads:
        window: deque[Future[PreparedImage]] = deque()
        for path in paths:
            window.append(threads.submit(read, path))
            if len(window) > _AHEAD:
                yield _outcome(window.popleft())
        while window:
            yield _outcome(window.popleft())


def _outcome(future: Future[PreparedImage]) -> PreparedImage | InputError:
    try:
        return future.result()
    except InputError as error:
        return error


def _embed_texts(
    encoder: Encoder,
    texts: Sequence[str],
    *,
    batch_size: int,
    progress: ProgressListener,
    model: str,
) -> Floats:
    """Embeds texts, float32 (n, dim); equal texts are encoded once."""
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    vectors = np.zeros((len(distinct), encoder.space.dim), np.float32)
    progress.start(f"{model}: texts", len(distinct))
    for block in blocks(len(distinct), batch_size):
        vectors[block] = encoder.encode_texts(distinct[block])
        progress.advance(block.stop - block.start)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise InputError(
            f"'{model}' gives no finite vector for the text '{distinct[bad[0]][:60]}'; "
            "try `device='cpu'`, or another model"
        )
    row = {text: position for position, text in enumerate(distinct)}
    return vectors[[row[text] for text in texts]]
