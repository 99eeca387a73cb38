"""Multimodal embedding search over images, documents and product tables.

    import mmsearch

    catalog = mmsearch.open("shop")
    catalog.index("./catalog")
    hits = catalog.search("red running shoes", k=5)

Importing this package imports neither torch nor LanceDB nor FAISS; the first use does. docs/api.md
in the repository has an example of every method.
"""

from typing import TYPE_CHECKING, Any

from mmsearch import errors
from mmsearch.errors import MMSearchError
from mmsearch.records import Failure, Hit, IngestReport, Record

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog, Hits, StoreInfo, load_model
    from mmsearch.catalog import open_catalog as open
    from mmsearch.evaluation.run import EvaluationOptions
    from mmsearch.finetuning.options import FinetuneOptions
    from mmsearch.query import Query, Term
    from mmsearch.sources import SourceOptions

    __version__: str

__all__ = [
    "Catalog",
    "EvaluationOptions",
    "Failure",
    "FinetuneOptions",
    "Hit",
    "Hits",
    "IngestReport",
    "MMSearchError",
    "Query",
    "Record",
    "SourceOptions",
    "StoreInfo",
    "Term",
    "__version__",
    "errors",
    "load_model",
    "open",
]

# Imported on first use.
_HOME = {
    "Catalog": "mmsearch.catalog",
    "EvaluationOptions": "mmsearch.evaluation.run",
    "FinetuneOptions": "mmsearch.finetuning.options",
    "Hits": "mmsearch.catalog",
    "Query": "mmsearch.query",
    "SourceOptions": "mmsearch.sources",
    "StoreInfo": "mmsearch.catalog",
    "Term": "mmsearch.query",
    "load_model": "mmsearch.catalog",
    "open": "mmsearch.catalog",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mmsearch")
    if name not in _HOME:
        raise AttributeError(f"module 'mmsearch' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(_HOME[name]), "open_catalog" if name == "open" else name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
