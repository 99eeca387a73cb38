"""Edited copies found among distinct photographs: precision and recall by transformation.

    python benchmarks/dedup.py FOLDER… --photos 1000 --distinct 2000 --seed 7

Photos are drawn from the folders; each of --photos gets one copy per transformation. With
--imagededup PYTHON, an interpreter that has imagededup installed, its hashes run over the same
files, each at the threshold that serves it best.
"""

import argparse
import json
import random
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from os import cpu_count
from pathlib import Path

import numpy as np
from dedup_copies import COPIES, HARD, write_copy
from PIL import Image

from mmsearch.dedup.grouping.connected_groups import group_pairs, without_bridges
from mmsearch.dedup.thumbnails.edited_copies import CERTAIN, EDITED_AGREEMENT, find_edited
from mmsearch.dedup.thumbnails.fingerprints import read_print
from mmsearch.media import MediaBounds

SUFFIXES = {".jpg", ".jpeg", ".png"}
PEER = Path(__file__).with_name("dedup_peer.py")


def main() -> None:
    options = read_arguments()
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(options, Path(folder))
        originals = [path.stem.split("_")[0] for path in files]
        print(f"{len(files)} files: {options.photos} photos x {len(COPIES)} copies, "
              f"{options.distinct} distinct photos beside them, seed {options.seed}")  # fmt: skip
        seconds, pairs = ours(files)
        names = [path.name for path in files]
        print_recall(names, pairs)
        right = sum(originals[a] == originals[b] for a, b in pairs)
        show("mmsearch", originals, right, len(pairs), seconds)
        if options.imagededup:
            peers(options.imagededup, Path(folder), originals)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--distinct", type=int, default=2000)
    parser.add_argument("--seed", default="7")
    parser.add_argument("--imagededup", help="a Python that has imagededup", metavar="PYTHON")
    return parser.parse_args()


def write_files(options: argparse.Namespace, folder: Path) -> list[Path]:
    photos = sorted(
        p for f in options.folders for p in f.rglob("*") if p.suffix.lower() in SUFFIXES
    )
    count = options.photos + options.distinct
    if len(photos) < count:
        raise SystemExit(f"{count} photos are needed, the folders hold {len(photos)}")
    chosen = random.Random(options.seed).sample(photos, count)  # noqa: S311
    files = []
    for number, source in enumerate(chosen):
        place = folder / f"{number:05d}_original{source.suffix}"
        shutil.copy(source, place)
        files.append(place)
        if number < options.photos:
            photo = Image.open(source).convert("RGB")
            files += [
                write_copy(photo, name, f"{options.seed} {number}", folder / f"{number:05d}_{name}")
                for name in COPIES
            ]
    return sorted(files)


def ours(files: Sequence[Path]) -> tuple[tuple[float, float], set[tuple[int, int]]]:
    """Seconds from files to groups (wall, CPU), and the pairs that lie in one group."""
    start, used = time.monotonic(), time.process_time()
    bounds = MediaBounds()
    with ThreadPoolExecutor(cpu_count()) as threads:
        prints = list(threads.map(lambda path: read_print(path, bounds), files))
    read = time.monotonic() - start
    thumbnails = np.stack([each.thumbnail for each in prints])
    found = find_edited(thumbnails, threshold=EDITED_AGREEMENT).found
    found = found.take(without_bridges(found.pairs, found.agreement))
    groups = group_pairs(
        len(files), found.pairs, found.agreement, certain=CERTAIN, inferred=EDITED_AGREEMENT
    )
    seconds = time.monotonic() - start
    used = time.process_time() - used
    print(f"mmsearch: fingerprints {read:.1f} s, comparing {seconds - read:.1f} s")
    return (seconds, used), {pair for group in groups for pair in combinations(group, 2)}


def print_recall(names: Sequence[str], pairs: set[tuple[int, int]]) -> None:
    place = {name: number for number, name in enumerate(names)}
    found: dict[str, list[bool]] = defaultdict(list)
    for name, number in place.items():
        photo, _, kind = Path(name).stem.partition("_")
        if kind != "original":
            whole = next(
                place[f"{photo}_original{s}"] for s in SUFFIXES if f"{photo}_original{s}" in place
            )
            found[kind].append((min(whole, number), max(whole, number)) in pairs)
    for kind, hits in sorted(found.items()):
        print(f"  {kind:12} recall {np.mean(hits):.4f} of {len(hits)}")
    easy = [hit for kind, hits in found.items() if kind not in HARD for hit in hits]
    hard = [hit for kind in HARD for hit in found[kind]]
    print(f"  recall: {np.mean(hard):.4f} over {HARD}, {np.mean(easy):.4f} over the others")


def show(
    name: str, originals: Sequence[str], right: int, listed: int, seconds: tuple[float, float]
) -> None:
    """right: of the pairs that are listed, how many are of one photo."""
    sizes = np.unique(originals, return_counts=True)[1]
    there = int((sizes * (sizes - 1) // 2).sum())
    print(f"{name}: pair precision {right / max(listed, 1):.4f} ({listed - right} wrong), recall "
          f"{right / there:.4f}, F1 {2 * right / (listed + there):.4f}, {seconds[0]:.1f} s "
          f"({seconds[1]:.1f} s of CPU)")  # fmt: skip


def peers(python: str, folder: Path, originals: Sequence[str]) -> None:
    done = subprocess.run([python, str(PEER), str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"imagededup does not run under {python}:\n{done.stderr[-400:]}")
    for method, each in json.loads(done.stdout.splitlines()[-1]).items():
        name = f"imagededup {method} at its best distance {each['distance']}"
        print(f"{method}: encoding {each['encoding']:.1f} s")
        show(name, originals, each["right"], each["listed"], (each["seconds"], each["cpu"]))


if __name__ == "__main__":
    main()
