"""Dedup of a few new pictures against all, as a share of a run over everything, in CPU seconds.

python benchmarks/dedup_new.py FOLDER… --pictures 3000 --share 0.01
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmsearch.dedup.edited import EditedPairs, find_edited
from mmsearch.dedup.prints import read_print
from mmsearch.media import MediaBounds
from mmsearch.records import Pixels

SUFFIXES = {".jpg", ".jpeg", ".png"}


def main() -> None:
    options = read_arguments()
    files = sorted(p for f in options.folders for p in f.rglob("*") if p.suffix in SUFFIXES)
    files = random.Random(options.seed).sample(files, min(options.pictures, len(files)))  # noqa: S311
    old = len(files) - max(int(options.share * len(files)), 1)
    # Whatever the first call has to import is no part of the work.
    find_edited(read(files[:8]))
    started = time.process_time()
    thumbnails = read(files[:old])
    known = find_edited(thumbnails)
    full = time.process_time() - started
    started = time.process_time()
    both = np.concatenate([thumbnails, read(files[old:])])
    found = find_edited(both, new_from=old, known=known)
    new = time.process_time() - started
    print(
        f"{old:,} pictures: {full:.2f} s, {len(known):,} pairs; {len(files) - old:,} new ones: "
        f"{new:.2f} s, {new / full:.1%}, {len(found):,} pairs"
    )
    every = find_edited(both)
    print(f"all at once: {len(every):,} pairs; {missed(every, known, found)} only there")


def read(files: Sequence[Path]) -> Pixels:
    bounds = MediaBounds()
    return np.stack([read_print(path, bounds).thumbnail for path in files])


def missed(every: EditedPairs, known: EditedPairs, found: EditedPairs) -> int:
    seen = {tuple(pair) for part in (known, found) for pair in part.pairs.tolist()}
    return sum(tuple(pair) not in seen for pair in every.pairs.tolist())


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--seed", default="7")
    return parser.parse_args()


if __name__ == "__main__":
    main()
