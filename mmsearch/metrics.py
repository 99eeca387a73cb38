"""The old name of `mmsearch.evaluation.metrics`, kept for this version."""

import warnings
from typing import Any

from mmsearch.evaluation import metrics


def __getattr__(name: str) -> Any:
    value = getattr(metrics, name)
    warnings.warn(
        f"mmsearch.metrics.{name} is now mmsearch.evaluation.metrics.{name}",
        DeprecationWarning,
        stacklevel=2,
    )
    return value
