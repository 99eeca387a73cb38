"""The parts that hits show: the image or passage of each item that matches its query best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmsearch.engine.candidates import SearchState
from mmsearch.engine.merging import Candidate
from mmsearch.engine.nearest import Nearest
from mmsearch.engine.passages import best_passages
from mmsearch.query import query_vector
from mmsearch.records import Modality, Part
from mmsearch.store import Store
from mmsearch.store.parts import parts_by_uid


@dataclass(frozen=True, slots=True)
class ShownParts:
    """What the hits of a search show.

    by_uid: every part of their items. best: the best part of items, by modality and item, both
    uids. A hit shows the part that it was found by; an item that was found as a whole, its best
    image, else its best passage.
    """

    by_uid: Mapping[int, Part] = field(default_factory=dict)
    best: Mapping[tuple[Modality, int], int] = field(default_factory=dict)

    def part(self, found: Candidate) -> Part | None:
        """Returns the part of a hit, None for an item without parts."""
        if found.row in self.by_uid:
            return self.by_uid[found.row]
        if found.matched not in ("product", "keyword"):
            return None
        best = self.best.get(("image", found.item), self.best.get(("text", found.item), -1))
        return self.by_uid.get(best)

    def excerpt(self, found: Candidate) -> str | None:
        """Returns the best passage of a hit, None where the item has one alone."""
        own = self.by_uid.get(found.row)
        if own is None or own.text is None:
            own = self.by_uid.get(self.best.get(("text", found.item), -1))
        return own.text if own is not None else None


class PartFinder:
    """Finds the parts that hits show."""

    def __init__(self, store: Store, nearest: Nearest) -> None:
        self._store, self._nearest = store, nearest

    def find(self, searches: Sequence[SearchState]) -> list[ShownParts]:
        """Returns what the page of each search shows."""
        if not self._store.has_parts:
            return [ShownParts()] * len(searches)
        items = sorted({found.item for search in searches for found in search.page})
        rows = self._store.parts_of(items)
        by_uid = parts_by_uid(rows)
        shown = []
        for search in searches:
            best = self._best(search, by_uid) if by_uid else {}
            if search.query.keyword is not None and not search.terms:
                of_words = best_passages(search.query.keyword, rows)
                best = {("text", item): uid for item, uid in of_words.items()}
            shown.append(ShownParts(by_uid, best))
        return shown

    def _best(
        self, search: SearchState, by_uid: Mapping[int, Part]
    ) -> dict[tuple[Modality, int], int]:
        """Returns the parts most similar to the query, by modality and item."""
        best: dict[tuple[Modality, int], int] = {}
        whole = [found.item for found in search.page if found.row not in by_uid]
        pictured = [
            found.item
            for found in search.page
            if found.row in by_uid and by_uid[found.row].text is None
        ]
        needed: dict[Modality, list[int]] = {"image": whole, "text": whole + pictured}
        for modality, items in needed.items() if search.terms else ():
            parts = self._nearest.parts(modality)
            if parts is None or not items:
                continue
            rows = parts.parts_of(np.array(items, np.int64))
            if len(rows):
                vector = query_vector(search.terms, modality, self._nearest.fusion)
                (found,) = self._nearest.search(vector, modality, len(items), allowed=rows)
                pairs = zip(found.items.tolist(), found.rows.tolist(), strict=True)
                best |= {(modality, item): row for item, row in pairs}
        return best
