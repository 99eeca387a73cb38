"""Which fusion a store's products are made with: what was asked for, and what the model brings."""

from collections.abc import Callable

from mmsearch.errors import InputError
from mmsearch.fusion.base import Fusion
from mmsearch.fusion.frozen import late_base
from mmsearch.fusion.late import LateFusion
from mmsearch.records import FusionWish


def choose_fusion(
    wish: FusionWish,
    brought: Callable[[], Fusion | None],
    *,
    image_weight: float | None,
    dim: int,
    model: str,
) -> Fusion:
    """'auto' is what the model brings, else late; 'late' is the plain average and asks no model.

    brought: reads the model's fusion. image_weight: the image's share in late fusion; None is the
    model's choice, else a half. Raises InputError where the model brings no such fusion.
    """
    plain = late_base(dim, 0.5 if image_weight is None else image_weight)
    if wish == "late":
        return plain
    found = brought()
    if wish == "auto":
        weighed = isinstance(found, LateFusion) and image_weight is not None
        return plain if found is None or weighed else found
    if found is None or found.kind != wish:
        raise InputError(
            f"the model '{model}' brings no {wish} fusion but {found.kind if found else 'none'}; "
            f"train one with 'mmsearch finetune --fusion {wish}' and index with --model FOLDER, or "
            "leave --fusion out"
        )
    return found
