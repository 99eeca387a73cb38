"""A generation's own copy of its fusion, so that an index and its queries use the same one.

Means and the weight of late fusion are stored in the generation's description; trained arrays are
stored beside it in safetensors, so that a rebuild does not need the model.
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
    """A generation's fusion.

    fusion: with the store's means. base: with the means that the model provides.
    """

    fusion: Fusion
    base: Fusion

    @classmethod
    def of(cls, base: Fusion, means: Mapping[Modality, Floats]) -> Self:
        """Combines a fusion with the store's means."""
        return cls(base.with_means(means), base)

    def write(self, path: Path) -> dict[str, Any]:
        """Returns its entries in the description; writes trained arrays to `path`."""
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
        """Reads what `write` wrote; a description without a kind is late fusion.

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
    """Returns late fusion with means of zero."""
    zero = np.zeros(dim, np.float32)
    return LateFusion({"image": zero, "text": zero}, image_weight)
