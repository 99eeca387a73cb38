"""The types that all packages share: records, failures, spaces, hits and reports."""

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.deprecation import warn_renamed
from mmsearch.errors import InputError, SpaceMismatch

Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]
Pixels: TypeAlias = NDArray[np.uint8]
Scalar: TypeAlias = str | int | float | bool | datetime | None
Modality: TypeAlias = Literal["image", "text"]
Target: TypeAlias = Literal["image", "text", "product"]
FusionKind: TypeAlias = Literal["late", "early", "attention"]
FusionChoice: TypeAlias = Literal["late", "early", "attention", "auto"]
Matched: TypeAlias = Literal["image", "text", "product", "keyword"]
TargetChoice: TypeAlias = Literal["auto", "image", "text", "product"]
Stage: TypeAlias = Literal["source", "fetch", "read", "decode", "encode"]
PartKind: TypeAlias = Literal["image", "passage"]

_ESCAPED_BYTE = re.compile(r"\\u(dc[89a-f][0-9a-f])")

# float16 has 11 significant bits: unit rows read back from the store have a smaller error.
UNIT_TOLERANCE = 2e-3


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file, not yet opened.

    uri: its path, as `printable_path` writes it, or where it came from, such as a URL.
    """

    uri: str
    path: Path


@dataclass(frozen=True, slots=True)
class Part:
    """One of the images of an item with several, or one of the passages of its text.

    number: from 1, within its kind, in which the item has `of`. uri: of the image; None for a
    passage. text: of the passage, and start, end: its characters in the text of the item; None for
    an image.

    >>> Part("image", 3, uri="/shop/shoe-3.jpg", of=5).locator
    'image=3'
    """

    kind: PartKind
    number: int
    uri: str | None = None
    text: str | None = None
    start: int | None = None
    end: int | None = None
    of: int = 1

    @property
    def locator(self) -> str:
        """What names it within its item, as in 'shop/shoe#image=3'."""
        return f"{self.kind}={self.number}"


@dataclass(frozen=True, slots=True)
class Record:
    """An item of a source, before anything is decoded.

    key: identity, '<source name>/<path relative to the root>' or '<source name>/<id column>'.
    uri: the path of the image or document, as `printable_path` writes it; '' for a bare table row.
    image: the image file, not yet opened. text: caption, document or joined text columns.
    more_images: the second image and further ones of an item with several. urls: images that have
    no file yet; they are fetched, and then follow the others. parts: of an item of a store, its
    images and passages where it has several of a kind.

    >>> catalog["products/red-apple"].metadata["category"]
    'food'
    """

    key: str
    uri: str
    image: Path | None = None
    text: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    more_images: tuple[ImageFile, ...] = ()
    urls: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def images(self) -> tuple[ImageFile, ...]:
        """All images of the item."""
        if self.image is None:
            return ()
        return (ImageFile(self.uri, self.image), *self.more_images)


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that was skipped, at which stage and why.

    seen: when it last failed; None in the report of the run that it failed in.

    >>> failure = Failure("shop/torn.png", "/data/torn.png", "decode", "damaged or cut short")
    >>> failure.source, failure.stage
    ('shop', 'decode')
    """

    key: str
    uri: str
    stage: Stage
    reason: str
    seen: datetime | None = None

    @property
    def source(self) -> str:
        """The name of its source."""
        return self.key.split("/", 1)[0]

    def __getitem__(self, name: str) -> object:
        """Deprecated: `failure["reason"]` is `failure.reason`."""
        warn_renamed(f"failure[{name!r}]", f"failure.{name}")
        return getattr(self, name)


