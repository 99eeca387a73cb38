"""The tier of similar pictures over many vectors: memory, and seconds beside a bare FAISS pass.

    python benchmarks/dedup_scale.py --rows 1000000 --dim 256

The vectors are drawn at random around fewer centres; the store is real, its pictures are not.
"""

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mmsearch.dedup.find import find_duplicates
from mmsearch.dedup.options import DedupOptions
from mmsearch.fusion import unit
from mmsearch.generations import live_generation, refresh_generation
from mmsearch.indexes import IndexOptions
from mmsearch.media import MediaBounds
from mmsearch.progress import Silent
from mmsearch.records import Floats, SpaceId
from mmsearch.store.lance import Store
from mmsearch.store.manifest import Manifest
from mmsearch.store.rows import items_schema

BATCH = 20_000
ASKED = 12
ALIKE = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), options.rows, options.dim)
        bare = bare_pass(Path(folder), options.dim)
        started, used = time.monotonic(), time.process_time()
        chosen = DedupOptions(tiers=("similar",), similar=0.9)
        report = find_duplicates(Path(folder), chosen, MediaBounds(), Silent())
        seconds = time.monotonic() - started, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"dedup: {seconds[0]:.1f} s ({seconds[1]:.1f} s of CPU), {seconds[1] / bare:.2f} times the "
        f"bare pass; {len(report.groups):,} groups; at most {memory:.1f} GiB in this process"
    )


def fill(folder: Path, rows: int, dim: int) -> None:
    chance = np.random.default_rng(3)
    centres = chance.normal(size=(max(rows // ALIKE, 1), dim)).astype(np.float32)
    store = Store.create(folder, Manifest("none", SpaceId("none", "0" * 8, dim, "0" * 8)))
    blank: dict[str, Any] = dict.fromkeys(items_schema(dim).names)
    now = datetime.now(UTC)
    with store.writing():
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            near = centres[chance.integers(0, len(centres), count)]
            noise = chance.normal(size=near.shape).astype(np.float32)
            vectors = unit(near + 0.4 * noise)
            facts = {"source": "s", "_indexed": now, "metadata": {}}
            store.write_rows(
                [
                    blank | facts | {"_uid": uid, "key": f"s/{uid}", "_image_vector": vector}
                    for uid, vector in enumerate(vectors, start)
                ]
            )
        store.tidy()
        refresh_generation(store, None, IndexOptions(), Silent())


def bare_pass(folder: Path, dim: int) -> float:
    """CPU seconds for the nearest neighbours of every row, by the store's own index alone."""
    live = live_generation(folder)
    if live is None:
        raise SystemExit("the store has no index")
    index = live.index("image")
    used = 0.0
    rows = 0
    for _, (vectors,) in Store.open(folder).vectors(["_image_vector"]):
        asked: Floats = unit(vectors)
        started = time.process_time()
        index.search(asked, ASKED)
        used += time.process_time() - started
        rows += len(asked)
    print(f"{rows:,} vectors of {dim}: bare pass {used:.1f} s of CPU ({index.kind})")
    return used


if __name__ == "__main__":
    main()
