"""Search of items with several images against as many single images: time, recall and size.

    python benchmarks/parts_search.py [--items 10000] [--images 5] [--dim 512]

The vectors are random, in clusters: the images of an item lie near each other. Both stores hold the
same vectors, once as items of several images and once as items of one. Queries are near an image
each. Reported are medians of single queries, taken in turns.
"""

import argparse
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn

import numpy as np

from mmsearch.arrays import blocks, unit
from mmsearch.engine import Engine
from mmsearch.generations import folder_size, live_generation, refresh_generation
from mmsearch.indexes import IndexOptions
from mmsearch.progress import NullProgress
from mmsearch.query import query_of
from mmsearch.records import Floats, SpaceId
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest
from mmsearch.store.rows import items_schema

K, QUERIES, WARM_UP = 10, 300, 20
# Items per commit.
BATCH = 2_000


def product_images(items: int, images: int, dim: int) -> Floats:
    """Makes unit vectors, float32 (items, images, dim), of items in clusters."""
    random = np.random.default_rng(0)
    clusters = random.normal(size=(items // 50 + 1, dim)).astype(np.float32)
    centres = clusters[random.integers(len(clusters), size=items)]
    centres = centres + 0.8 * random.normal(size=(items, dim)).astype(np.float32)
    noise = random.normal(size=(items, images, dim)).astype(np.float32)
    near = centres[:, None] + 0.7 * noise
    return unit(near.reshape(-1, dim)).reshape(items, images, dim)


def row(dim: int, key: str, vector: Floats, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns a row for `Store.write_rows`."""
    return dict.fromkeys(items_schema(dim).names) | {
        "key": key,
        "source": "shop",
        "uri": f"/shop/{key}.jpg",
        "_indexed": datetime.now(UTC),
        "_image_vector": vector,
        "metadata": {},
        "parts": parts,
    }


def several(vectors: Floats) -> Iterator[dict[str, Any]]:
    """Yields an item for each of the vectors, float32 (items, images, dim)."""
    for number, images in enumerate(vectors):
        key = f"shop/{number}"
        parts = [
            {"kind": "image", "number": n, "uri": f"/shop/{key}-{n}.jpg", "_vector": image}
            for n, image in enumerate(images, start=1)
        ]
        yield row(vectors.shape[2], key, unit(images.mean(axis=0, keepdims=True))[0], parts)


def single(vectors: Floats) -> Iterator[dict[str, Any]]:
    """Yields an item for each image."""
    for number, image in enumerate(vectors.reshape(-1, vectors.shape[2])):
        yield row(vectors.shape[2], f"shop/{number}", image, [])


def build(folder: Path, rows: list[dict[str, Any]], dim: int, kind: str) -> Store:
    """Writes a store and its index."""
    store = Store.create(folder, Manifest("random", SpaceId("random", "a" * 32, dim, "b" * 32)))
    with store.writing():
        for block in blocks(len(rows), BATCH):
            store.write_rows(rows[block])
        store.tidy()
        options = IndexOptions(kind=kind)  # type: ignore[arg-type]
        refresh_generation(store, None, options, NullProgress())
    return store


def no_encoder() -> NoReturn:
    raise AssertionError("the queries are vectors")


def engine_of(store: Store) -> Engine:
    """Opens a store as a search does."""
    generation = live_generation(store.folder)
    assert generation is not None
    reader = Store.open(store.folder, snapshot=generation.snapshot())
    return Engine(reader, generation=generation, encoder=no_encoder, text_encoder=no_encoder)


def milliseconds(engine: Engine, query: Floats) -> tuple[float, list[str]]:
    """Returns the time of a query and the keys of its hits."""
    started = perf_counter()
    hits = engine.search(query_of(vector=query, k=K))
    return 1e3 * (perf_counter() - started), [hit.key for hit in hits]


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--kind", default="auto", help="of the index")
    options = parser.parse_args()
    vectors = product_images(options.items, options.images, options.dim)
    random = np.random.default_rng(1)
    places = random.integers(vectors.shape[:2], size=(QUERIES + WARM_UP, 2))
    noise = random.normal(size=(len(places), options.dim)).astype(np.float32)
    queries = unit(vectors[places[:, 0], places[:, 1]] + 0.5 * noise / np.sqrt(options.dim))
    with tempfile.TemporaryDirectory() as folder:
        stores = {
            "several": build(
                Path(folder) / "several", list(several(vectors)), options.dim, options.kind
            ),
            "single": build(
                Path(folder) / "single", list(single(vectors)), options.dim, options.kind
            ),
        }
        engines = {name: engine_of(store) for name, store in stores.items()}
        times: dict[str, list[float]] = {name: [] for name in engines}
        recalls = []
        for number, query in enumerate(queries):
            for name, engine in engines.items():
                taken, keys = milliseconds(engine, query)
                if number >= WARM_UP:
                    times[name].append(taken)
                if name == "several":
                    best = np.argsort(-(vectors @ query).max(axis=1))[:K]
                    recalls.append(len({f"shop/{place}" for place in best} & set(keys)) / K)
        for name, engine in engines.items():
            assert engine.generation is not None
            meta = engine.generation.metas()["image"]
            size = folder_size(stores[name].folder) / 1e6
            print(f"{name}: {meta.kind}, {meta.count:,} vectors, {size:.0f} MB; {meta.reason}")
            print(f"  {np.median(times[name]):.3f} ms per query (median of {QUERIES})")
    ratio = np.median(times["several"]) / np.median(times["single"])
    print(f"time of several to single: {ratio:.2f}")
    print(f"recall@{K} of items: {np.mean(recalls):.3f}")


if __name__ == "__main__":
    main()
