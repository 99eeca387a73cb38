"""The old name of `mmsearch.finetuning.fusion.training`, kept for this version."""

import warnings

from mmsearch.finetuning.fusion.training import train_fusion

__all__ = ["train_fusion"]

warnings.warn(
    "mmsearch.finetuning.fusion_training is now mmsearch.finetuning.fusion.training",
    DeprecationWarning,
    stacklevel=2,
)
