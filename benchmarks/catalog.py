"""A whole catalog, searched in a warm process: index, filter in SQL, and rows; text encoding apart.

    python benchmarks/catalog.py --images images.npy --texts texts.npy --rows 1000000 --dim 256

The pictures are drawn as for the other benchmarks, and every row has a key, a price and a category.
Prints the seconds of each step of an `index` run after encoding, the median of one text query with
its ten rows, unfiltered and under filters, and what adding 1% costs.
"""

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import faiss
import numpy as np
import pyarrow as pa
from index import peak_gib, timed
from vectors import DrawnBatches, Mixture, parser_of_embeddings, projected, read_real

from mmsearch.engine import Engine
from mmsearch.generations import GenerationInfo, live_generation, refresh_generation
from mmsearch.indexes import IndexKind, IndexOptions
from mmsearch.progress import NullProgress
from mmsearch.query import Query, Term
from mmsearch.records import Floats, Ids, SpaceId
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest

FILTERS = ("price < 50", "price < 5", "price < 0.5", "price < 0.05")
CATEGORIES = 100
# Rows that have words alone: the catalog's own text queries to tune the index on.
TEXT_ROWS = 2_000


def main() -> None:
    options = parsed()
    faiss.omp_set_num_threads(options.threads)
    images, texts = projected(read_real(options.images), read_real(options.texts), options.dim)
    texts = texts[np.random.default_rng(0).permutation(len(texts))]
    asked = texts[TEXT_ROWS : TEXT_ROWS + options.queries]
    mixture = Mixture.fit(images)
    space = SpaceId("benchmark", "0", mixture.dim, "0")
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        store = Store.create(Path(folder) / "store", Manifest("benchmark", space))
        store.ensure_columns({"price": pa.float64(), "category": pa.string()})
        with store.writing():
            _, written = timed(lambda: write(store, mixture, options.rows, texts[:TEXT_ROWS]))
            _, tidied = timed(store.tidy)
            index = IndexOptions(options.kind)
            info, built = timed(lambda: refresh_generation(store, None, index, NullProgress()))
        print(
            f"{options.rows:,} × {mixture.dim}: rows written in {written:.1f} s, their indexes in "
            f"{tidied:.1f} s, the vector index in {built:.1f} s"
        )
        live = live_generation(store.folder)
        assert live is not None
        print(f"{live.metas()['image'].kind}: {live.metas()['image'].reason}")
        search(store, asked)
        with store.writing():
            more = max(1, options.rows // 100)
            append(store, mixture.draw(more, seed=10**9), store.manifest.next_uid)
            store.update_manifest(next_uid=store.manifest.next_uid + more)
            _, updated = timed(lambda: update(store, info, index))
        print(f"adding 1%: {updated:.1f} s, {updated / built:.1%} of building the vector index")
    print(f"peak memory of this process: {peak_gib():.2f} GiB")


def update(store: Store, live: GenerationInfo, options: IndexOptions) -> None:
    """What a run of `mmsearch index` does once its rows are written."""
    store.tidy()
    refresh_generation(store, live, options, NullProgress())


def parsed() -> argparse.Namespace:
    parser = parser_of_embeddings(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int)
    kinds: IndexKind = "auto"
    parser.add_argument("--kind", default=kinds)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, help="where to put the store; a temporary folder")
    return parser.parse_args()


def search(store: Store, asked: Floats) -> None:
    """Opens the store as a search does and prints what one query takes, under each filter."""
    engine, opened = timed(lambda: opened_engine(store.folder))
    _, first = timed(lambda: engine.search(query(asked[0])))
    plain = median(engine, asked)
    print(
        f"opened in {1e3 * opened:.1f} ms, first query {1e3 * first:.1f} ms; one query with its "
        f"rows: {1e3 * plain:.3f} ms"
    )
    for where in FILTERS:
        _, first = timed(partial(engine.search, query(asked[0], where)))
        seconds = median(engine, asked, where)
        print(
            f"where {where}: first query {1e3 * first:.1f} ms, then {1e3 * seconds:.3f} ms, "
            f"{seconds / plain:.2f} × unfiltered"
        )


def opened_engine(folder: Path) -> Engine:
    """As `mmsearch.open` makes it, without encoders."""
    generation = live_generation(folder)
    assert generation is not None
    store = Store.open(folder, snapshot=generation.snapshot())
    return Engine(store, generation=generation, encoder=none, text_encoder=none)


def none() -> NoReturn:
    raise AssertionError("queries are vectors here")


def query(vector: Floats, where: str | None = None) -> Query:
    return Query((Term(vector=vector),), where=where, target="image")


def median(engine: Engine, asked: Floats, where: str | None = None) -> float:
    """Seconds of one query."""
    queries = [query(vector, where) for vector in asked]
    return float(np.median([timed(partial(engine.search, one))[1] for one in queries]))


def write(store: Store, mixture: Mixture, rows: int, texts: Floats) -> None:
    for vectors, ids in DrawnBatches(mixture, rows):
        append(store, vectors, int(ids[0]))
    append(store, texts, rows, column="_text_vector")
    store.update_manifest(next_uid=rows + len(texts))


def append(store: Store, vectors: Floats, first: int, column: str = "_image_vector") -> None:
    """vectors: float32 (n, dim), of rows with the uids from `first` on."""
    ids = np.arange(first, first + len(vectors))
    values = dict(columns(ids))
    flat = pa.array(vectors.astype(np.float16).reshape(-1))
    values[column] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    schema = store.items.schema
    parts = [values.get(field.name, pa.nulls(len(ids), field.type)) for field in schema]
    store.items.add(pa.table(parts, schema=schema), on_bad_vectors="null")


def columns(ids: Ids) -> Iterator[tuple[str, pa.Array]]:
    names = pa.array([f"shop/item-{number}.jpg" for number in ids.tolist()])
    yield "_uid", pa.array(ids)
    yield "key", names
    yield "uri", names
    yield "source", pa.array(["shop"] * len(ids))
    # A fixed shuffle, so that what a price selects lies all over the table.
    yield "price", pa.array((ids * 7919 % 1_000_003) / 10_000.03)
    yield "category", pa.array([f"category {number % CATEGORIES}" for number in ids.tolist()])


if __name__ == "__main__":
    main()
