"""A fusion on disk: arrays in fusion.safetensors, described by fusion.json.

fusion.json identifies the encoder that the fusion was trained with: with vectors of another one its
product vectors would be meaningless, so loading it is an error.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from mmsearch.digests import sha256_of_file
from mmsearch.errors import InputError, SpaceMismatch
from mmsearch.files import replaced_file
from mmsearch.fusion.attention import AttentionFusion
from mmsearch.fusion.base import Fusion
from mmsearch.fusion.early import EarlyFusion
from mmsearch.fusion.late import LateFusion
from mmsearch.records import Floats, FusionKind, Modality, SpaceId
from mmsearch.typed_json import parse_json

CARD_NAME = "fusion.json"
WEIGHTS_NAME = "fusion.safetensors"
FORMAT = 1
_MODALITIES: tuple[Modality, ...] = ("image", "text")


@dataclass(frozen=True, slots=True)
class _Card:
    """The content of fusion.json; sha256: of the weights' file."""

    kind: FusionKind
    dim: int
    weights_hash: str
    preprocessing_hash: str
    sha256: str
    about: dict[str, Any]
    format: int = FORMAT


def save_fusion(
    fusion: Fusion, folder: Path, space: SpaceId, *, about: Mapping[str, Any] | None = None
) -> None:
    """Writes both files into a model's folder.

    space: of the encoder that it was trained with. about: JSON values on the training to store.
    """
    write_arrays(fusion, folder / WEIGHTS_NAME)
    card = _Card(
        fusion.kind,
        space.dim,
        space.weights_hash,
        space.preprocessing_hash,
        sha256=sha256_of_file(folder / WEIGHTS_NAME),
        about=dict(about or {}),
    )
    (folder / CARD_NAME).write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")


def load_fusion(folder: Path, space: SpaceId) -> Fusion | None:
    """Loads a model's fusion, None if it has none. space: of the model's encoder.

    Raises SpaceMismatch where it was trained with another encoder, InputError where it is damaged.
    """
    path = folder / CARD_NAME
    if not path.is_file():
        return None
    try:
        card = parse_json(_Card, path.read_bytes())
        if card.format != FORMAT:
            raise InputError(
                f"{path} has format {card.format}, this mmsearch reads format {FORMAT}; "
                "install the version that wrote it, or index with `fusion='late'`"
            )
        _require(card, space, folder)
        weights = folder / WEIGHTS_NAME
        if sha256_of_file(weights) != card.sha256:
            raise InputError(
                f"{weights} is not the file that {CARD_NAME} describes; copy both from one model, "
                "or index with `fusion='late'`"
            )
        return read_arrays(card.kind, weights, dim=space.dim)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the fusion in {folder} is damaged ({error}); train it again, or index with "
            "`fusion='late'`"
        ) from error


def write_arrays(fusion: Fusion, path: Path) -> None:
    """Writes means and weights, float32, atomically."""
    from safetensors.numpy import save

    means = {f"means.{name}": fusion.means[name] for name in _MODALITIES}
    with replaced_file(path) as stream:
        stream.write(save({**means, **fusion.weights}))


def read_arrays(kind: FusionKind, path: Path, *, dim: int) -> Fusion:
    """Reads what `write_arrays` wrote. Raises OSError, ValueError where the arrays do not fit."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from error
    means = {name: arrays.pop(f"means.{name}") for name in _MODALITIES}
    return fusion_of(kind, means, arrays, dim=dim)


def fusion_of(
    kind: FusionKind, means: Mapping[Modality, Floats], weights: Mapping[str, Floats], *, dim: int
) -> Fusion:
    """Creates a fusion from arrays. Raises ValueError where kind, names or shapes do not fit."""
    if any(mean.shape != (dim,) for mean in means.values()):
        raise ValueError(f"the means must be of {dim} numbers")
    if not all(np.isfinite(values).all() for values in (*means.values(), *weights.values())):
        raise ValueError("it holds numbers that are not finite")
    expected = _shapes(kind, weights, dim)
    shapes = {name: values.shape for name, values in weights.items()}
    if shapes != expected:
        raise ValueError(f"'{kind}' has arrays of shapes {expected}, got {shapes}")
    if kind == "late":
        return LateFusion(means, round(float(weights["image_weight"][0]), 6))
    if kind == "early":
        return EarlyFusion(means, **weights)
    return AttentionFusion(means, **weights)


def _shapes(
    kind: FusionKind, weights: Mapping[str, Floats], dim: int
) -> dict[str, tuple[int, ...]]:
    if kind not in get_args(FusionKind):
        raise ValueError(f"unknown fusion '{kind}'; use late, early or attention")
    if kind == "late":
        return {"image_weight": (1,)}
    if kind == "early":
        return {"projection": (dim, 2 * dim + 2)}
    width, rank = len(weights["query"]), weights["down"].shape[1]
    return {
        "query": (width,),
        "keys": (width, dim),
        "modality": (2, width),
        "down": (2, rank, dim),
        "up": (2, dim, rank),
        "absent": (2, dim),
    }


def _require(trained_on: _Card, space: SpaceId, folder: Path) -> None:
    same = (trained_on.weights_hash, trained_on.dim, trained_on.preprocessing_hash)
    if same != (space.weights_hash, space.dim, space.preprocessing_hash):
        raise SpaceMismatch(
            f"the fusion in {folder} was trained on {trained_on.dim}-dim vectors of weights "
            f"{trained_on.weights_hash[:8]}, the model gives {space.dim}-dim ones of "
            f"{space.weights_hash[:8]}; train it again, or index with `fusion='late'`"
        )
