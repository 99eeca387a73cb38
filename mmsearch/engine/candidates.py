"""Collects candidates for many searches at once, in rounds of doubling depth.

New candidates of a round are appended to those of earlier rounds, so the order never changes: the
first hits are the same for every k, and pages do not overlap.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from mmsearch.arrays import unit
from mmsearch.engine.cursor import Cursor
from mmsearch.engine.merging import (
    Candidate,
    candidates_of,
    interleave,
    reciprocal_rank_fusion,
    unseen,
    weighted_fusion,
)
from mmsearch.engine.nearest import Nearest
from mmsearch.engine.passages import best_passages
from mmsearch.engine.reranking import Distinct, Diverse
from mmsearch.generations import IMAGE, TEXT
from mmsearch.indexes.part_items import RankedItems
from mmsearch.query import Query, TermVectors, query_vector
from mmsearch.records import Floats, Ids, Target
from mmsearch.store import Store
from mmsearch.store.hidden import read_hidden
from mmsearch.store.rows import vectors_to_numpy

# From this cosine on, which is printed as 1.000, an item's image is the image searched with.
SAME_IMAGE = 0.9995
# Items with one and the same image that are put first.
MOST_OF_ONE_IMAGE = 32

# Lists that are merged or filtered are read to at least this depth, whatever k is: a candidate at
# place 11 of two lists may belong before the first of one.
POOL = 100


class SearchState:
    """The state of one search. results: candidates in their final order, appended each round."""

    def __init__(
        self,
        query: Query,
        terms: tuple[TermVectors, ...],
        targets: tuple[Target, ...],
        *,
        excluded: Ids,
        cursor: Cursor | None,
    ) -> None:
        self.query, self.terms, self.excluded = query, terms, set(excluded.tolist())
        self.targets = targets if terms else ()
        self.offset = cursor.offset if cursor else 0
        self.first_depth = cursor.depth if cursor else self._depth()
        self.depth = self.first_depth
        self.results: list[Candidate] = []
        self.exhausted = False
        self.seen: set[int] = set()
        self.hidden: set[int] = set()
        self.distinct = Distinct() if query.unique else None
        self.diverse = Diverse(query.diverse) if query.diverse is not None else None

    def _depth(self) -> int:
        plain = self.query.keyword is None and not self.query.unique and self.query.diverse is None
        # One more than is shown tells whether there is a next page.
        return self.query.k + 1 if plain else POOL

    @property
    def by_image_alone(self) -> bool:
        """Whether the query is one image, and nothing says what to compare it with."""
        query = self.query
        return (
            query.target == "auto"
            and query.keyword is None
            and len(query.terms) == 1
            and query.terms[0].image is not None
        )

    @property
    def complete(self) -> bool:
        """Whether the page is full, or there are no further hits."""
        return self.exhausted or len(self.results) > self.offset + self.query.k

    @property
    def page(self) -> list[Candidate]:
        """The candidates of the requested page."""
        return self.results[self.offset : self.offset + self.query.k]


class CandidateCollector:
    """Collects candidates from a store's index and its keywords."""

    def __init__(self, store: Store, nearest: Nearest) -> None:
        self._store, self._nearest = store, nearest
        self.hidden = read_hidden(store.folder)

    def fill(self, searches: Sequence[SearchState]) -> None:
        """Collects candidates until every search is complete. Raises BadFilter."""
        pending = list(searches)
        for search in searches:
            search.hidden = self.hidden
            if search.query.where is not None:
                # Reports an invalid filter before anything is searched.
                self._nearest.matching(search.query.where)
        for search in searches:
            if search.by_image_alone and search.targets == ("product",):
                self._put_same_image_first(search)
        while pending:
            ranked = self._ranked(pending)
            for search, rankings in zip(pending, ranked, strict=True):
                self._extend(search, rankings)
                search.depth *= 2
            pending = [search for search in pending if not search.complete]

    def _put_same_image_first(self, search: SearchState) -> None:
        """Begins the results with the items whose own image is the query.

        Their product vectors hold their texts as well, and are not the nearest for certain.
        """
        vector = self._vector(search, "image")
        (ranking,) = self._nearest.search(
            vector, "image", MOST_OF_ONE_IMAGE, where=search.query.where
        )
        nearest = candidates_of(ranking, "image")
        images = self._shown_images(nearest)
        exact = {
            found: float(images[found.uid] @ vector[0]) for found in nearest if found.uid in images
        }
        same = [
            replace(found, similarity=similarity, score=similarity)
            for found, similarity in exact.items()
            if similarity >= SAME_IMAGE
        ]
        same.sort(key=lambda found: (-found.score, found.uid))
        search.results += self._reranked(search, self._unseen(search, same))

    @staticmethod
    def _unseen(search: SearchState, candidates: Sequence[Candidate]) -> list[Candidate]:
        return unseen(candidates, search.seen, search.excluded | search.hidden)

    def _ranked(self, searches: Sequence[SearchState]) -> list[dict[Target, RankedItems]]:
        """Returns each search's nearest neighbours by target, to its depth, in batches."""
        groups: dict[tuple[Target, int, str | None, bool], list[int]] = defaultdict(list)
        for place, search in enumerate(searches):
            for target in search.targets:
                # The items that a query names are found first and excluded later.
                depth = search.depth + len(search.excluded)
                groups[target, depth, search.query.where, search.query.parts].append(place)
        ranked: list[dict[Target, RankedItems]] = [{} for _ in searches]
        for (target, depth, where, each_part), places in groups.items():
            vectors = np.concatenate([self._vector(searches[place], target) for place in places])
            found = self._nearest.search(vectors, target, depth, where=where, each_part=each_part)
            for place, ranking in zip(places, found, strict=True):
                ranked[place][target] = ranking
        return ranked

    def _vector(self, search: SearchState, target: Target) -> Floats:
        return query_vector(search.terms, target, self._nearest.fusion)

    def _extend(self, search: SearchState, ranked: dict[Target, RankedItems]) -> None:
        """Merges the lists of a round and appends the new candidates to the results."""
        query = search.query
        ended = [self._ended(search, ranking) for ranking in ranked.values()]
        by_target = {
            target: candidates_of(ranking, target, each_part=query.parts)
            for target, ranking in ranked.items()
        }
        if len(ranked) > 1:
            means = {target: self._mean_similarity(search, target) for target in ranked}
            candidates = interleave(by_target, means)
        else:
            candidates = [found for listed in by_target.values() for found in listed]
        if query.keyword is not None:
            keyword_hits, lead = self._keyword_hits(search, candidates)
            ended.append(
                len(keyword_hits) < search.depth or (query.threshold is not None and all(ended))
            )
            if not ranked:
                candidates = keyword_hits
            elif query.fuse == "weighted":
                share = query.keyword_weight
                candidates = weighted_fusion(candidates, keyword_hits, lead, keyword_share=share)
            else:
                candidates = reciprocal_rank_fusion(candidates, keyword_hits)
        if query.threshold is not None:
            candidates = [found for found in candidates if found.similarity >= query.threshold]
        search.results += self._reranked(search, self._unseen(search, candidates))
        search.exhausted = all(ended)

    def _ended(self, search: SearchState, ranking: RankedItems) -> bool:
        """Whether a deeper search could not give more hits."""
        similarities = ranking.similarities
        least = search.query.threshold
        below = least is not None and len(similarities) > 0 and similarities[-1] < least
        return bool(below) or len(similarities) < search.depth + len(search.excluded)

    def _mean_similarity(self, search: SearchState, target: Target) -> float:
        """Returns the query's mean similarity to a target: that to the target's mean vector."""
        if target == "product":
            # Product vectors are centred.
            return 0.0
        mean = self._nearest.fusion.means.get("text" if target == "text" else "image")
        return 0.0 if mean is None else float(self._vector(search, target)[0] @ mean)

    def _keyword_hits(
        self, search: SearchState, nearest: Sequence[Candidate]
    ) -> tuple[list[Candidate], dict[int, float]]:
        """Returns the keyword hits, best first, with their similarities if the query has terms.

        Also, by uid, how far the similarity of these and of the nearest exceeds the mean.
        """
        query = search.query
        words = str(query.keyword)
        scores, items = self._store.keyword_matches(words, search.depth, query.where)
        rows = items
        if self._nearest.parts("text") is not None:
            passages = best_passages(words, self._store.parts_of(items.tolist()))
            rows = np.array([passages.get(uid, uid) for uid in items.tolist()], np.int64)
        found = candidates_of(RankedItems(scores, items, rows), "keyword", each_part=query.parts)
        if not search.targets:
            return found, {}
        means: dict[str, float] = {
            target: self._mean_similarity(search, target) for target in search.targets
        }
        known = {
            candidate.uid: (
                candidate.similarity - means[candidate.matched],
                candidate.similarity,
            )
            for candidate in nearest
        }
        missing = [candidate for candidate in found if candidate.uid not in known]
        of_items = self._similarities(search, [candidate.item for candidate in missing])
        known |= {each.uid: of_items[each.item] for each in missing if each.item in of_items}
        hits = [
            replace(candidate, similarity=known[candidate.uid][1])
            for candidate in found
            if candidate.uid in known
        ]
        return hits, {uid: lead for uid, (lead, _) in known.items()}

    def _similarities(
        self, search: SearchState, uids: Sequence[int]
    ) -> dict[int, tuple[float, float]]:
        """Returns by uid the target most above its mean: by how much, and the similarity.

        Rows without any of the targets are left out.
        """
        found: dict[int, tuple[float, float]] = {}
        images, texts, order = self._stored(uids)
        for target in search.targets:
            mean, vector = self._mean_similarity(search, target), self._vector(search, target)
            vectors = {
                "image": images,
                "text": texts,
                "product": self._nearest.fusion.products(images, texts),
            }[target]
            similarities = (vectors @ vector[0]).tolist()
            by_uid = {
                uid: similarity
                for uid, row, similarity in zip(order, vectors, similarities, strict=True)
                if row.any()
            }
            parts = self._nearest.parts(target)
            if parts is not None:
                rows = parts.parts_of(np.array(uids, np.int64))
                (best,) = self._nearest.search(vector, target, len(uids) or 1, allowed=rows)
                by_uid |= zip(best.items.tolist(), best.similarities.tolist(), strict=True)
            for uid, similarity in by_uid.items():
                place = (similarity - mean, similarity)
                found[uid] = max(found.get(uid, place), place)
        return found

    def _reranked(self, search: SearchState, candidates: list[Candidate]) -> list[Candidate]:
        if not candidates or (search.distinct is None and search.diverse is None):
            return candidates
        fusion = self._nearest.fusion
        if search.distinct is not None:
            shown = self._shown_images(candidates)
            centred = {uid: fusion.centre(image[None], "image")[0] for uid, image in shown.items()}
            candidates = search.distinct(candidates, centred)
        if search.diverse is not None:
            images, texts, uids = self._stored(list({found.item for found in candidates}))
            of_items = dict(zip(uids, fusion.products(images, texts), strict=True))
            products = {found.uid: of_items[found.item] for found in candidates}
            candidates = search.diverse(candidates, products)
        return candidates

    def _shown_images(self, candidates: Sequence[Candidate]) -> dict[int, Floats]:
        """Returns the image vector of each candidate that has one, float32 (dim,), unit, by uid.

        That of its best part where this is an image, else that of its item.
        """
        images, _, uids = self._stored(list({found.item for found in candidates}))
        by_row = {uids[place]: images[place] for place in np.flatnonzero(images.any(axis=1))}
        own = {found.uid: found.item for found in candidates}
        best = [found.row for found in candidates if found.row != found.item]
        if best:
            rows = self._store.part_rows(best, ["_uid", "kind", "_vector"])
            rows = rows.filter(pa.array([kind == "image" for kind in rows["kind"].to_pylist()]))
            vectors = vectors_to_numpy(rows["_vector"].combine_chunks(), self._store.dim)
            by_row |= zip(rows["_uid"].to_pylist(), unit(vectors), strict=True)
            own |= {found.uid: found.row for found in candidates if found.row in by_row}
        return {uid: by_row[row] for uid, row in own.items() if row in by_row}

    def _stored(self, uids: Sequence[int]) -> tuple[Floats, Floats, list[int]]:
        """Returns image and text vectors, float32 (n, dim), unit or zero, and their uids."""
        rows = self._store.rows(uids, ["_uid", IMAGE, TEXT]).combine_chunks()
        images, texts = (
            unit(vectors_to_numpy(rows.column(name).combine_chunks(), self._store.dim))
            for name in (IMAGE, TEXT)
        )
        return images, texts, rows.column("_uid").to_pylist()
