"""Which columns a table of hits shows: what tells the hits apart, and what the user named."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mmsearch.cli.options import names
from mmsearch.cli.search.hits_table import HIT_COLUMNS
from mmsearch.errors import InputError
from mmsearch.records import Hit, real_path
from mmsearch.report.titles import title_of

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog

# Shown if the records have them; a catalog of products is read by these.
_USUAL = ("price", "brand", "category")
_MOST = 3


def shown_columns(
    catalog: "Catalog", hits: Sequence[Hit], columns: str | None, *, where: str | None = None
) -> list[str]:
    """Returns what `hits_table` shows of these hits. columns: as --columns gives them.

    Raises InputError for a column that the store does not have.
    """
    present = list(dict.fromkeys(name for hit in hits for name in hit.record))
    chosen = _known(catalog, names(columns), present) if columns else _usual(present, where)
    several = len({hit.matched for hit in hits}) > 1
    titled = any(title_of(hit) != real_path(hit.uri).name for hit in hits)
    shown = [
        "rank",
        "similarity",
        *(["matched"] if several else []),
        *(["title"] if titled else []),
        *chosen,
        "key",
        "path",
    ]
    return list(dict.fromkeys(shown))


def _usual(present: Sequence[str], where: str | None) -> list[str]:
    """Columns that the filter names, then the usual ones."""
    words = {word.lower() for word in re.findall(r"\w+", where or "")}
    filtered = [name for name in present if name.lower() in words and name not in HIT_COLUMNS]
    usual = [name for requested in _USUAL for name in present if name.lower() == requested]
    return list(dict.fromkeys([*filtered, *usual]))[:_MOST]


def _known(catalog: "Catalog", requested: Sequence[str], present: Sequence[str]) -> list[str]:
    if set(requested) <= set(present):
        return list(requested)
    known = dict.fromkeys([*present, *catalog.info().columns])
    for name in requested:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"columns: {', '.join(known)}"
            raise InputError(f"--columns: no column '{name}'; {hint}")
    return list(requested)
