"""The old name of `mmsearch.evaluation.results`, kept for this version."""

import warnings
from typing import Any

from mmsearch.evaluation import results


def __getattr__(name: str) -> Any:
    value = getattr(results, name)
    warnings.warn(
        f"mmsearch.scores.{name} is now mmsearch.evaluation.results.{name}",
        DeprecationWarning,
        stacklevel=2,
    )
    return value
