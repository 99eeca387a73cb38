"""Which part of an item a hit shows: the one that was compared, else the one that fits best."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mmsearch.engine.candidates import CandidateCollector, SearchState
from mmsearch.engine.merging import Candidate
from mmsearch.records import Part, Target
from mmsearch.store import Store
from mmsearch.store.parts import part_of

_WORD = re.compile(r"\w+")
_TARGETS: tuple[Target, ...] = ("image", "text")


def parts_of_hits(
    store: Store, collector: CandidateCollector, searches: Sequence[SearchState]
) -> list[list[Part | None]]:
    """Returns the part of each hit of each page; None for items without parts."""
    if not store.has_parts:
        return [[None] * len(search.page) for search in searches]
    uids = sorted({found.uid for search in searches for found in search.page})
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in store.parts_of(uids).to_pylist():
        rows[row["item"]].append(row)
    return [_of_page(collector, search, rows) for search in searches]


def _of_page(
    collector: CandidateCollector, search: SearchState, rows: Mapping[int, Sequence[dict[str, Any]]]
) -> list[Part | None]:
    unknown = [found.uid for found in search.page if found.part is None and found.uid in rows]
    best: dict[int, int | None] = {}
    if unknown and search.terms:
        # An image stands for a product, and a passage for a text.
        for target in reversed(_TARGETS):
            fitting = collector.best_parts(unknown, target, collector.vector(search, target))
            best |= {uid: part for uid, (_, part) in fitting.items()}
    return [_shown(search, found, rows.get(found.uid, ()), best) for found in search.page]


def _shown(
    search: SearchState,
    found: Candidate,
    rows: Sequence[dict[str, Any]],
    best: Mapping[int, int | None],
) -> Part | None:
    if not rows:
        return None
    passages = [row for row in rows if row["kind"] == "passage"]
    if found.part is None and found.matched == "keyword" and passages:
        row = max(passages, key=lambda each: _common_words(str(search.query.keyword), each["text"]))
    else:
        uid = found.part if found.part is not None else best.get(found.uid)
        row = next((each for each in rows if each["_uid"] == uid), rows[0])
    return part_of(row, of=Counter(each["kind"] for each in rows)[row["kind"]])


def _common_words(words: str, text: str) -> int:
    return len(set(_WORD.findall(words.casefold())) & set(_WORD.findall(text.casefold())))
