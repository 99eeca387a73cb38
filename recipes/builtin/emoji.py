"""Reads emoji sets: the names and keywords of emojilib, joined to several designers' drawings.

An emoji drawn by several designers is one concept with several images. All readers need the source
'emojilib', npm's emojilib.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsearch.pretraining import CaptionedImage, concept_of, require_files

NAMES = "dist/emoji-en-US.json"
# The Noto images of 64 pixels are the same designs as those of @iconify-json/noto.
SMALL_WEIGHT = 0.3
_SKIN_TONES = re.compile(r"-1f3f[b-f]", re.I)


@dataclass(frozen=True, slots=True)
class _Names:
    name: str
    keywords: tuple[str, ...]


def read_png(name: str, data: Mapping[str, Path]) -> Iterator[CaptionedImage]:
    """Yields the 64-pixel images of npm's emoji-datasource-google."""
    folder, names = data[name], _read_names(data)
    require_files(folder, "emoji.json", "img/google/64")
    for row in json.loads((folder / "emoji.json").read_text("utf-8")):
        file = folder / "img/google/64" / row["image"]
        if file.exists():
            code = _code(row["unified"])
            title = row["name"] or code
            yield _emoji("emoji-png", code, title, names, path=file, weight=SMALL_WEIGHT)


def read_3d(name: str, data: Mapping[str, Path]) -> Iterator[CaptionedImage]:
    """Yields the images of npm's @lobehub/fluent-emoji-3d, skin tones left out."""
    folder, names = data[name], _read_names(data)
    require_files(folder, "assets")
    for file in sorted((folder / "assets").glob("*.webp")):
        code = _code(file.stem)
        if code in names and not _SKIN_TONES.search(code):
            yield _emoji("emoji-3d", code, "", names, path=file)


def read_iconify(name: str, data: Mapping[str, Path]) -> Iterator[CaptionedImage]:
    """Yields the SVG drawings of npm's @iconify-json packages.

    Some of these sets list no code points, so emoji are found by the letters of their names; skin
    tones, whose names have no entry of their own, are left out.
    """
    folder, names = data[name], _read_names(data)
    require_files(folder, "icons.json")
    sheet = json.loads((folder / "icons.json").read_text("utf-8"))
    codes = {_letters(entry.name): code for code, entry in names.items()}
    for title, icon in sorted(sheet["icons"].items()):
        code = codes.get(_letters(title))
        if code is not None:
            source = f"iconify-{sheet['prefix']}"
            yield _emoji(source, code, title, names, svg=_svg(icon, sheet))


def _read_names(data: Mapping[str, Path]) -> dict[str, _Names]:
    """Reads emojilib's names by code point."""
    require_files(data["emojilib"], NAMES)
    table = json.loads((data["emojilib"] / NAMES).read_text("utf-8"))
    names = {}
    for emoji, words in table.items():
        readable = [w.replace("_", " ") for w in words if re.search(r"[a-z]{2}", w, re.I)]
        if readable:
            code = _code("-".join(f"{ord(c):x}" for c in emoji))
            names[code] = _Names(readable[0], tuple(readable[1:]))
    return names


def _code(text: str) -> str:
    """Returns code points in lower-case hexadecimal, without variation selectors."""
    return re.sub(r"-fe0f|^u", "", text.lower())


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _emoji(
    source: str, code: str, title: str, names: Mapping[str, _Names], **where: Any
) -> CaptionedImage:
    """title: the designer's name for it. where: the fields that locate the image."""
    entry = names.get(code, _Names("", ()))
    title = re.sub(r"[-_:]+", " ", title).strip().lower()
    captions = tuple(dict.fromkeys(n for n in (entry.name, title) if n))
    return CaptionedImage(
        key=f"{source}/{code}",
        source=source,
        concept=concept_of(captions[0]),
        captions=captions,
        keywords=entry.keywords,
        **where,
    )


def _svg(icon: Mapping[str, Any], sheet: Mapping[str, Any]) -> str:
    """Writes an icon's body as an SVG document; sheet: holds the defaults of its view box."""
    box = [
        icon.get(side, sheet.get(side, default))
        for side, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{" ".join(map(str, box))}">{icon["body"]}</svg>'
    )
