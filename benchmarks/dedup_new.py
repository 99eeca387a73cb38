"""Dedup after 1% of a catalog is new, as a share of a run over all the rest, in CPU and wall time.

    python benchmarks/dedup_new.py --grocery grocery/ --texts 20000
    python benchmarks/dedup_new.py --photos FOLDER… --pictures 3000

A real store is made and indexed: the Grocery Store Dataset, each photo with its class's name and
description; photographs with texts as shops write them; rows of such texts alone. A run measures
`mmsearch dedup` without the start of the process; thresholds are calibrated before, and the time
that takes is told apart.
"""

import argparse
import csv
import gc
import json
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dedup_texts import text_of
from dedup_wording import product_texts

import mmsearch
from mmsearch.dedup.find import FOLDER, find_duplicates
from mmsearch.dedup.options import DedupOptions, parse_tiers
from mmsearch.dedup.results import TIERS, DedupReport, Finding, Group
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress

SUFFIXES = {".jpg", ".jpeg", ".png"}
PICTURE_TIERS = "bytes,pixels,edited"
KINDS = {"pictures alone": PICTURE_TIERS, "everything": None}


def main() -> None:
    options = read_arguments()
    rows = read_rows(options)
    random.Random(options.seed).shuffle(rows)  # noqa: S311
    old = len(rows) - max(int(options.share * len(rows)), 1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        index(folder, rows[:old])
        # Whatever the first call has to import is no part of the work.
        run(folder, "bytes")
        calibrated = calibrate(folder)
        print(f"{old:,} items, of {len(rows):,}; calibrating: {calibrated:.2f} s of CPU")
        full = {}
        for name, tiers in KINDS.items():
            forget(folder)
            full[name] = run(folder, tiers)[1:]
            shutil.copytree(memory(folder), folder / name)
        index(folder, rows)
        # Nor is what the first call after indexing has to open.
        run(folder, "bytes")
        for name, tiers in KINDS.items():
            shutil.rmtree(memory(folder))
            shutil.copytree(folder / name, memory(folder))
            found, *new = run(folder, tiers)
            forget(folder)
            show(name, full[name], new, differing(found, run(folder, tiers)[0]))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grocery", type=Path)
    parser.add_argument("--photos", nargs="+", type=Path, default=[])
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--texts", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--seed", default="7")
    return parser.parse_args()


def read_rows(options: argparse.Namespace) -> list[dict[str, str]]:
    rows = []
    if options.grocery:
        classes = list(csv.reader((options.grocery / "classes.csv").open()))[1:]
        for name in ("train.txt", "val.txt"):
            for path, label, _ in csv.reader((options.grocery / name).open()):
                text = text_of(options.grocery, classes[int(label)])
                rows.append({"image": str((options.grocery / path).absolute()), "text": text})
    photos = sorted(p for f in options.photos for p in f.rglob("*") if p.suffix in SUFFIXES)
    photos = random.Random(options.seed).sample(photos, min(options.pictures, len(photos)))  # noqa: S311
    texts = product_texts(len(photos) + options.texts, options.seed)
    rows += [
        {"image": str(path.absolute()), "text": text}
        for path, text in zip(photos, texts, strict=False)
    ]
    rows += [{"text": text} for text in texts[len(photos) :]]
    return [{"id": str(number), **row} for number, row in enumerate(rows)]


def index(folder: Path, rows: Sequence[dict[str, str]]) -> None:
    table = folder / "items.jsonl"
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    mmsearch.open(folder / "store").index(table)


def memory(folder: Path) -> Path:
    return folder / "store" / FOLDER


def forget(folder: Path) -> None:
    """All but the thresholds."""
    for path in memory(folder).iterdir():
        if path.name != "calibration.json":
            path.unlink()


def run(folder: Path, tiers: str | None) -> tuple[DedupReport, float, float]:
    """What is found, in how many CPU and wall seconds."""
    options = DedupOptions(tiers=TIERS if tiers is None else parse_tiers(tiers))
    # What indexing and earlier runs left costs the garbage collector time that no command has.
    gc.collect()
    gc.freeze()
    used, started = time.process_time(), time.monotonic()
    found = find_duplicates(folder / "store", options, MediaBounds(), NullProgress())
    spent = time.process_time() - used, time.monotonic() - started
    gc.unfreeze()
    return found, *spent


def calibrate(folder: Path) -> float:
    """CPU seconds of a first run that those of a second one, fingerprints anew, do not have."""
    forget(folder)
    first = run(folder, PICTURE_TIERS)[1]
    forget(folder)
    return first - run(folder, PICTURE_TIERS)[1]


def differing(one: DedupReport, other: DedupReport) -> tuple[int, int]:
    """Groups and findings that only one of the runs has; those of both, but told otherwise: by
    another chain of pairs, or with another agreement."""
    found, others = ({_content(each): repr(each) for each in told(run)} for run in (one, other))
    both = found.keys() & others.keys()
    return len(found.keys() ^ others.keys()), sum(found[each] != others[each] for each in both)


def told(report: DedupReport) -> list[Group | Finding]:
    return [*report.groups, *report.findings]


def _content(told: Group | Finding) -> tuple[object, ...]:
    if isinstance(told, Group):
        others = sorted(member.item.key for member in told.others)
        return told.family, told.tier, told.kept.key, *others
    return told.kind, *told.keys


def show(
    name: str, full: Sequence[float], new: Sequence[float], differences: tuple[int, int]
) -> None:
    print(
        f"{name}: all {full[0]:.2f} s of CPU ({full[1]:.2f} s), then new ones {new[0]:.2f} s "
        f"({new[1]:.2f} s): {new[0] / full[0]:.1%} ({new[1] / full[1]:.1%}); {differences[0]} "
        f"groups and findings differ from a fresh run, {differences[1]} in their evidence alone"
    )


if __name__ == "__main__":
    main()
