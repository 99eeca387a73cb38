"""Stores whose vectors lie in two two_cones, as contrastive encoders make them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mmsearch.arrays import unit
from mmsearch.engine import Engine
from mmsearch.fusion import Fusion
from mmsearch.generations import live_generation, refresh_generation
from mmsearch.indexes import IndexOptions
from mmsearch.progress import NullProgress
from mmsearch.records import Floats, Scalar, SpaceId
from mmsearch.store import Store
from mmsearch.store.filters import quoted
from mmsearch.store.manifest import Manifest
from mmsearch.store.rows import items_schema

DIM = 24
WHEN = datetime(2026, 1, 2, tzinfo=UTC)
SPACE = SpaceId("tiny", "a" * 32, DIM, "b" * 32)


@dataclass(frozen=True)
class ItemRow:
    """A row to be: vectors float32 (DIM,) or None.

    images, passages: of an item with several of them, whose mean is its vector.
    """

    key: str
    image: Floats | None = None
    text: Floats | None = None
    words: str | None = None
    metadata: dict[str, Scalar] | None = None
    images: Sequence[Floats] = ()
    passages: Sequence[tuple[str, Floats]] = ()


def two_cones(count: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Images and texts, float32 (count, DIM) each, unit rows: row i of both means the same."""
    random = np.random.default_rng(seed)
    # One row after another, so that fewer items are the first of more.
    meanings, *noise = random.normal(size=(count, 3, DIM)).transpose(1, 0, 2)
    image_cone, text_cone = np.zeros(DIM), np.zeros(DIM)
    image_cone[0], text_cone[1] = 1.5, 1.5
    images = meanings / np.sqrt(DIM) + image_cone + noise[0] * 0.05
    texts = meanings / np.sqrt(DIM) + text_cone + noise[1] * 0.05
    return unit(images.astype(np.float32)), unit(texts.astype(np.float32))


def item_rows(count: int, **parts: Any) -> list[ItemRow]:
    """Items with picture and text and a number, 'n', from 0 to count - 1."""
    images, texts = two_cones(count)
    return [
        ItemRow(f"shop/{i}", images[i], texts[i], f"item number {i}", {"n": i, **parts})
        for i in range(count)
    ]


def no_encoder() -> NoReturn:
    raise AssertionError("this query needs no encoder")


class StoreBuilder:
    """A store in a folder, with engines over it."""

    def __init__(self, folder: Path, space: SpaceId = SPACE) -> None:
        self.store = Store.create(folder, Manifest("tiny", space))

    def write(self, items: Sequence[ItemRow], uids: Sequence[int] | None = None) -> None:
        rows = [self._row(item, None if uids is None else uids[i]) for i, item in enumerate(items)]
        with self.store.writing():
            self.store.write_rows(rows)

    def build(self, kind: str = "auto") -> None:
        with self.store.writing():
            self.store.tidy()
            options = IndexOptions(kind=kind)  # type: ignore[arg-type]
            refresh_generation(self.store, None, options, NullProgress())

    def update(self) -> None:
        live = live_generation(self.store.folder)
        assert live is not None
        with self.store.writing():
            refresh_generation(self.store, live.info, live.info.options, NullProgress())

    def engine(self, **factories: Any) -> Engine:
        generation = live_generation(self.store.folder)
        loaders = {"encoder": no_encoder, "text_encoder": no_encoder, **factories}
        snapshot = generation.snapshot() if generation else None
        store = Store.open(self.store.folder, snapshot=snapshot)
        return Engine(store, generation=generation, **loaders)

    @property
    def fusion(self) -> Fusion:
        return self.engine().fusion

    def uid_of(self, key: str) -> int:
        row = row_of_key(Store.open(self.store.folder), key, ["_uid"])
        assert row is not None
        return int(row["_uid"])

    def _row(self, item: ItemRow, uid: int | None) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(items_schema(DIM).names)
        return row | {
            "_uid": uid,
            "key": item.key,
            "source": item.key.split("/")[0],
            "uri": f"/pictures/{item.key}",
            "text": item.words,
            "_indexed": WHEN,
            "_image_vector": _mean(item.images) if item.images else item.image,
            "_text_vector": _mean([v for _, v in item.passages]) if item.passages else item.text,
            "metadata": item.metadata or {},
            "parts": [*self._images(item), *self._passages(item)],
        }

    @staticmethod
    def _images(item: ItemRow) -> Iterator[dict[str, Any]]:
        for number, vector in enumerate(item.images, start=1):
            uri = f"/pictures/{item.key}-{number}"
            yield {"kind": "image", "number": number, "uri": uri, "_vector": vector}

    @staticmethod
    def _passages(item: ItemRow) -> Iterator[dict[str, Any]]:
        for number, (text, vector) in enumerate(item.passages, start=1):
            yield {"kind": "passage", "number": number, "text": text, "_vector": vector}


def _mean(vectors: Sequence[Floats]) -> Floats:
    mean: Floats = unit(np.mean(vectors, axis=0, keepdims=True))[0]
    return mean


def row_of_key(store: Store, key: str, columns: Sequence[str]) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] = store.scan(columns, f"key = {quoted([key])}").to_pylist()
    return rows[0] if rows else None
