"""Reads the Open Clip Art Library as Debian packages it: drawings, titles and keywords in SVG.

Some titles only name a collection; there the file's name and the keywords say what is drawn.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmsearch.pretraining import CaptionedImage, concept_of, require_files

# A few drawings are posters of up to 230 megapixels.
MAX_PIXELS = 12_000_000
# Titles that more drawings share name a collection, not what is drawn.
COMMON_TITLE = 4
# Of 1,375 generated polygons of one kind, those that are used.
MOST_GRAMASTARS = 25
# Weight of icons and of drawings without a title of their own.
MINOR_WEIGHT = 0.35
ICON_FOLDERS = frozenset({"computer", "shapes", "buttons", "special"})
_METADATA = re.compile(r"<metadata.*?</metadata>", re.S)
_AGENTS = re.compile(r"<dc:(publisher|creator|rights)>.*?</dc:\1>", re.S)
_CREATOR = re.compile(r"<dc:creator>.*?<dc:title>(.*?)</dc:title>", re.S)
_COLLECTION = re.compile(
    r"(?i)clipart by|collection|theme|iconset|symbol_signs|submission|@|hash\("
)
# Words of file names and folders that say nothing about what is drawn.
_NOISE = frozenset(
    {"bw", "bwh", "alt", "icon", "icons", "unsorted", "special", "ganson", "architetto", "nicu"}
    | {"benji", "park", "svg", "gnome", "fs", "mime", "stock", "hash", "theme", "application"}
    | {"action", "mapsym", "kde", "aiga", "various"}
)


@dataclass(frozen=True, slots=True)
class _Metadata:
    """What an SVG file says about its drawing; creators: the words of their names."""

    title: str
    description: str
    keywords: list[str]
    creators: set[str]


def read_openclipart(name: str, data: Mapping[str, Path]) -> Iterator[CaptionedImage]:
    """Yields the drawings in the packages' share/openclipart: png/, with metadata in svg/."""
    root = data[name]
    require_files(root, "png", "svg")
    files = [f for f in sorted((root / "png").rglob("*.png")) if _png_pixels(f) < MAX_PIXELS]
    described = [_metadata(root, file) for file in files]
    titles = Counter(metadata.title for metadata in described)
    gramastars = 0
    for file, metadata in zip(files, described, strict=True):
        gramastars += metadata.title == "gramastar"
        if metadata.title != "gramastar" or gramastars <= MOST_GRAMASTARS:
            common = titles[metadata.title] > COMMON_TITLE
            yield _drawing(root, file, metadata, common=common)


def _png_pixels(file: Path) -> int:
    with file.open("rb") as stream:
        header = stream.read(24)
    return int.from_bytes(header[16:20], "big") * int.from_bytes(header[20:24], "big")


def _metadata(root: Path, png: Path) -> _Metadata:
    svg = root / "svg" / png.relative_to(root / "png").with_suffix(".svg")
    found = _METADATA.search(svg.read_text("utf-8", errors="replace")) if svg.exists() else None
    block = found.group(0) if found else ""
    # Creators and publishers have titles too.
    own = _AGENTS.sub("", block)

    def field(name: str) -> str:
        found = re.search(rf"<dc:{name}[^>]*>(.*?)</dc:{name}>", own, re.S)
        return " ".join(html.unescape(found.group(1)).split()) if found else ""

    items = [html.unescape(k).strip() for k in re.findall(r"<rdf:li>(.*?)</rdf:li>", own, re.S)]
    return _Metadata(
        title=field("title"),
        description=field("description"),
        keywords=[item.replace("_", " ").lower() for item in items],
        creators=set(_words(" ".join(_CREATOR.findall(block)))),
    )


def _drawing(root: Path, file: Path, metadata: _Metadata, *, common: bool) -> CaptionedImage:
    """common: whether the title is that of a collection."""
    relative = file.relative_to(root / "png")
    # File names end in the start of their creator's name: "moon_jasper_van_de_grond_01".
    name = " ".join(w for w in _words(relative.stem) if w not in metadata.creators)
    title = re.sub(r"\([^)]*\)|[_\d]+", " ", metadata.title)
    title = " ".join(re.sub(r"(?i)b ?and ?w|- RPG map elements|- body part", " ", title).split())
    folder = " ".join(_words(relative.parent.name))
    keywords = [k for k in metadata.keywords if k and "hash" not in k and k not in _NOISE]
    if common or _COLLECTION.search(metadata.title) or len(title) < 2:
        captions = [name or folder or "drawing"]
    else:
        captions = [title, name] if name else [title]
    if _is_sentence(metadata.description):
        captions.append(metadata.description[:120])
    is_icon = relative.parts[0] in ICON_FOLDERS
    return CaptionedImage(
        key=f"openclipart/{relative.as_posix()}",
        source="openclipart",
        concept=concept_of(captions[0]),
        captions=tuple(dict.fromkeys(captions)),
        keywords=tuple(dict.fromkeys([*keywords, *([folder] if folder else [])])),
        path=file,
        weight=MINOR_WEIGHT if is_icon or common else 1.0,
    )


def _is_sentence(text: str) -> bool:
    return len(text.split()) > 1 and not re.search(r"@|http|hash\(", text, re.I)


def _words(text: str) -> list[str]:
    return [w for w in re.findall(r"[^\W\d_]{2,}", text.lower()) if w not in _NOISE]
