"""The tier of similar pictures over many vectors: memory, and seconds beside a bare FAISS pass.

    python benchmarks/dedup_scale.py --rows 1000000 --dim 256

The vectors are drawn at random around fewer centres, at cosines of about 0.92 to each other; the
centres fill few dimensions, as embeddings of one kind of thing do. The store is real, its pictures
are not. With --store FOLDER it is kept, and used again if it is there.
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
from mmsearch.progress import NullProgress
from mmsearch.records import Floats, SpaceId
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest
from mmsearch.store.rows import items_schema

BATCH = 20_000
ASKED = 12
ALIKE = 8
NOISE = 0.3
FILLED = 24
THRESHOLD = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.store or Path(temporary)
        if not (folder / "manifest.json").exists():
            started = time.monotonic()
            fill(folder, options.rows, options.dim)
            print(f"stored and indexed in {time.monotonic() - started:.0f} s", flush=True)
        bare = bare_pass(folder, options.dim)
        before = clocks()
        chosen = DedupOptions(tiers=("similar",), similar=THRESHOLD)
        report = find_duplicates(folder, chosen, MediaBounds(), NullProgress())
        took = clocks() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    grouped = sum(len(group.items) for group in report.groups)
    print(
        f"dedup: {took[0]:.1f} s ({took[1]:.1f} s of CPU), {took[0] / bare[0]:.2f} times the bare "
        f"pass ({took[1] / bare[1]:.2f} in CPU); {len(report.groups):,} groups of {grouped:,} "
        f"rows; at most {memory:.1f} GiB in this process"
    )


def clocks() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds of the clock, and of CPU."""
    return np.array([time.monotonic(), time.process_time()])


def fill(folder: Path, rows: int, dim: int) -> None:
    chance = np.random.default_rng(3)
    spanned = chance.normal(size=(FILLED, dim)) / FILLED**0.5
    centres = (chance.normal(size=(max(rows // ALIKE, 1), FILLED)) @ spanned).astype(np.float32)
    store = Store.create(folder, Manifest("none", SpaceId("none", "0" * 8, dim, "0" * 8)))
    blank: dict[str, Any] = dict.fromkeys(items_schema(dim).names)
    now = datetime.now(UTC)
    with store.writing():
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            near = centres[chance.integers(0, len(centres), count)]
            noise = chance.normal(size=near.shape).astype(np.float32)
            vectors = unit(near + NOISE * noise)
            facts = {"source": "s", "_indexed": now, "metadata": {}}
            store.write_rows(
                [
                    blank | facts | {"_uid": uid, "key": f"s/{uid}", "_image_vector": vector}
                    for uid, vector in enumerate(vectors, start)
                ]
            )
        store.tidy()
        refresh_generation(store, None, IndexOptions(), NullProgress())


def bare_pass(folder: Path, dim: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Clocks for the nearest neighbours of every row, by the store's own index alone."""
    live = live_generation(folder)
    if live is None:
        raise SystemExit("the store has no index")
    index = live.index("image")
    used = np.zeros(2)
    rows = 0
    for _, (vectors,) in Store.open(folder).vectors(["_image_vector"]):
        asked: Floats = unit(vectors)
        before = clocks()
        index.search(asked, ASKED)
        used += clocks() - before
        rows += len(asked)
    print(
        f"{rows:,} vectors of {dim}: bare pass {used[0]:.1f} s, {used[1]:.1f} s of CPU "
        f"({index.kind})",
        flush=True,
    )
    return used


if __name__ == "__main__":
    main()
