"""Edited copies found among distinct photographs: precision and recall by transformation.

    python benchmarks/dedup.py FOLDER… --photos 1000 --distinct 2000 --seed 7

Photos are drawn from the folders; each of --photos gets one copy per transformation. The files are
indexed with the built-in model, which is not timed, then `mmsearch dedup` runs over the store: what
thumbnails and keypoints propose (finding), and what is compared in full (confirming) are timed
apart. With --work FOLDER the files and the store stay there, and serve the next measurement. With
--imagededup PYTHON, an interpreter that has imagededup installed, its hashes run over the same
files, each at the threshold that serves it best.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import loky
import numpy as np
from dedup_copies import COPIES, HARD, write_copy
from PIL import Image

import mmsearch
from mmsearch.dedup.actions.plan import make_plan
from mmsearch.dedup.find import FOLDER, find_duplicates
from mmsearch.dedup.options import DedupOptions, parse_tiers
from mmsearch.dedup.results import DedupReport
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress
from mmsearch.store import Store
from mmsearch.store.spaces import root_of

SUFFIXES = {".jpg", ".jpeg", ".png"}
PEER = Path(__file__).with_name("dedup_peer.py")


def main() -> None:
    options = read_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).absolute()
        files = write_files(options, work / "files")
        originals = [path.stem.split("_")[0] for path in files]
        print(f"{len(files)} files: {options.photos} photos x {len(COPIES)} copies, "
              f"{options.distinct} distinct photos beside them, seed {options.seed}")  # fmt: skip
        seconds, pairs = ours(files, work)
        print_recall([path.name for path in files], pairs)
        right = sum(originals[a] == originals[b] for a, b in pairs)
        show("mmsearch", originals, right, len(pairs), seconds)
        if options.imagededup:
            peers(options.imagededup, work / "files", originals)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--distinct", type=int, default=2000)
    parser.add_argument("--seed", default="7")
    parser.add_argument("--work", type=Path, help="where files and store stay", metavar="FOLDER")
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
    if folder.exists():
        return sorted(folder.iterdir())
    folder.mkdir(parents=True)
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


class Stages(NullProgress):
    """Wall-clock and CPU seconds of each stage; workers count where they have ended."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.totals: dict[str, int] = {}
        self._stage, self._started = "", time.monotonic()

    def start(self, stage: str, total: int | None, *, device: str = "") -> None:
        now = time.monotonic()
        self.seconds[self._stage] += now - self._started
        self._stage, self._started = stage, now
        self.totals[stage] = total or 0


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def ours(files: Sequence[Path], work: Path) -> tuple[tuple[float, float], set[tuple[int, int]]]:
    """Seconds from an indexed store to groups (wall, CPU), and the pairs that lie in one group."""
    store = work / "store"
    mmsearch.open(store).index(files[0].parent)
    shutil.rmtree(root_of(store) / FOLDER, ignore_errors=True)
    stages = Stages()
    start, used = time.monotonic(), cpu_seconds()
    options = DedupOptions(tiers=parse_tiers("bytes,pixels,edited"))
    report = find_duplicates(store, options, MediaBounds(), stages)
    seconds = time.monotonic() - start
    loky.get_reusable_executor().shutdown(wait=True)
    used = cpu_seconds() - used
    stages.start("plan", None)
    plan = make_plan(report.groups, Store.open(store))
    stages.start("", None)
    for stage, took in stages.seconds.items():
        print(f"  {stage or 'rest'}: {took:.1f} s, {stages.totals.get(stage, 0):,} jobs")
    confirming = sum(t for s, t in stages.seconds.items() if s.startswith(("comparing ", "choos"))
                     and s != "comparing pictures")  # fmt: skip
    place = {str(path): number for number, path in enumerate(files)}
    groups = [[place[item.uri] for item in group.items] for group in report.groups]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"mmsearch: finding {seconds - confirming:.1f} s, confirming {confirming:.1f} s")
    print(f"  a plan of {len(plan):,} steps in {stages.seconds['plan']:.1f} s; peak {peak:.2f} GiB")
    wrong = sum(step.remove.path.rsplit("/", 1)[1][:5] != step.keep.path.rsplit("/", 1)[1][:5]
                for step in plan)  # fmt: skip
    print(f"  steps that remove another photo than they keep: {wrong}")
    print_relations(report)
    return (seconds, used), {pair for group in groups for pair in combinations(sorted(group), 2)}


def print_relations(report: DedupReport) -> None:
    """How each kind of copy is called, and how often the original stays."""
    called: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    kept = [Path(group.kept.uri).stem.split("_", 1)[1] for group in report.groups]
    for group in report.groups:
        for member in group.others:
            called[Path(member.item.uri).stem.split("_", 1)[1]][member.relation] += 1
    for kind, relations in sorted(called.items()):
        print(f"  {kind:12} " + ", ".join(f"{n} {name}" for name, n in sorted(relations.items())))
    print(f"  the original stays in {kept.count('original')} of {len(kept)} groups")


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
