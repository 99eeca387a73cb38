"""Reads emoji sets: emojilib's names and keywords, joined to several designers' drawings.

One emoji drawn by many is one concept with many renderings.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmsearch.pretraining.pictures.data import Picture, concept_of, require

Reader = Callable[[Path], Iterator[Picture]]
_SKIN_TONES = re.compile(r"-1f3f[b-f]", re.I)


def read_emoji_names(path: Path) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """emojilib's code point → (names, keywords); the code is lower hex without variation marks."""
    require(path, "dist/emoji-en-US.json")
    table = json.loads((path / "dist/emoji-en-US.json").read_text("utf-8"))
    named = {}
    for emoji, words in table.items():
        clean = [w.replace("_", " ") for w in words if re.search(r"[a-z]{2}", w, re.I)]
        if clean:
            named[_code("-".join(f"{ord(c):x}" for c in emoji))] = (clean[:1], clean[1:])
    return {code: (tuple(n), tuple(k)) for code, (n, k) in named.items()}


def _code(text: str) -> str:
    return re.sub(r"-fe0f|^u", "", text.lower())


def _emoji_picture(
    source: str, code: str, title: str, names: dict[str, Any], **where: Any
) -> Picture:
    lib_names, keywords = names.get(code, ((), ()))
    title = re.sub(r"[-_:]+", " ", title).strip().lower()
    captions = tuple(dict.fromkeys(n for n in (*lib_names, title) if n))
    return Picture(
        key=f"{source}/{code}",
        source=source,
        concept=concept_of(captions[0]),
        captions=captions,
        keywords=keywords,
        **where,
    )


def emoji_png_reader(names_path: Path) -> Reader:
    """npm emoji-datasource-google: emoji.json and 64-pixel pictures."""

    def read(path: Path) -> Iterator[Picture]:
        require(path, "emoji.json", "img/google/64")
        names = read_emoji_names(names_path)
        for row in json.loads((path / "emoji.json").read_text("utf-8")):
            file = path / "img/google/64" / row["image"]
            if file.exists():
                code = _code(row["unified"])
                yield _emoji_picture(
                    "emoji-png", code, row["name"] or code, names, path=file, weight=0.3
                )

    return read


def emoji_3d_reader(names_path: Path) -> Reader:
    """npm @lobehub/fluent-emoji-3d: one WebP for each code point; skin tones are left out."""

    def read(path: Path) -> Iterator[Picture]:
        require(path, "assets")
        names = read_emoji_names(names_path)
        for file in sorted((path / "assets").glob("*.webp")):
            code = _code(file.stem)
            if code in names and not _SKIN_TONES.search(code):
                yield _emoji_picture("emoji-3d", code, "", names, path=file)

    return read


def iconify_reader(names_path: Path) -> Reader:
    """npm @iconify-json/*: SVG bodies in icons.json, joined to emoji by their names.

    Some of these sets list no code points, so names are compared by their letters alone; skin
    tones, whose names have no entry of their own, fall out.
    """

    def read(path: Path) -> Iterator[Picture]:
        require(path, "icons.json")
        sheet = json.loads((path / "icons.json").read_text("utf-8"))
        names = read_emoji_names(names_path)
        codes = {_squeeze(named[0][0]): code for code, named in names.items()}
        for name, icon in sorted(sheet["icons"].items()):
            code = codes.get(_squeeze(name))
            if code is not None:
                source = f"iconify-{sheet['prefix']}"
                yield _emoji_picture(source, code, name, names, svg=_svg(icon, sheet))

    return read


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _svg(icon: dict[str, Any], sheet: dict[str, Any]) -> str:
    box = [
        icon.get(side, sheet.get(side, fallback))
        for side, fallback in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{" ".join(map(str, box))}">{icon["body"]}</svg>'
    )
