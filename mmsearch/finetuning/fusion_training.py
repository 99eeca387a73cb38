"""The old name of `mmsearch.finetuning.fusion.training`, kept for this version."""

from mmsearch.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "mmsearch.finetuning.fusion.training")
