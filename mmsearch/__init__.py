"""Multimodal embedding search over images, documents and product tables.

    import mmsearch

    catalog = mmsearch.open("shop")
    catalog.index("./catalog")
    hits = catalog.search("red running shoes", k=5)

Importing this package imports neither torch nor LanceDB nor FAISS; the first use does.
"""

from typing import TYPE_CHECKING, Any

from mmsearch import errors
from mmsearch.errors import MMSearchError
from mmsearch.records import Hit, IngestReport, Record

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog
    from mmsearch.catalog import open_catalog as open
    from mmsearch.query import Query, Term

__all__ = [
    "Catalog",
    "Hit",
    "IngestReport",
    "MMSearchError",
    "Query",
    "Record",
    "Term",
    "errors",
    "open",
]

_LAZY = {
    "Catalog": ("mmsearch.catalog", "Catalog"),
    "Query": ("mmsearch.query", "Query"),
    "Term": ("mmsearch.query", "Term"),
    "open": ("mmsearch.catalog", "open_catalog"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mmsearch' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)
