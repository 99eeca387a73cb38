"""Why a search found nothing: the threshold, one condition of the filter, or the store itself."""

from typing import TYPE_CHECKING

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
        return f"no hits: no item matches {_counted_conditions(catalog, where)}"
    return "no hits: nothing in the store matches the query"


def _counted_conditions(catalog: "Catalog", where: str) -> str:
    """Returns the condition that matches nothing, then how many items match each one."""
    counts = catalog.engine.store.matching_counts(where)
    failing = next((condition for condition, count in counts if not count), where)
    if len(counts) == 1:
        return failing
    listed = ", ".join(f"{condition}: {count:,}" for condition, count in counts)
    return f"{failing}; items that match each condition: {listed}"
