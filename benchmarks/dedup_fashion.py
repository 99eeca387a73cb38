"""Texts on the wrong picture in a catalog of garments whose texts are near-alike.

    python benchmarks/dedup_fashion.py clothing/ --seed 7 8 --texts titles descriptions

The folder is the Clothing Dataset (images.csv with image and label, images/). Each photo gets a
text; a share of them is exchanged. Only exchanges between types of garment count as wrong: whether
another colour or brand of T-shirt is meant, the picture hardly says. The others are told apart. A
real store is made and indexed, and `mmsearch dedup` run on it.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path

import fashion_texts
import numpy as np
from PIL import Image

import mmsearch
from mmsearch.dedup.find import find_duplicates
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.results import DedupReport
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress

KIND = "text on the wrong picture"


def main() -> None:
    options = read_arguments()
    with (options.folder / "images.csv").open() as file:
        entries = list(csv.DictReader(file))
    seen = {entry["image"]: seen_colour(options.folder / entry["image"]) for entry in entries}
    for texts in options.texts:
        for size in options.size:
            for share in options.share:
                for seed in options.seed:
                    measure(options, entries, seen, texts=texts, size=size, share=share, seed=seed)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, nargs="+", default=[7])
    parser.add_argument("--size", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--share", type=float, nargs="+", default=[0, 0.01, 0.05])
    parser.add_argument("--texts", nargs="+", default=["titles"])
    return parser.parse_args()


def seen_colour(path: Path) -> str:
    with Image.open(path) as image:
        return fashion_texts.colour_of(image)


def measure(
    options: argparse.Namespace,
    entries: list[dict[str, str]],
    seen: dict[str, str],
    *,
    texts: str,
    size: int,
    share: float,
    seed: int,
) -> None:
    chance = np.random.default_rng(seed)
    chosen = [entries[row] for row in np.sort(chance.permutation(len(entries))[:size])]
    types = [entry["label"] for entry in chosen]
    said = getattr(fashion_texts, texts)(types, [seen[entry["image"]] for entry in chosen], seed)
    told = np.arange(len(chosen))
    moved = chance.permutation(len(chosen))[: 2 * round(share * len(chosen) / 2)]
    told[moved] = np.roll(moved, len(moved) // 2)
    exchanged = {str(row) for row in np.flatnonzero(told != np.arange(len(told)))}
    wrong = {row for row in exchanged if types[told[int(row)]] != types[int(row)]}
    rows = [
        {
            "id": str(row),
            "image": str((options.folder / entry["image"]).absolute()),
            "text": said[told[row]],
        }
        for row, entry in enumerate(chosen)
    ]
    report = deduplicated(rows)
    found = [f.keys[0].rsplit("/", 1)[-1] for f in report.findings if f.kind == KIND]
    right, within = len(wrong & set(found)), len((exchanged - wrong) & set(found))
    print(
        f"{texts}, {size} items, {share:.0%} exchanged, seed {seed}: {len(wrong)} wrong, "
        f"{len(found)} found, {right} right (and {within} exchanged within a type): precision "
        f"{right / max(len(found), 1):.3f}, recall {right / max(len(wrong), 1):.3f}. "
        f"{report.silence_line}",
        flush=True,
    )


def deduplicated(rows: list[dict[str, str]]) -> DedupReport:
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / "items.jsonl"
        table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        mmsearch.open(Path(place) / "store").index(table)
        tiers = DedupOptions(tiers=("bytes", "similar"))
        return find_duplicates(Path(place) / "store", tiers, MediaBounds(), NullProgress())


if __name__ == "__main__":
    main()
