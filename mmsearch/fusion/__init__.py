"""Fusion of an item's image and text vectors into its product vector.

Contrastively trained towers put images and texts in two separate cones (the modality gap, Liang
et al. 2022, arXiv:2203.02053), so each modality's mean is subtracted first. Then the vectors are
averaged (late), projected together (early), or weighted per item (attention).
"""

from mmsearch.arrays import unit
from mmsearch.fusion.attention import AttentionFusion
from mmsearch.fusion.base import (
    PRIOR_ITEMS,
    Fusion,
    identity,
    shrunken_mean,
    tokens,
)
from mmsearch.fusion.choice import choose_fusion
from mmsearch.fusion.early import EarlyFusion
from mmsearch.fusion.files import (
    CARD_NAME,
    WEIGHTS_NAME,
    fusion_of,
    load_fusion,
    save_fusion,
)
from mmsearch.fusion.frozen import FrozenFusion, late_base
from mmsearch.fusion.late import LateFusion

__all__ = [
    "CARD_NAME",
    "PRIOR_ITEMS",
    "WEIGHTS_NAME",
    "AttentionFusion",
    "EarlyFusion",
    "FrozenFusion",
    "Fusion",
    "LateFusion",
    "choose_fusion",
    "fusion_of",
    "identity",
    "late_base",
    "load_fusion",
    "save_fusion",
    "shrunken_mean",
    "tokens",
    "unit",
]
