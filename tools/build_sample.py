"""Builds the sample catalog's images and its LICENSE.txt from Debian's openclipart packages.

    pip install resvg-py
    python tools/build_sample.py /path/to/usr/share/openclipart

`mmsearch/sample/data/products.csv` is written by hand; `tools/sample_origins.csv` says which
drawing each of its rows shows, and which margins to cut off where the drawing has a stray mark.
This draws them and collects their authors.
"""

import argparse
import csv
import io
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "mmsearch" / "sample" / "data"
ORIGINS = ROOT / "tools" / "sample_origins.csv"

LONG_SIDE = 320
# Inkscape drew these files at 90 dots per inch; the packages are from that time.
SVG_DPI = 90
# Pixels fainter than this are rendering dust at the page's edge, not part of the drawing.
FAINT_ALPHA = 8

# Some authors signed with their address; the name alone is credit enough.
MAIL_ADDRESS = re.compile(r"\s*[(\[]?\S+@[^\s)\]]+[)\]]?")

LICENSE_HEAD = """\
The pictures of the sample catalog
==================================

All pictures in images/ come from the Open Clip Art Library, as Debian packages it
(openclipart-png and openclipart-svg, version 0.18+dfsg). Their authors have dedicated
them to the public domain (Creative Commons Public Domain Dedication). They were drawn
anew from the SVG files at a small size, cropped to their content, and converted to WebP.

The titles, descriptions, tags and prices in products.csv were written for mmsearch and
are under its licence (Apache-2.0). The prices are invented: animals, buildings, things of
nature and vehicles other than bicycles are priced as figures, prints and models.

Picture, origin in the package, author as its metadata states
--------------------------------------------------------------
"""


def main() -> int:
    """Draws every image of the sample catalog and writes its LICENSE.txt."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("openclipart", type=Path, help="the unpacked folder that holds svg/")
    svg_folder = arguments.parse_args().openclipart / "svg"

    origins = read_origins()
    check_ids(origins)
    images = DATA / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name in images.glob("*.webp"):
        name.unlink()
    lines = []
    for item, origin in origins.items():
        svg = svg_folder / origin.source
        draw(svg, cut=origin.cut).save(images / f"{item}.webp", quality=84, method=6)
        lines.append(f"images/{item}.webp\n    svg/{origin.source}\n    {author(svg)}\n")
    (DATA / "LICENSE.txt").write_text(LICENSE_HEAD + "".join(lines), encoding="utf-8")
    total = sum(path.stat().st_size for path in images.iterdir())
    print(f"{len(lines)} images, {total / 1e6:.2f} MB, in {images}")
    return 0


@dataclass(frozen=True, slots=True)
class Origin:
    """A drawing: its path under svg/ and the margins to cut off, in percent of its size."""

    source: str
    cut: tuple[int, ...]  # left, top, right, bottom


def read_origins() -> dict[str, Origin]:
    """Returns the drawing that shows each product, by the product's id."""
    with ORIGINS.open(encoding="utf-8", newline="") as table:
        return {
            row["id"]: Origin(row["source"], tuple(map(int, (row["crop"] or "0 0 0 0").split())))
            for row in csv.DictReader(table)
        }


def check_ids(origins: dict[str, Origin]) -> None:
    """Exits if the product table and the table of origins differ in their ids."""
    with (DATA / "products.csv").open(encoding="utf-8", newline="") as table:
        products = {row["id"] for row in csv.DictReader(table)}
    if odd := products ^ origins.keys():
        raise SystemExit(f"in only one of products.csv and sample_origins.csv: {sorted(odd)}")


def draw(svg: Path, *, cut: tuple[int, ...]) -> Image.Image:
    """Returns a drawing on white, cropped to its content, LONG_SIDE pixels on its long side."""
    # Twice the final size, so that scaling down smooths the edges.
    page_width = 900
    image = render(svg, page_width)
    longest = max(image.size)
    if longest < 2 * LONG_SIDE:
        image = render(svg, min(6000, page_width * 2 * LONG_SIDE // longest + 1))
    width, height = image.size
    left, top, right, bottom = cut
    image = image.crop(
        (
            width * left // 100,
            height * top // 100,
            width * (100 - right) // 100,
            height * (100 - bottom) // 100,
        )
    )
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def render(svg: Path, page_width: int) -> Image.Image:
    """Returns a drawing in mode RGBA, its page `page_width` pixels wide, cropped to its content."""
    import resvg_py

    png = resvg_py.svg_to_bytes(
        svg_string=svg.read_text(encoding="utf-8"), width=page_width, dpi=SVG_DPI
    )
    page = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    content = page.getchannel("A").point(lambda alpha: 255 if alpha > FAINT_ALPHA else 0).getbbox()
    if content is None:
        raise SystemExit(f"{svg} draws nothing")
    return page.crop(content)


def author(svg: Path) -> str:
    """Returns the creator that a drawing's metadata names; exits if it is not public domain."""
    tree = ElementTree.parse(svg)  # noqa: S314 - files of a signed Debian package
    licences = [
        value
        for element in tree.iter()
        if element.tag.endswith("}license")
        for name, value in element.attrib.items()
        if name.endswith("}resource")
    ]
    if not licences or any("publicdomain" not in value.lower() for value in licences):
        raise SystemExit(f"{svg} is not marked as public domain: {licences}")
    names = [
        MAIL_ADDRESS.sub("", " ".join((title.text or "").split()))
        for element in tree.iter()
        if element.tag.endswith("}creator")
        for title in element.iter()
        if title.tag.endswith("}title")
    ]
    return textwrap.shorten(next(filter(None, names), "not named"), 80)


if __name__ == "__main__":
    sys.exit(main())
