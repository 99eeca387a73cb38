"""Reads the Open Clip Art Library as Debian packs it: drawings, and titles and keywords in SVG.

Some titles only name a collection; there the file's name and the keywords say what is drawn.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmsearch.pretraining.pictures.data import Picture, concept_of, require

# A few drawings are posters of up to 230 megapixels.
MAX_PIXELS = 12_000_000
_METADATA = re.compile(r"<metadata.*?</metadata>", re.S)
_AGENTS = re.compile(r"<dc:(publisher|creator|rights)>.*?</dc:\1>", re.S)
_CREATOR = re.compile(r"<dc:creator>.*?<dc:title>(.*?)</dc:title>", re.S)
_COLLECTION = re.compile(
    r"(?i)clipart by|collection|theme|iconset|symbol_signs|submission|@|hash\("
)
# Words of the file names and folders that say nothing about what is drawn.
_NOISE = frozenset(
    {"bw", "bwh", "alt", "icon", "icons", "unsorted", "special", "ganson", "architetto", "nicu"}
    | {"benji", "park", "svg", "gnome", "fs", "mime", "stock", "hash", "theme", "application"}
    | {"action", "mapsym", "kde", "aiga", "various"}
)


def read_openclipart(path: Path) -> Iterator[Picture]:
    """The Debian packages' share/openclipart: png/ drawings, svg/ metadata beside them."""
    require(path, "png", "svg")
    files = [f for f in sorted((path / "png").rglob("*.png")) if _png_pixels(f) < MAX_PIXELS]
    sheets = [_svg_metadata(path, file) for file in files]
    titles = Counter(sheet["title"] for sheet in sheets)
    stars = 0
    for file, sheet in zip(files, sheets, strict=True):
        stars += sheet["title"] == "gramastar"
        # 1,375 generated polygons of one kind would drown the rest.
        if sheet["title"] == "gramastar" and stars > 25:
            continue
        yield _openclipart_picture(path, file, sheet, common=titles[sheet["title"]] > 4)


def _png_pixels(file: Path) -> int:
    with file.open("rb") as stream:
        header = stream.read(24)
    return int.from_bytes(header[16:20], "big") * int.from_bytes(header[20:24], "big")


def _svg_metadata(root: Path, png: Path) -> dict[str, Any]:
    svg = root / "svg" / png.relative_to(root / "png").with_suffix(".svg")
    found = _METADATA.search(svg.read_text("utf-8", errors="replace")) if svg.exists() else None
    block = found.group(0) if found else ""
    creators = _CREATOR.findall(block)
    own = _AGENTS.sub("", block)

    def field(name: str) -> str:
        hit = re.search(rf"<dc:{name}[^>]*>(.*?)</dc:{name}>", own, re.S)
        return " ".join(html.unescape(hit.group(1)).split()) if hit else ""

    items = [html.unescape(k).strip() for k in re.findall(r"<rdf:li>(.*?)</rdf:li>", own, re.S)]
    return {
        "title": field("title"),
        "description": field("description"),
        "keywords": [k.replace("_", " ").lower() for k in items],
        "creators": set(_words(" ".join(creators))),
    }


def _openclipart_picture(root: Path, file: Path, sheet: dict[str, Any], *, common: bool) -> Picture:
    relative = file.relative_to(root / "png")
    # File names end in the start of their creator's name: "moon_jasper_van_de_grond_01".
    own_words = [w for w in _words(relative.stem) if w not in sheet["creators"]]
    name = " ".join(own_words)
    title = re.sub(r"\([^)]*\)|[_\d]+", " ", sheet["title"])
    title = " ".join(re.sub(r"(?i)b ?and ?w|- RPG map elements|- body part", " ", title).split())
    folder = " ".join(_words(relative.parent.name))
    keywords = [k for k in sheet["keywords"] if k and "hash" not in k and k not in _NOISE]
    if common or _COLLECTION.search(sheet["title"]) or len(title) < 2:
        captions = [name or folder or "drawing"]
    else:
        captions = [title, name] if name else [title]
    if _is_sentence(sheet["description"]):
        captions.append(sheet["description"][:120])
    is_icon = relative.parts[0] in {"computer", "shapes", "buttons", "special"}
    return Picture(
        key=f"openclipart/{relative.as_posix()}",
        source="openclipart",
        concept=concept_of(captions[0]),
        captions=tuple(dict.fromkeys(captions)),
        keywords=tuple(dict.fromkeys([*keywords, *([folder] if folder else [])])),
        path=file,
        weight=0.35 if is_icon or common else 1.0,
    )


def _is_sentence(text: str) -> bool:
    return len(text.split()) > 1 and not re.search(r"@|http|hash\(", text, re.I)


def _words(text: str) -> list[str]:
    return [w for w in re.findall(r"[^\W\d_]{2,}", text.lower()) if w not in _NOISE]
