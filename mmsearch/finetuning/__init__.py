"""Fine-tuning on a catalog: training set, splits, batches, methods, the run, and its report."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmsearch.finetuning.options import FinetuneOptions
    from mmsearch.finetuning.plan import FinetunePlan, plan
    from mmsearch.finetuning.run import Finetuned, finetune

_MODULES = {
    "FinetuneOptions": "options",
    "FinetunePlan": "plan",
    "Finetuned": "run",
    "finetune": "run",
    "plan": "plan",
}
__all__ = ["FinetuneOptions", "FinetunePlan", "Finetuned", "finetune", "plan"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
