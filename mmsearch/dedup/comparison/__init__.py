"""Full comparison of two decoded images: registered, then judged in colour.

`compare_examined` is the basis of both `mmsearch same` and plans.
"""

from mmsearch.dedup.comparison.comparing import PairComparison, compare_examined, unrelated
from mmsearch.dedup.comparison.examined import Examined

__all__ = ["Examined", "PairComparison", "compare_examined", "unrelated"]
