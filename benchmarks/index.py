"""Our indexes against bare FAISS with the same index and parameters, on vectors like real ones.

    python benchmarks/index.py --images images.npy --texts texts.npy --rows 1000000 --kind ivf-sq8

Both files hold real embeddings of one model, float (n, dim). Pictures are multiplied by drawing
from a mixture fitted to them; the text queries are asked as they are. Prints ratios, ours ÷ bare.
"""

import argparse
import resource
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import TypeVar

import faiss
import numpy as np
from vectors import DrawnBatches, HeldBatches, Mixture, parser_of_embeddings, projected, read_real

from mmsearch.indexes import FaissIndex, IdFilter, IndexOptions, build_index, load_index, save_index
from mmsearch.indexes.build import TRAINING_POINTS_PER_CELL, spread_sample
from mmsearch.indexes.ground_truth import GroundTruth
from mmsearch.indexes.ivf import IvfFlatIndex, IvfIndex, IvfSq8Index, new_ivf
from mmsearch.indexes.pq import IvfPqIndex, new_pq
from mmsearch.records import Floats, Ids

Result = TypeVar("Result")

K = 10
SHARES = (0.5, 0.05, 0.005, 0.0005)
REPEATS = 5


def main() -> None:
    options = parsed()
    faiss.omp_set_num_threads(options.threads)
    images, texts = projected(read_real(options.images), read_real(options.texts), options.dim)
    generator = np.random.default_rng(0)
    texts = texts[generator.permutation(len(texts))[: 2 * options.queries]]
    tuning, asked = np.array_split(texts, 2)
    pictures = images[generator.permutation(len(images))[: len(tuning)]]
    mixture = Mixture.fit(images)
    if options.rows * mixture.dim * 4 > options.held_bytes:
        rows: DrawnBatches | HeldBatches = DrawnBatches(mixture, options.rows)
    else:
        held = np.empty((options.rows, mixture.dim), np.float32)
        for vectors, ids in DrawnBatches(mixture, options.rows):
            held[ids] = vectors
        rows = HeldBatches(held)
    print(
        f"{options.rows:,} × {mixture.dim}, {len(asked)} text queries, "
        f"{options.threads} threads, FAISS {faiss.__version__}"
    )
    began = process_time()
    index, build_seconds = timed(
        lambda: build_index(
            rows,
            dim=mixture.dim,
            options=IndexOptions(kind=options.kind, recall=options.recall),
            queries={"text": tuning, "image": pictures},
        )
    )
    worked = process_time() - began
    print(f"{index.kind}: {index.reason}")
    truth = GroundTruth({"text": asked})
    for vectors, ids in rows:
        truth.update(vectors, ids)
    reached = recall_of(index.search(truth.queries, K + 1)[1], truth)
    print(f"recall@10 on unseen text queries: {reached:.3f}")
    compare_build(index, rows, build_seconds, worked)
    compare_search(index, asked)
    filters(index, rows, asked)
    opening(index, asked)
    adding(index, mixture, build_seconds)
    print(f"peak memory of this process: {peak_gib():.2f} GiB")


