"""Which columns a table of hits shows: what tells the hits apart, and what the user named."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mmsearch.cli.options import names
from mmsearch.cli.search.hits_table import HIT_COLUMNS
from mmsearch.errors import InputError
from mmsearch.records import Hit, real_path
from mmsearch.report.titles import PRODUCT_COLUMNS, title_of
from mmsearch.sources.fields import safe_column_name, with_stored_names

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog

_MOST = 3


def shown_columns(
    catalog: "Catalog", hits: Sequence[Hit], columns: str | None, *, where: str | None = None
) -> list[str]:
    """Returns what `hits_table` shows of these hits. columns: as --columns gives them.

    Raises InputError for a column that the store does not have.
    """
    chosen = known_columns(catalog, hits, columns) if columns else _usual(hits, where)
    several = len({hit.matched for hit in hits}) > 1
    titled = any(title_of(hit) != real_path(hit.uri).name for hit in hits)
    scored = any(hit.score is not None for hit in hits)
    # Of keywords alone, the similarity is their score.
    similar = not scored or any(hit.score != hit.similarity for hit in hits)
    shown = [
        "rank",
        *(["similarity"] if similar else []),
        *(["score"] if scored else []),
        *(["matched"] if several else []),
        *(["part"] if any(hit.part for hit in hits) else []),
        *(["title"] if titled else []),
        *chosen,
        "key",
        "path",
    ]
    return list(dict.fromkeys(shown))


def _usual(hits: Sequence[Hit], where: str | None) -> list[str]:
    """Columns that the filter names, then those of products."""
    present = list(dict.fromkeys(name for hit in hits for name in hit.record))
    words = {word.lower() for word in re.findall(r"\w+", with_stored_names(where or "", present))}
    filtered = [name for name in present if name.lower() in words and name not in HIT_COLUMNS]
    usual = [name for requested in PRODUCT_COLUMNS for name in present if name.lower() == requested]
    return list(dict.fromkeys([*filtered, *usual]))[:_MOST]


def known_columns(catalog: "Catalog", hits: Sequence[Hit], columns: str) -> list[str]:
    """Returns the columns that `columns` names, separated by commas, as the store calls them.

    Raises InputError for a column that the store does not have.
    """
    requested = names(columns)
    if set(requested) <= {name for hit in hits for name in hit.record}:
        return list(requested)
    known = catalog.engine.store.public_columns
    found = []
    for name in requested:
        # Also by its heading in the table.
        stored = name if name in known else safe_column_name(name, ())
        if stored not in known:
            near = get_close_matches(stored, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"columns: {', '.join(known)}"
            raise InputError(f"--columns: no column '{name}'; {hint}")
        found.append(stored)
    return found
