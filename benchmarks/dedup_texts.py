"""Texts on the wrong picture: a share of a catalog's texts is exchanged between classes.

    python benchmarks/dedup_texts.py grocery/ --seed 7 [--model builtin]

The folder is the Grocery Store Dataset: each photo gets its class's name and product description.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from mmsearch.dedup.findings.misplaced_texts import find_misplaced
from mmsearch.encoders.registry import load_encoder
from mmsearch.media import decode

BATCH = 64


def main() -> None:
    options = read_arguments()
    encoder = load_encoder(options.model, device=options.device)
    rows = [
        [cell.strip() for cell in row]
        for name in ("train.txt", "val.txt")
        for row in csv.reader((options.folder / name).open())
    ]
    classes = list(csv.reader((options.folder / "classes.csv").open()))[1:]
    said = encoder.encode_texts([text_of(options.folder, row) for row in classes])
    labels = np.array([int(row[1]) for row in rows])
    paths = [options.folder / row[0] for row in rows]
    images = np.concatenate(
        [
            encoder.encode_images([decode(path).image for path in paths[start : start + BATCH]])
            for start in range(0, len(paths), BATCH)
        ]
    )
    for seed in options.seed:
        told = exchanged(labels, options.share, np.random.default_rng(seed))
        started = time.process_time()
        found = find_misplaced(images, said[told])
        seconds = time.process_time() - started
        wrong = told != labels
        reported, better = found.rows[: found.reported], found.better[: found.reported]
        hits = wrong[reported]
        right = told[better[hits]] == labels[reported[hits]]
        print(
            f"{options.model}, seed {seed}: {wrong.sum()} of {len(labels)} texts exchanged, "
            f"{len(reported)} found: precision {hits.sum() / max(len(reported), 1):.3f}, "
            f"recall {hits.sum() / max(wrong.sum(), 1):.3f}; the better text is the right one for "
            f"{right.sum() / max(len(right), 1):.3f} of those; {seconds:.1f} s of CPU"
            f"{'; silent: ' if found.silence else ''}{found.silence}"
        )


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, nargs="+", default=[7])
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def text_of(folder: Path, row: list[str]) -> str:
    description = (folder / row[5].lstrip("/")).read_text(encoding="utf-8").strip()
    return f"{row[0].replace('-', ' ')}. {description}"


def exchanged(
    labels: np.ndarray[tuple[int], np.dtype[np.int64]], share: float, chance: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Pairs of items of different classes, until the share is reached, change their labels."""
    told = labels.copy()
    rows = chance.permutation(len(labels)).tolist()
    wanted = int(share * len(labels)) // 2
    while wanted and len(rows) > 1:
        one = rows.pop()
        other = next((row for row in rows if labels[row] != labels[one]), None)
        if other is not None:
            rows.remove(other)
            told[[one, other]] = told[[other, one]]
            wanted -= 1
    return told


if __name__ == "__main__":
    main()
