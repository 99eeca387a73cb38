"""The old name of `mmsearch.evaluation.metrics`, kept for this version."""

from mmsearch.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "mmsearch.evaluation.metrics")
