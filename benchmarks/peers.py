"""hnswlib, usearch and LanceDB's own index over the same vectors, at the recall that we reach.

    python benchmarks/peers.py --images images.npy --texts texts.npy --rows 100000 --dim 256

It takes `pip install hnswlib usearch`. Each is built with its usual settings; its effort is raised
until recall@10 on text queries reaches the floor, as ours is. Prints build seconds, the median of
one query, queries per second of a batch, and the ratios to ours, all in one process and one run.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import hnswlib
import lancedb
import numpy as np
import pyarrow as pa
from index import REPEATS, K, batches_of, recall_of, timed
from lancedb.index import IvfPq
from usearch.index import Index as UsearchIndex
from vectors import DrawnBatches, HeldBatches, Mixture, parser_of_embeddings, projected, read_real

from mmsearch.indexes import IndexKind, IndexOptions, build_index
from mmsearch.indexes.choice import cell_count
from mmsearch.indexes.ground_truth import GroundTruth
from mmsearch.records import Floats, Ids

EFFORTS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
LINKS, BUILD_EFFORT = 24, 128
SINGLE = 200
# Queries that judge the efforts of the others: some take seconds for a few hundred.
TRIED = 200
# LanceDB answers several queries in one call, which is quicker than one after another.
LANCE_AT_ONCE = 64
# Candidates compared again, by k: with four times k its codes held 0.95 at no effort.
LANCE_REFINE = 10


@dataclass(frozen=True, slots=True)
class Peer:
    """search: queries (q, dim), k, effort → ids (q, k)."""

    name: str
    search: Callable[[Floats, int, int], Ids]
    build_seconds: float


def main() -> None:
    parser = parser_of_embeddings(__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int)
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=["auto"])
    parser.add_argument("--peers", nargs="*", default=["hnswlib", "usearch", "LanceDB"])
    options = parser.parse_args()
    faiss.omp_set_num_threads(options.threads)
    images, texts = projected(read_real(options.images), read_real(options.texts), options.dim)
    generator = np.random.default_rng(0)
    texts = texts[generator.permutation(len(texts))[:1000]]
    tuning, asked = np.array_split(texts, 2)
    mixture = Mixture.fit(images)
    vectors = np.empty((options.rows, mixture.dim), np.float32)
    for block, ids in DrawnBatches(mixture, options.rows):
        vectors[ids] = block
    judged = {"tried": tuning[:TRIED], "asked": asked}
    truths = {name: GroundTruth({"text": part}) for name, part in judged.items()}
    for block, ids in HeldBatches(vectors):
        for truth in truths.values():
            truth.update(block, ids)
    print(f"{options.rows:,} × {mixture.dim}, {options.threads} threads, floor {options.recall}")
    ours = [our_peer(kind, vectors, tuning, options.recall) for kind in options.kinds]
    base = None
    with tempfile.TemporaryDirectory() as folder:
        for peer in [*ours, *others(vectors, Path(folder), options.threads, options.peers)]:
            rates = measured(peer, truths, options.recall)
            base = base or rates
            print(
                f"  against ours: {base[0] / rates[0]:.2f} × our time of one query, "
                f"{rates[1] / base[1]:.2f} × our queries per second",
                flush=True,
            )


def our_peer(kind: IndexKind, vectors: Floats, tuning: Floats, floor: float) -> Peer:
    index, seconds = timed(
        lambda: build_index(
            HeldBatches(vectors),
            dim=vectors.shape[1],
            options=IndexOptions(kind=kind, recall=floor),
            queries={"text": tuning},
        )
    )
    print(f"mmsearch {index.kind}: {index.reason}")
    return Peer(
        f"mmsearch {index.kind}", lambda queries, k, _: index.search(queries, k)[1], seconds
    )


def others(vectors: Floats, folder: Path, threads: int, names: list[str]) -> Iterator[Peer]:
    rows, dim = vectors.shape
    if "hnswlib" in names:
        graph = hnswlib.Index(space="ip", dim=dim)
        graph.init_index(max_elements=rows, ef_construction=BUILD_EFFORT, M=LINKS)
        graph.set_num_threads(threads)
        _, seconds = timed(lambda: graph.add_items(vectors, np.arange(rows)))
        yield Peer("hnswlib", partial(search_hnswlib, graph), seconds)
        del graph
    if "usearch" in names:
        index = UsearchIndex(
            ndim=dim, metric="ip", dtype="f32", connectivity=LINKS, expansion_add=BUILD_EFFORT
        )
        _, seconds = timed(lambda: index.add(np.arange(rows), vectors, threads=threads))
        yield Peer("usearch", partial(search_usearch, index, threads), seconds)
        del index
    if "LanceDB" in names:
        table, seconds = timed(lambda: built_lance(vectors, folder))
        yield Peer("LanceDB IVF-PQ", partial(search_lance, table), seconds)


def search_hnswlib(graph: Any, queries: Floats, k: int, effort: int) -> Ids:
    graph.set_ef(max(effort, k))
    ids: Ids = graph.knn_query(queries, k=k)[0].astype(np.int64)
    return ids


def search_usearch(index: Any, threads: int, queries: Floats, k: int, effort: int) -> Ids:
    index.expansion_search = max(effort, k)
    found = index.search(queries, k, threads=min(threads, len(queries)))
    return np.asarray(found.keys, np.int64).reshape(len(queries), -1)


def built_lance(vectors: Floats, folder: Path) -> Any:
    rows, dim = vectors.shape
    schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32(), dim))])
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dim)
    content = pa.table([pa.array(np.arange(rows)), column], schema=schema)
    table = lancedb.connect(str(folder)).create_table("vectors", content)
    config = IvfPq(
        distance_type="cosine", num_partitions=cell_count(rows), num_sub_vectors=dim // 4
    )
    table.create_index("vector", config=config)
    return table


def search_lance(table: Any, queries: Floats, k: int, effort: int) -> Ids:
    """effort: cells probed."""
    found = np.full((len(queries), k), -1, np.int64)
    for start in range(0, len(queries), LANCE_AT_ONCE):
        batch = list(queries[start : start + LANCE_AT_ONCE])
        asked = table.search(batch).distance_type("cosine").nprobes(effort)
        rows = asked.refine_factor(LANCE_REFINE).limit(k).select(["id", "_distance"]).to_arrow()
        # One query alone comes back without its number.
        several = "query_index" in rows.column_names
        numbers = rows.column("query_index").to_numpy() if several else np.zeros(len(rows), int)
        for number in range(len(batch)):
            mine = rows.filter(numbers == number).sort_by("_distance").column("id").to_numpy()
            found[start + number, : len(mine)] = mine
    return found


def measured(peer: Peer, truths: dict[str, GroundTruth], floor: float) -> tuple[float, float]:
    """Prints and returns the median seconds of one query and queries per second of a batch."""
    tried, asked = truths["tried"], truths["asked"]
    efforts = (0,) if peer.name.startswith("mmsearch") else EFFORTS
    for effort in efforts:
        if recall_of(peer.search(tried.queries, K + 1, effort), tried) >= floor:
            break
    recall = recall_of(peer.search(asked.queries, K + 1, effort), asked)
    singles = [
        timed(partial(peer.search, query, K, effort))[1]
        for query in batches_of(asked.queries[:SINGLE], 1)
    ]
    many = np.tile(asked.queries, (2, 1))
    taken = min(timed(lambda: peer.search(many, K, effort))[1] for _ in range(REPEATS))
    one, rate = float(np.median(singles)), len(many) / taken
    print(
        f"{peer.name}: built in {peer.build_seconds:.1f} s, effort {effort}, recall@10 "
        f"{recall:.3f}, one query {1e3 * one:.3f} ms, {rate:,.0f} queries/s"
    )
    return one, rate


if __name__ == "__main__":
    main()
