"""Caption files beside images: 'photo.jpg.txt', 'photo.txt' and the same with '.json'."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.media import SNIFF_BYTES, MediaBounds, read_text, sniff
from mmsearch.records import Scalar
from mmsearch.sources.fields import (
    MAX_METADATA_TEXT,
    clean_text,
    json_scalar,
    safe_column_name,
)
from mmsearch.sources.walk import FoundFile, Unreadable

CAPTION_SUFFIXES = (".txt", ".json")
IMAGE_SUFFIXES = frozenset(
    {
        ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jpe",
        ".jpeg", ".jpg", ".jxl", ".png", ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
# The text fields of a JSON caption, in the order in which they are joined.
TEXT_FIELDS = ("title", "caption", "description", "text")


@dataclass(slots=True)
class Caption:
    """The caption of an image. problems: caption files that cannot be read."""

    texts: list[str] = field(default_factory=list)
    metadata: dict[str, Scalar] = field(default_factory=dict)
    problems: list[Unreadable] = field(default_factory=list)


def suffix(name: str) -> str:
    """Returns the extension of a file name in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  names with surrogates, and speed


def read_head(path: str) -> bytes:
    """Reads the bytes that `sniff` needs. Raises OSError."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  100,000 times per folder
        return file.read(SNIFF_BYTES)


def is_caption(file: FoundFile) -> bool:
    """Whether the file is the caption of an image beside it, even of a damaged one."""
    kind = suffix(file.name)
    if kind not in CAPTION_SUFFIXES:
        return False
    base = file.name[: -len(kind)]
    others = file.folder.by_stem.get(base, [])
    candidates = [name for name in others if suffix(name) not in (*CAPTION_SUFFIXES, ".md")]
    if base in file.folder.names:
        candidates.append(base)
    return any(_is_image(file.folder.path, name) for name in candidates)


def read_caption(image: FoundFile, *, taken: set[str], bounds: MediaBounds) -> Caption:
    """Reads all captions of an image, texts before JSON. taken: metadata names already in use."""
    caption = Caption()
    for name in _caption_names(image):
        path = Path(image.folder.path, name)
        try:
            text = read_text(path, bounds=bounds)
            if suffix(name) == ".json":
                add_json(json.loads(text), caption, taken)
            else:
                caption.texts.append(text)
        except (ValueError, RecursionError) as error:
            if not _is_empty(path):
                relative = image.folder.relative + name
                caption.problems.append(Unreadable(relative, str(path), _reason(error)))
    return caption


def _caption_names(image: FoundFile) -> Iterator[str]:
    names = image.folder.names
    stem = os.path.splitext(image.name)[0]  # noqa: PTH122
    for kind in CAPTION_SUFFIXES:
        for base in dict.fromkeys((image.name, stem)):
            for name in (base + kind, base + kind.upper()):
                if name in names and name != image.name:
                    yield name


def _is_image(folder: str, name: str) -> bool:
    if suffix(name) in IMAGE_SUFFIXES:
        return True
    try:
        return sniff(read_head(os.path.join(folder, name))) is not None  # noqa: PTH118
    except OSError:
        return False


def add_json(content: object, caption: Caption, taken: set[str]) -> None:
    """Adds a JSON caption. Raises ValueError if it is neither a string nor an object."""
    if isinstance(content, str):
        caption.texts.append(content)
        return
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__}")
    fields = {str(name): value for name, value in content.items()}
    by_name = {name.lower(): value for name, value in fields.items()}
    caption.texts += [by_name[name] for name in TEXT_FIELDS if isinstance(by_name.get(name), str)]
    for name, value in fields.items():
        scalar = json_scalar(value)
        if scalar is None or name.lower() == "text":
            continue
        if isinstance(scalar, str) and len(scalar) > MAX_METADATA_TEXT:
            continue
        safe = safe_column_name(clean_text(name), taken)
        taken.add(safe)
        caption.metadata[safe] = scalar


def _is_empty(path: Path) -> bool:
    """Whether a caption file is empty, which is not an error."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"is not valid JSON at line {error.lineno}: {error.msg.lower()}"
    if isinstance(error, RecursionError):
        return "is JSON nested too deeply"
    return f"must hold a JSON string or object, got {error}"
