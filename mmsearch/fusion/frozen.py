"""A generation's own copy of its fusion: an index and its queries never see another one.

Means and late fusion's weight stand in the generation's description; trained arrays lie beside it
in safetensors, as the model brought them, so that a rebuild can do without the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from mmsearch.digests import sha256_of_file
from mmsearch.fusion.base import Fusion
from mmsearch.fusion.files import read_arrays, write_arrays
from mmsearch.fusion.late import LateFusion
from mmsearch.records import Floats, Modality


@dataclass(frozen=True, slots=True)
class FrozenFusion:
    """fusion: over the catalog's means, which is what counts. base: as the model brought it."""

    fusion: Fusion
    base: Fusion

    @classmethod
    def of(cls, base: Fusion, means: Mapping[Modality, Floats]) -> Self:
        return cls(base.with_means(means), base)

    def write(self, path: Path) -> dict[str, Any]:
        """What the description says of it; trained arrays go to `path`."""
        about: dict[str, Any] = {
            "fusion": self.fusion.kind,
            "means": {name: mean.tolist() for name, mean in self.fusion.means.items()},
        }
        if isinstance(self.base, LateFusion):
            return {**about, "image_weight": self.base.image_weight}
        write_arrays(self.base, path)
        return {**about, "fusion_sha256": sha256_of_file(path)}

    @classmethod
    def read(cls, about: Mapping[str, Any], path: Path) -> Self:
        """What `write` wrote; a description from before there were kinds is late.

        Raises OSError, ValueError, KeyError, TypeError where it is damaged.
        """
        means: dict[Modality, Floats] = {
            "image": np.asarray(about["means"]["image"], dtype=np.float32),
            "text": np.asarray(about["means"]["text"], dtype=np.float32),
        }
        kind = about.get("fusion", "late")
        if kind == "late":
            return cls.of(late_base(len(means["image"]), about["image_weight"]), means)
        if sha256_of_file(path) != about["fusion_sha256"]:
            raise ValueError(f"{path.name} is not what was written")
        return cls.of(read_arrays(kind, path, dim=len(means["image"])), means)


def late_base(dim: int, image_weight: float) -> LateFusion:
    """Late fusion before a catalog's means are known."""
    zero = np.zeros(dim, np.float32)
    return LateFusion({"image": zero, "text": zero}, image_weight)
