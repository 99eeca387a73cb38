"""Fine-tuning on a catalog: training set, splits, batches, methods, the run, and its report."""

from typing import TYPE_CHECKING

from mmsearch.lazy import lazy_exports

if TYPE_CHECKING:
    from mmsearch.finetuning.options import FinetuneOptions
    from mmsearch.finetuning.plan import FinetunePlan, plan
    from mmsearch.finetuning.run import Finetuned, finetune

__all__ = ["FinetuneOptions", "FinetunePlan", "Finetuned", "finetune", "plan"]

__getattr__ = lazy_exports(
    __name__,
    {
        "FinetuneOptions": "options",
        "FinetunePlan": "plan",
        "Finetuned": "run",
        "finetune": "run",
        "plan": "plan",
    },
)
