"""The types that every layer shares: records come in, embeddings flow through, hits come out."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
Stage: TypeAlias = Literal["source", "read", "decode", "encode"]

_ESCAPED_BYTE = re.compile(r"\\u(dc[89a-f][0-9a-f])")

# float16 keeps 11 significant bits, so a unit row read back from the store is off by less.
UNIT_TOLERANCE = 2e-3


@dataclass(frozen=True, slots=True)
class Record:
    """One item of a catalog, before anything is decoded.

    key: identity, '<source name>/<path relative to the root>' or '<source name>/<id column>'.
    uri: where the image or document lies, as `printable_path` writes it; '' for a bare table row.
    image: the image's file, not yet opened. text: caption, document or joined text columns.
    """

    key: str
    uri: str
    image: Path | None = None
    text: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that was skipped: at which stage and why."""

    key: str
    uri: str
    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class SpaceId:
    """Names an embedding space; vectors of two spaces never meet."""

    model: str
    weights_hash: str
    dim: int
    preprocessing_hash: str

    def require(self, other: "SpaceId", *, holder: str) -> None:
        """Raises SpaceMismatch unless `other` is this very space."""
        if (self.weights_hash, self.dim, self.preprocessing_hash) != (
            other.weights_hash,
            other.dim,
            other.preprocessing_hash,
        ):
            raise SpaceMismatch(
                f"{holder} holds {self.dim}-dim vectors of '{self.model}' "
                f"({self.weights_hash[:8]}), the encoder gives {other.dim} of '{other.model}' "
                f"({other.weights_hash[:8]}); search with --model {self.model}, or index into "
                f"another folder with --store"
            )


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer. rank starts at 1; similarity: higher is better, always.

    matched: the modality whose vector was compared, or 'keyword' if words found it better; found
    by keywords alone, its similarity is the BM25 score. record: the row's columns with metadata.
    """

    rank: int
    key: str
    uri: str
    similarity: float
    matched: Matched
    record: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run of `index` did. Counts are items; seconds is wall time.

    decoded: images that had to be decoded. multi_frame: those of them whose file holds further
    pages or frames, which are not indexed. rates: items per second, 'total' and 'encode'.
    resumed: items that an interrupted run had already written.
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


def require_unit_rows(vectors: Floats) -> None:
    """Raises InputError on the first row that is not finite or not of length 1."""
    # One query's length costs less so than the whole check does.
    if len(vectors) == 1 and abs(math.sqrt(np.vdot(vectors, vectors)) - 1) <= UNIT_TOLERANCE:
        return
    # A fifth of the time that np.linalg.norm takes over many rows.
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    bad = np.flatnonzero(~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE))
    if bad.size:
        raise InputError(
            f"row {bad[0]} of {len(vectors)} vectors has length {lengths[bad[0]]:.4g}, not 1"
            " (NaN, zero or unnormalised); normalise vectors before they are stored"
        )


def printable_path(path: Path | str) -> str:
    """The path as valid UTF-8: bytes that are not become '\\udcXX', and `real_path` reverses it."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


def real_path(printable: str) -> Path:
    """The path that `printable_path` wrote; its '\\udcXX' escapes become the original bytes."""
    return Path(_ESCAPED_BYTE.sub(lambda match: chr(int(match[1], 16)), printable))
