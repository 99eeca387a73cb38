"""Why a search found nothing: the threshold, one condition of the filter, or the store itself."""

import re
from typing import TYPE_CHECKING

from mmsearch.errors import BadFilter
from mmsearch.query import QueryParts

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog


def why_no_hits(catalog: "Catalog", text: str | None, parts: QueryParts) -> str:
    """Searches again without the threshold, then without the filter, to see which left nothing."""
    threshold, where = parts["threshold"], parts["where"]
    relaxed: QueryParts = {**parts, "threshold": None, "after": None, "k": 1}
    if threshold is not None and (best := catalog.search(text, **relaxed)):
        return f"no hits above {threshold:g}; the best is {best[0].similarity:.3f}"
    relaxed["where"] = None
    if where is not None and catalog.search(text, **relaxed):
        return f"no hits: no item matches {_failing_condition(catalog, text, relaxed, where)}"
    return "no hits: nothing in the store matches the query"


def _failing_condition(
    catalog: "Catalog", text: str | None, relaxed: QueryParts, where: str
) -> str:
    """Returns the first of the conditions joined by AND that matches nothing alone, else all."""
    for condition in re.split(r"\s+and\s+", where, flags=re.IGNORECASE):
        relaxed["where"] = condition
        try:
            if not catalog.search(text, **relaxed):
                return condition
        except BadFilter:
            # The split went through a text, a bracket or a BETWEEN.
            break
    return where
