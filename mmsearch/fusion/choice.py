"""Chooses a store's fusion: the requested kind, or what the model provides."""

from collections.abc import Callable

from mmsearch.errors import InputError
from mmsearch.fusion.base import Fusion
from mmsearch.fusion.frozen import late_base
from mmsearch.fusion.late import LateFusion
from mmsearch.records import FusionChoice


def choose_fusion(
    requested: FusionChoice,
    provided: Callable[[], Fusion | None],
    *,
    image_weight: float | None,
    dim: int,
    model: str,
) -> Fusion:
    """Chooses the fusion: 'auto' is the model's, else late; 'late' is the weighted average.

    provided: reads the model's fusion. image_weight: in late fusion; None: the model's, else 0.5.
    Raises InputError where the model does not provide the requested fusion.
    """
    plain = late_base(dim, 0.5 if image_weight is None else image_weight)
    if requested == "late":
        return plain
    found = provided()
    if requested == "auto":
        weighed = isinstance(found, LateFusion) and image_weight is not None
        return plain if found is None or weighed else found
    if found is None or found.kind != requested:
        raise InputError(
            f"the model '{model}' has no {requested} fusion but {found.kind if found else 'none'}; "
            f"train one with `catalog.finetune(fusion='{requested}')` and index with it, or "
            "use `fusion='auto'`"
        )
    return found