@dataclass(frozen=True, slots=True)
class SpaceId:
    """Identifies an embedding space; vectors of different spaces are never compared."""

    model: str
    weights_hash: str
    dim: int
    preprocessing_hash: str

    def require(self, other: "SpaceId", *, holder: str) -> None:
        """Raises SpaceMismatch unless `other` is the same space. holder: what has this one."""
        if (self.weights_hash, self.dim, self.preprocessing_hash) != (
            other.weights_hash,
            other.dim,
            other.preprocessing_hash,
        ):
            raise SpaceMismatch(
                f"{holder} holds {self.dim}-dim vectors of '{self.model}' "
                f"({self.weights_hash[:8]}), the encoder gives {other.dim} of '{other.model}' "
                f"({other.weights_hash[:8]}); use `model='{self.model}'`, or index into "
                "another `path`"
            )


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result. rank starts at 1; similarity: higher is better.

    matched: the modality whose vector was compared, or 'keyword' if keywords ranked it better. For
    hits by keyword alone, similarity is the BM25 score. record: the row's columns with metadata.
    score: with keywords, what orders the hits: the fused score, or BM25; else None. part: of an
    item with several images or passages, the one that matched best; else None. excerpt: the passage
    of a long text that matched best; else None.

    >>> hit = catalog.search("red apple", k=1)[0]
    >>> hit.rank, hit.matched, hit.record["title"]
    (1, 'product', 'Red apple')
    """

    rank: int
    key: str
    uri: str
    similarity: float
    matched: Matched
    record: Mapping[str, Scalar]
    score: float | None = None
    part: Part | None = None
    excerpt: str | None = None

    @property
    def path(self) -> str:
        """The path of the image that matched best, or of the item's file; '' without one.

        Written as `uri`.
        """
        return (self.part.uri if self.part else None) or self.uri


def hit_columns(hits: Iterable[Hit]) -> dict[str, list[Scalar]]:
    """Returns the fields of hits as columns of a table; a part by its locator.

    The score, the part and the excerpt only where a hit has one.
    """
    hits = list(hits)
    names = ("rank", "key", "uri", "similarity", "matched")
    columns: dict[str, list[Scalar]] = {
        name: [getattr(hit, name) for hit in hits] for name in names
    }
    optional: dict[str, list[Scalar]] = {
        "score": [hit.score for hit in hits],
        "part": [hit.part.locator if hit.part else None for hit in hits],
        "excerpt": [hit.excerpt for hit in hits],
    }
    return columns | {
        name: values
        for name, values in optional.items()
        if any(value is not None for value in values)
    }


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The result of an index run. Counts are items; seconds is wall time.

    truncated_texts: texts of which only the first passages were encoded. image_parts, passages: of
    the items that were written: images of items with several, and passages of long texts. decoded:
    images that were decoded. multi_frame: those of them with further pages or frames, which are not
    indexed. rates: items per second, 'total' and 'encode'. resumed: items that an
    interrupted run had already written. skipped: by source, files of formats that are not read, as
    {"photos": {".pdf": 2}}.

    >>> catalog.index(dry_run=True).unchanged
    372
    """

    added: int
    updated: int
    moved: int
    restored: int
    unchanged: int
    missing: int
    pruned: int
    resumed: int
    truncated_texts: int
    failures: tuple[Failure, ...]
    seconds: float
    rates: Mapping[str, float]
    decoded: int = 0
    multi_frame: int = 0
    image_parts: int = 0
    passages: int = 0
    skipped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def require_unit_rows(vectors: Floats) -> None:
    """Raises InputError unless all rows are finite and of length 1."""
    # For a single query this is cheaper than the general check.
    if len(vectors) == 1 and abs(math.sqrt(np.vdot(vectors, vectors)) - 1) <= UNIT_TOLERANCE:
        return
    # Takes a fifth of the time of np.linalg.norm for many rows.
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    bad = np.flatnonzero(~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE))
    if bad.size:
        raise InputError(
            f"row {bad[0]} of {len(vectors)} vectors has length {lengths[bad[0]]:.4g}, not 1"
            " (NaN, zero or unnormalised); normalise vectors before they are stored"
        )


def printable_path(path: Path | str) -> str:
    r"""Returns a path as valid UTF-8: other bytes become '\udcXX', which `real_path` reverses."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


def real_path(printable: str) -> Path:
    r"""Returns the path that `printable_path` wrote, with the original bytes for '\udcXX'."""
    return Path(_ESCAPED_BYTE.sub(lambda match: chr(int(match[1], 16)), printable))
