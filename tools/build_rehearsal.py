"""Builds the pictures that fine-tuning rehearses with, from Debian's openclipart packages.

    pip install resvg-py
    python tools/build_rehearsal.py /path/to/usr/share/openclipart

None of them is a drawing of the sample catalog, by which forgetting is measured, or looks like one.
"""

import argparse
import csv
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from build_sample import author, draw, read_origins

from mmsearch.dedup.edited import EDITED_AGREEMENT, find_edited
from mmsearch.dedup.prints import read_print
from mmsearch.media import MediaBounds
from mmsearch.training.data import Picture, concept_of
from mmsearch.training.openclipart import read_openclipart

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "mmsearch" / "sample" / "data"
OUT = ROOT / "mmsearch" / "finetuning" / "rehearsal"

COUNT, SIDE = 1250, 160
# Things; people, flags, symbols and what nobody sorted are left out.
FOLDERS = (
    "animals", "buildings", "computer", "containers", "education", "electronics", "food",
    "geography", "office", "plants", "recreation", "science", "tools", "transportation",
)  # fmt: skip
LEFT_OUT = ("religion", "weapons", "alcohol", "drugs", "icons", "symbol", "sign", "flag", "map")
CAPTION_CHARACTERS = range(3, 41)

LICENSE = """\
The pictures in this folder come from the Open Clip Art Library, as Debian packages it
(openclipart-svg, version 0.18+dfsg). Their authors have dedicated them to the public domain
(Creative Commons Public Domain Dedication); captions.csv names each file's origin and author.
"""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("openclipart", type=Path, help="the unpacked folder: png/ and svg/")
    root = arguments.parse_args().openclipart
    OUT.mkdir(exist_ok=True)
    for old in OUT.glob("*.webp"):
        old.unlink()
    rows: list[tuple[str, str, str, str]] = []
    for picture, svg in candidates(root):
        # Author first: it refuses what is not marked as public domain.
        try:
            name, drawn = author(svg), draw(svg, cut=(0, 0, 0, 0))
        except SystemExit:
            continue
        drawn.thumbnail((SIDE, SIDE))
        file = f"{len(rows):04}.webp"
        drawn.save(OUT / file, quality=60, method=6)
        rows.append((file, picture.captions[0], svg.relative_to(root).as_posix(), name))
        if len(rows) == COUNT:
            break
    rows = without_samples(rows)
    with (OUT / "captions.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("file", "caption", "origin", "author"), *rows])
    (OUT / "LICENSE.txt").write_text(LICENSE, encoding="utf-8")
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{len(rows)} pictures, {total / 1e6:.2f} MB, in {OUT}")
    return 0


def candidates(root: Path) -> Iterator[tuple[Picture, Path]]:
    """In an order drawn by chance, one of each concept."""
    sampled = {root / "svg" / origin.source for origin in read_origins().values()}
    with (SAMPLE / "products.csv").open(encoding="utf-8", newline="") as table:
        seen = {concept_of(row["title"]) for row in csv.DictReader(table)}
    pictures = list(read_openclipart(root))
    random.Random(0).shuffle(pictures)  # noqa: S311 - no secret
    for picture in pictures:
        if picture.path is None or not picture.captions:
            continue
        place = picture.path.relative_to(root / "png")
        svg = (root / "svg" / place).with_suffix(".svg")
        named = any(word in place.as_posix().casefold() for word in LEFT_OUT)
        if place.parts[0] not in FOLDERS or named or svg in sampled or not svg.exists():
            continue
        if picture.concept not in seen and len(picture.captions[0]) in CAPTION_CHARACTERS:
            seen.add(picture.concept)
            yield picture, svg


def without_samples(rows: Sequence[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Removes those that show a drawing of the sample catalog anew, with their files."""
    sampled = sorted((SAMPLE / "images").glob("*.webp"))
    files = [*sampled, *(OUT / row[0] for row in rows)]
    prints = [read_print(file, MediaBounds()).thumbnail for file in files]
    found = find_edited(np.stack(prints), threshold=EDITED_AGREEMENT).found.pairs.tolist()
    taken = {two - len(sampled) for one, two in found if one < len(sampled) <= two}
    for at in taken:
        (OUT / rows[at][0]).unlink()
    return [row for at, row in enumerate(rows) if at not in taken]


if __name__ == "__main__":
    sys.exit(main())
