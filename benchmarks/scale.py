"""Memory and time of an index of millions of rows, built from a file and searched from one.

    python benchmarks/scale.py --images images.npy --texts texts.npy --work FOLDER \
        --rows 10000000 --dim 256 --kind ivf-pq

FOLDER takes the vectors (2 bytes a value), then the index. Each step runs in a process of its own,
whose peak of resident memory is told; pages of a mapped file that were touched count as well.
"""

import argparse
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

import faiss
import numpy as np
from index import REPEATS, SHARES, K, peak_gib, recall_of, single_seconds, timed
from vectors import DrawnBatches, FileBatches, Mixture, parser_of_embeddings, projected, read_real

from mmsearch.indexes import (
    IdFilter,
    IndexKind,
    IndexOptions,
    build_index,
    choice,
    load_index,
    save_index,
)
from mmsearch.indexes.ground_truth import GroundTruth
from mmsearch.records import Floats

STEPS = ("draw", "build", "search")
VECTORS, INDEX = "vectors.f16", "index"
# Exact answers over all the rows take a minute for every few hundred queries.
JUDGED = 100


def main() -> None:
    options = parsed()
    if options.step is None:
        for step in STEPS:
            subprocess.run([sys.executable, *sys.argv, "--step", step], check=True)
        return
    faiss.omp_set_num_threads(options.threads)
    images, texts = projected(read_real(options.images), read_real(options.texts), options.dim)
    generator = np.random.default_rng(0)
    texts = texts[generator.permutation(len(texts))[: 2 * options.queries]]
    tuning, asked = np.array_split(texts, 2)
    if options.cells:
        choice.MOST_CELLS = options.cells
    pictures = images[generator.permutation(len(images))[: len(tuning)]]
    started = perf_counter()
    if options.step == "draw":
        draw(options.work, Mixture.fit(images), options.rows)
    elif options.step == "build":
        build(options.work, options.kind, options.dim, {"text": tuning, "image": pictures})
    else:
        search(options.work, options.dim, asked)
    print(
        f"{options.step}: {perf_counter() - started:.0f} s, peak memory {peak_gib():.2f} GiB",
        flush=True,
    )


def parsed() -> argparse.Namespace:
    parser = parser_of_embeddings(__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--kind", default="ivf-pq")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--queries", type=int, default=500, help="of each kind, to tune with")
    parser.add_argument(
        "--cells",
        type=int,
        help="at most so many: memory stays what it is, the build takes minutes, searches longer",
    )
    parser.add_argument("--step", choices=STEPS, help="one of them alone")
    return parser.parse_args()


def draw(work: Path, mixture: Mixture, rows: int) -> None:
    work.mkdir(parents=True, exist_ok=True)
    with (work / VECTORS).open("wb") as file:
        for vectors, _ in DrawnBatches(mixture, rows):
            vectors.astype(np.float16).tofile(file)


def build(work: Path, kind: IndexKind, dim: int, queries: dict[str, Floats]) -> None:
    index, seconds = timed(
        lambda: build_index(
            FileBatches(work / VECTORS, dim),
            dim=dim,
            options=IndexOptions(kind=kind),
            queries=queries,
        )
    )
    print(f"{index.kind}, {len(index):,} × {dim}: {index.reason}; built in {seconds:.0f} s")
    shutil.rmtree(work / INDEX, ignore_errors=True)
    meta, seconds = timed(lambda: save_index(index, work / INDEX))
    print(f"{meta.size_bytes / 2**30:.2f} GiB written in {seconds:.0f} s", flush=True)


def search(work: Path, dim: int, asked: Floats) -> None:
    """Opens the file memory-mapped and asks; recall is told last, as it needs all the vectors."""
    index, seconds = timed(lambda: load_index(work / INDEX))
    _, first = timed(lambda: index.search(asked[:1], K))
    one = single_seconds(partial(index.search, k=K), asked)
    many = min(timed(lambda: index.search(asked, K))[1] for _ in range(REPEATS))
    print(
        f"opened in {1e3 * seconds:.1f} ms, first query {1e3 * first:.1f} ms, then "
        f"{1e3 * one:.3f} ms; {len(asked) / many:,.0f} queries/s in a batch"
    )
    generator = np.random.default_rng(1)
    for share in SHARES:
        allowed = IdFilter(generator.choice(len(index), int(share * len(index)), replace=False))
        search_some = partial(index.search, k=K, allowed=allowed)
        _, first = timed(partial(search_some, asked[:1]))
        some = single_seconds(search_some, asked[:100])
        print(
            f"filter {share:.2%}: first query {1e3 * first:.1f} ms, then {1e3 * some:.3f} ms, "
            f"{some / one:.2f} × unfiltered"
        )
    print(
        f"peak memory while searching: {peak_gib():.2f} GiB, {own_gib():.2f} GiB without the pages "
        "of the mapped file, which the system takes back when it needs them",
        flush=True,
    )
    truth = GroundTruth({"text": asked[:JUDGED]})
    for vectors, ids in FileBatches(work / VECTORS, dim):
        truth.update(vectors, ids)
    reached = recall_of(index.search(truth.queries, K + 1)[1], truth)
    print(f"recall@10 on {len(truth.queries)} unseen text queries: {reached:.3f}")


def own_gib() -> float:
    """What this process holds that is no page of a file."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("RssAnon:")[1].split()[0]) / 2**20


if __name__ == "__main__":
    main()