def peak_gib() -> float:
    """Of this process: its own memory, and the pages of mapped files that it touched."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30


def parsed() -> argparse.Namespace:
    parser = parser_of_embeddings(__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument(
        "--dim", type=int, help="of the vectors, by principal axes; all if not given"
    )
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--held-bytes",
        type=int,
        default=2 * 2**30,
        help="more rows than fit here are drawn again whenever they are read",
    )
    return parser.parse_args()


def compare_build(
    index: FaissIndex, rows: DrawnBatches | HeldBatches, ours: float, worked: float
) -> None:
    """Trains and fills the same FAISS index without ids checked, truth gathered or effort tuned.

    ours: seconds; worked: of the processor, which another program disturbs less.
    """
    if not isinstance(index, IvfIndex | IvfPqIndex):
        print(f"build: {ours:.1f} s")
        return

    def bare() -> None:
        sample = spread_sample(rows, TRAINING_POINTS_PER_CELL * index.cells, index.dim, seed=0)
        new = new_pq if index.kind == "ivf-pq" else lambda *rest: new_ivf(index.kind, *rest)
        filled = new(index.dim, index.cells, sample)
        for vectors, ids in rows:
            filled.add_with_ids(vectors, ids)

    began = process_time()
    _, seconds = timed(bare)
    busy = process_time() - began
    print(
        f"build: {ours:.1f} s, bare {seconds:.1f} s, ratio {ours / seconds:.2f}; processor time "
        f"{worked:.1f} s, bare {busy:.1f} s, ratio {worked / busy:.2f}"
    )


def compare_search(index: FaissIndex, queries: Floats) -> None:
    """One query at a time, then all at once, taking turns so that both see the same machine."""
    bare = bare_search(index)
    ours, theirs = compare_single(index, bare, queries)
    print(
        f"one text query: {1e3 * ours:.3f} ms, bare {1e3 * theirs:.3f} ms, "
        f"ratio {ours / theirs:.2f} (processor time, one thread)"
    )
    many = np.tile(queries, (4, 1))
    turns = [
        (timed(lambda: index.search(many, K))[1], timed(lambda: bare(many, K))[1])
        for _ in range(REPEATS)
    ]
    ours, theirs = np.median(np.array(turns), axis=0)
    print(
        f"batch of {len(many):,}: {len(many) / ours:,.0f} queries/s, bare "
        f"{len(many) / theirs:,.0f}, ratio {theirs / ours:.2f}"
    )


def compare_single(
    index: FaissIndex, bare: Callable[[Floats, int], object], queries: Floats
) -> tuple[float, float]:
    """Median seconds of processor time that one query takes us and bare FAISS."""
    threads = faiss.omp_get_max_threads()
    ours: list[float] = []
    theirs: list[float] = []
    for number, query in enumerate(batches_of(np.tile(queries, (REPEATS, 1)), 1)):
        # Whoever asks second finds the cells in the processor's cache.
        both = [(index.search, ours, threads), (bare, theirs, 1)]
        for search, seconds, granted in both if number % 2 else reversed(both):
            # FAISS wakes as many threads as it may for one query of product codes, and on a busy
            # machine takes thirty times as long; ours sees to it by itself.
            faiss.omp_set_num_threads(granted)
            started = thread_time()
            search(query, K)
            seconds.append(thread_time() - started)
    faiss.omp_set_num_threads(threads)
    return float(np.median(ours)), float(np.median(theirs))


def bare_search(index: FaissIndex) -> Callable[[Floats, int], tuple[Floats, Ids]]:
    """The FAISS call alone, with the parameters that our search passes to it."""
    if isinstance(index, IvfFlatIndex | IvfSq8Index):
        parameters = faiss.SearchParametersIVF(nprobe=index.effort)
        return partial(index.index.search, params=parameters)
    if isinstance(index, IvfPqIndex):
        refined = faiss.downcast_index(index.index.index)
        inside = faiss.SearchParametersIVF(nprobe=index.effort)
        parameters = faiss.IndexRefineSearchParameters(
            k_factor=index.refinement,
            base_index_params=faiss.SearchParametersPreTransform(index_params=inside),
        )
        return partial(refined.search, params=parameters)
    if index.kind == "hnsw":
        parameters = faiss.SearchParametersHNSW(efSearch=index.effort)
        return partial(index.index.search, params=parameters)
    search: Callable[[Floats, int], tuple[Floats, Ids]] = index.index.search
    return search


def filters(index: FaissIndex, rows: DrawnBatches | HeldBatches, queries: Floats) -> None:
    """Recall and latency when a share of the ids, drawn at random, may be returned."""
    queries = queries[:100]
    generator = np.random.default_rng(1)
    chosen = {
        share: np.sort(generator.choice(len(rows), max(1, int(share * len(rows))), replace=False))
        for share in SHARES
    }
    truths = {share: GroundTruth({"text": queries}) for share in SHARES}
    for vectors, ids in rows:
        for share, truth in truths.items():
            held = np.isin(ids, chosen[share], assume_unique=True)
            truth.update(vectors[held], ids[held])
    whole = single_seconds(partial(index.search, k=K), queries)
    for share, truth in truths.items():
        allowed, made = timed(partial(IdFilter, chosen[share]))
        search = partial(index.search, k=K, allowed=allowed)
        _, first = timed(partial(search, queries[:1]))
        seconds = single_seconds(search, queries)
        found = index.search(truth.queries, K + 1, allowed=allowed)[1]
        print(
            f"filter {share:.2%}: recall {recall_of(found, truth):.3f}, first query "
            f"{1e3 * (made + first):.3f} ms, then {1e3 * seconds:.3f} ms, "
            f"{seconds / whole:.2f} × unfiltered"
        )


def opening(index: FaissIndex, queries: Floats) -> None:
    """Saves, then opens memory-mapped and asks one query."""
    with tempfile.TemporaryDirectory() as folder:
        meta, saving = timed(lambda: save_index(index, Path(folder) / "index"))
        loaded, seconds = timed(lambda: load_index(Path(folder) / "index"))
        _, first = timed(lambda: loaded.search(queries[:1], K))
        print(
            f"file: {meta.size_bytes / 2**20:,.1f} MiB, saved in {saving:.2f} s, opened in "
            f"{1e3 * seconds:.1f} ms, first query {1e3 * first:.1f} ms"
        )


def adding(index: FaissIndex, mixture: Mixture, build_seconds: float) -> None:
    """Adds 1% and takes it away again."""
    count = max(1, len(index) // 100)
    vectors = mixture.draw(count, seed=10**9)
    ids = np.arange(count, dtype=np.int64) + 10 * len(index)
    _, added = timed(lambda: index.add(vectors, ids))
    _, removed = timed(lambda: index.remove(ids))
    print(
        f"adding 1%: {added:.2f} s, {added / build_seconds:.1%} of a build; "
        f"removing it: {removed:.2f} s"
    )


def recall_of(found: Ids, truth: GroundTruth) -> float:
    """found: int64 (q, K + 1), best first, for all of truth's queries."""
    return float(truth.recalls(found, K).mean())


def single_seconds(search: Callable[[Floats], object], queries: Floats) -> float:
    """Median seconds of one query."""
    return float(np.median([timed(partial(search, q))[1] for q in batches_of(queries, 1)]))


def batches_of(queries: Floats, size: int) -> Iterator[Floats]:
    for start in range(0, len(queries), size):
        yield queries[start : start + size]


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What `work` returns, and the seconds that it took."""
    started = perf_counter()
    result = work()
    return result, perf_counter() - started


if __name__ == "__main__":
    main()
