"""Builds the drawings that fine-tuning rehearses with, from Debian's openclipart packages.

    pip install resvg-py
    python tools/build_rehearsal.py /path/to/usr/share/openclipart

None of them is a drawing of the sample catalog, by which forgetting is measured, or looks like one,
and no two look alike: icons lie there under several names.
"""

import argparse
import csv
import io
import random
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from build_sample import author, draw, read_origins

from mmsearch.dedup.thumbnails.edited_copies import EDITED_AGREEMENT, find_edited
from mmsearch.dedup.thumbnails.fingerprints import read_print
from mmsearch.media import MediaBounds
from mmsearch.pretraining import CaptionedImage, concept_of
from mmsearch.pretraining.readers import load_function
from mmsearch.pretraining.recipe import read_recipe

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "mmsearch" / "sample" / "data"
OUT = ROOT / "mmsearch" / "finetuning" / "rehearsal"

SIDE, QUALITY = 144, 50
# Of one concept, so that no kind of thing drowns the others.
MOST_ALIKE = 4
CAPTION_CHARACTERS = range(3, 41)
LEFT_OUT = ("religion", "weapons", "alcohol", "drugs")

LICENSE = """\
The pictures in drawings.zip come from the Open Clip Art Library, as Debian packages it
(openclipart-svg, version 0.18+dfsg). Their authors have dedicated them to the public domain
(Creative Commons Public Domain Dedication); captions.csv names each file's origin and author.
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawing to rehearse. origin: its SVG file in the package. image: WebP."""

    caption: str
    origin: str
    author: str
    image: bytes


def main() -> int:
    """Draws the candidates and writes drawings.zip, captions.csv and LICENSE.txt."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("openclipart", type=Path, help="the unpacked folder: png/ and svg/")
    root = arguments.parse_args().openclipart
    OUT.mkdir(exist_ok=True)
    with ProcessPoolExecutor() as processes:
        found = list(processes.map(partial(drawn, root), candidates(root), chunksize=16))
    kept = without_copies([each for each in found if each is not None])
    rows = [(f"{at:04}.webp", each) for at, each in enumerate(kept)]
    with zipfile.ZipFile(OUT / "drawings.zip", "w") as archive:
        for name, each in rows:
            # A date of its own would make each build another file.
            archive.writestr(zipfile.ZipInfo(name), each.image)
    with (OUT / "captions.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("file", "caption", "origin", "author"))
        writer.writerows((name, each.caption, each.origin, each.author) for name, each in rows)
    (OUT / "LICENSE.txt").write_text(LICENSE, encoding="utf-8")
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{len(rows)} drawings, {total / 1e6:.2f} MB, in {OUT}")
    return 0


def drawn(root: Path, candidate: tuple[CaptionedImage, Path]) -> Drawn | None:
    """Draws a candidate; None if it cannot be drawn or is not marked as public domain."""
    captioned, svg = candidate
    try:
        name, image = author(svg), draw(svg, cut=(0, 0, 0, 0))
    except SystemExit:
        return None
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "webp", quality=QUALITY, method=6)
    return Drawn(captioned.captions[0], svg.relative_to(root).as_posix(), name, file.getvalue())


def candidates(root: Path) -> Iterator[tuple[CaptionedImage, Path]]:
    """Yields drawings in random order, none of a concept that the sample catalog names."""
    sampled = {root / "svg" / origin.source for origin in read_origins().values()}
    with (SAMPLE / "products.csv").open(encoding="utf-8", newline="") as table:
        named = {concept_of(row["title"]) for row in csv.DictReader(table)}
    recipe = read_recipe(ROOT / "recipes" / "builtin")
    reader = load_function(recipe, recipe.readers["openclipart"])
    images: list[CaptionedImage] = list(reader("openclipart", {"openclipart": root}))
    random.Random(0).shuffle(images)  # noqa: S311 - no secret
    taken: Counter[str] = Counter()
    for image in images:
        if image.path is None or not image.captions or image.concept in named:
            continue
        svg = (root / "svg" / image.path.relative_to(root / "png")).with_suffix(".svg")
        unwanted = any(word in svg.as_posix().casefold() for word in LEFT_OUT)
        fits = len(image.captions[0]) in CAPTION_CHARACTERS and not unwanted
        if fits and svg.exists() and svg not in sampled and taken[image.concept] < MOST_ALIKE:
            taken[image.concept] += 1
            yield image, svg


def without_copies(found: Sequence[Drawn]) -> list[Drawn]:
    """Leaves out near-duplicates of the sample catalog's drawings and of earlier ones."""
    sampled = sorted((SAMPLE / "images").glob("*.webp"))
    images: list[Path | bytes] = [*sampled, *(each.image for each in found)]
    prints = [read_print(image, MediaBounds()).thumbnail for image in images]
    pairs = find_edited(np.stack(prints), threshold=EDITED_AGREEMENT).found.pairs.tolist()
    copies = {max(pair) for pair in pairs}
    return [each for at, each in enumerate(found, len(sampled)) if at not in copies]


if __name__ == "__main__":
    sys.exit(main())
