"""The strict comparison: two decoded pictures, laid over each other and judged in colour.

`compare_examined` is what both `mmsearch same` and a plan rest on.
"""

from mmsearch.dedup.comparison.comparing import PairComparison, compare_examined, unrelated
from mmsearch.dedup.comparison.examined import Examined

__all__ = ["Examined", "PairComparison", "compare_examined", "unrelated"]
