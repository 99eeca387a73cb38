"""A query becomes vectors, the live generation and the rows it lacks are searched, rows come back.

Reads only, and never waits for a writer: it stays at the table version and generation it opened.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmsearch.encoders.base import Encoder, TextEncoder
from mmsearch.errors import BadQuery, RecordNotFound
from mmsearch.fusion import LateFusion, unit
from mmsearch.generations import (
    IMAGE,
    TEXT,
    Generation,
    StoredVectors,
    estimate_fusion,
)
from mmsearch.media import MediaBounds, decode
from mmsearch.query import Query, Term, TermVectors, query_vector
from mmsearch.records import Floats, Hit, Ids, Modality, Target
from mmsearch.store.lance import LIVE, Store


class Engine:
    """Searches a store. The encoders are loaded when the first query needs them.

    generation: opened before the store, so that it is never ahead of the rows.
    text_encoder: for queries that are words alone (may be lighter); encoder: for pictures.
    """

    def __init__(
        self,
        store: Store,
        *,
        generation: Generation | None,
        encoder: Callable[[], Encoder],
        text_encoder: Callable[[], TextEncoder],
        bounds: MediaBounds | None = None,
    ) -> None:
        self._store = store
        self._load_encoder, self._load_text_encoder = encoder, text_encoder
        self._encoder: Encoder | None = None
        self._text_encoder: TextEncoder | None = None
        self._bounds = bounds or MediaBounds()
        self._generation = generation
        self._live: Ids | None = None
        self._fusion: LateFusion | None = None

    @property
    def generation(self) -> Generation | None:
        return self._generation

    @property
    def fusion(self) -> LateFusion:
        if self._fusion is None:
            live = self._generation
            self._fusion = live.info.fusion if live else estimate_fusion(self._store)
        return self._fusion

    def search(self, query: Query) -> list[Hit]:
        """Raises BadQuery, BadFilter, RecordNotFound, UnreadableMedia, SpaceMismatch."""
        terms = tuple(self._term_vectors(term) for term in query.terms)
        allowed = self._store.uids(query.where) if query.where else None
        excluded = self._uids_of(query.terms)
        targets = self._targets(query)
        ranked = [
            (target, *self._nearest(terms, target, query.k, allowed, excluded))
            for target in targets
        ]
        if len(ranked) == 1:
            target, similarities, uids = ranked[0]
            order = [(uid, sim, target) for uid, sim in zip(uids, similarities, strict=True)]
        else:
            typical = {target: self._typical(terms, target) for target in targets}
            order = _interleave(ranked, typical)[: query.k]
        return self._hydrate(order)

    def _targets(self, query: Query) -> tuple[Target, ...]:
        """What 'auto' means: products where most items have both, else each modality there is."""
        if query.target != "auto":
            return (query.target,)
        counts = self._store.counts()
        modalities: tuple[Target, ...] = ("image", "text")
        present = tuple(name for name in modalities if counts[name])
        if counts["both"] and 2 * counts["both"] >= counts["items"]:
            return ("product",)
        return present or ("image",)

    def _typical(self, terms: tuple[TermVectors, ...], target: Target) -> float:
        mean = self.fusion.means.get("text" if target == "text" else "image")
        return 0.0 if mean is None else float(query_vector(terms, target, self.fusion)[0] @ mean)

    def _term_vectors(self, term: Term) -> TermVectors:
        vectors: dict[Modality, Floats]
        if term.text is not None:
            vectors = {"text": self._texts([term.text])[0]}
        elif term.image is not None:
            vectors = {"image": self._image(term.image)}
        elif term.key is not None:
            vectors = self._stored(term.key)
        else:
            vectors = {"image": self._checked(term.vector)}
        return TermVectors(vectors, term.weight)

    def _texts(self, texts: Sequence[str]) -> Floats:
        if self._encoder is None and self._text_encoder is None:
            self._text_encoder = self._load_text_encoder()
        encoder = self._encoder or self._text_encoder
        if encoder is None:
            raise BadQuery("no encoder for texts")
        self._store.manifest.space.require(encoder.space, holder=str(self._store.folder))
        vectors: Floats = encoder.encode_texts(texts)
        return vectors

    def _image(self, path: Path) -> Floats:
        if self._encoder is None:
            self._encoder = self._load_encoder()
            self._store.manifest.space.require(self._encoder.space, holder=str(self._store.folder))
        picture = decode(path, bounds=self._bounds).image
        vector: Floats = self._encoder.encode_images([picture])[0]
        return vector

    def _stored(self, key: str) -> dict[Modality, Floats]:
        row = self._store.row_of_key(key, [IMAGE, TEXT])
        if row is None:
            raise RecordNotFound(
                f"no item '{key}' in {self._store.folder}; keys look like "
                f"{self._store.example_key()!r} and stand in the 'key' column of --json"
            )
        named: list[tuple[Modality, str]] = [("image", IMAGE), ("text", TEXT)]
        return {
            modality: unit(np.asarray([row[column]], dtype=np.float32))[0]
            for modality, column in named
            if row[column] is not None
        }

    def _checked(self, vector: Floats | None) -> Floats:
        values = np.asarray(vector, dtype=np.float32)
        if values.shape != (self._store.dim,) or not np.isfinite(values).all() or not values.any():
            raise BadQuery(
                f"a query vector must be {self._store.dim} finite numbers, not all zero, "
                f"got shape {values.shape}"
            )
        row: Floats = unit(values[None])[0]
        return row

    def _uids_of(self, terms: Sequence[Term]) -> Ids:
        """The items that the query names: they are not answers to it."""
        keys = [term.key for term in terms if term.key is not None]
        rows = [self._store.row_of_key(key, ["_uid"]) for key in keys]
        return np.array([row["_uid"] for row in rows if row], dtype=np.int64)

    def _nearest(
        self,
        terms: tuple[TermVectors, ...],
        target: Target,
        k: int,
        allowed: Ids | None,
        excluded: Ids,
    ) -> tuple[Floats, Ids]:
        """Similarities float32 and uids int64, both (≤ k,), descending."""
        vector = query_vector(terms, target, self.fusion)
        wanted = k + len(excluded)
        similarities, uids = self._indexed(vector, target, wanted, allowed)
        late_similarities, late_uids = self._late(vector, target, allowed)
        similarities = np.concatenate([similarities, late_similarities])
        uids = np.concatenate([uids, late_uids])
        kept = (uids >= 0) & ~np.isin(uids, excluded)
        similarities, uids = similarities[kept], uids[kept]
        order = np.lexsort((uids, -similarities))[:k]
        return similarities[order], uids[order]

    def _indexed(
        self, vector: Floats, target: Target, k: int, allowed: Ids | None
    ) -> tuple[Floats, Ids]:
        live = self._generation
        if live is None or target not in live.info.counts:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        if self._behind(live):
            # Rows that left the table since stay in the index until the next run.
            present = self._live_uids()
            allowed = present if allowed is None else np.intersect1d(allowed, present)
        similarities, uids = live.index(target).search(vector, k, allowed=allowed)
        return similarities[0], uids[0]

    def _late(self, vector: Floats, target: Target, allowed: Ids | None) -> tuple[Floats, Ids]:
        """Exact search of the rows that the live generation does not know yet."""
        live = self._generation
        if live is not None and not self._behind(live) and target in live.info.counts:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        known = live.info.next_uid if live and target in live.info.counts else 0
        where = f"{LIVE} AND _uid >= {known}"
        found: list[tuple[Floats, Ids]] = []
        for vectors, uids in StoredVectors(self._store, target, self.fusion, 0, where):
            chosen = np.isin(uids, allowed) if allowed is not None else slice(None)
            found.append(((vectors[chosen] @ vector[0]).astype(np.float32), uids[chosen]))
        if not found:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])

    def _behind(self, live: Generation) -> bool:
        return live.info.lance_version != self._store.version

    def _live_uids(self) -> Ids:
        if self._live is None:
            self._live = np.sort(self._store.uids())
        return self._live

    def _hydrate(self, order: Sequence[tuple[int, float, Target]]) -> list[Hit]:
        columns = self._store.public_columns
        rows = self._store.rows([uid for uid, _, _ in order], ["_uid", *columns]).to_pylist()
        by_uid = {row["_uid"]: row for row in rows}
        hits: list[Hit] = []
        for uid, similarity, target in order:
            row = by_uid[uid]
            record = self._store.public_record(row)
            hits.append(
                Hit(len(hits) + 1, row["key"], row["uri"], float(similarity), target, record)
            )
        return hits


def _interleave(
    ranked: Sequence[tuple[Target, Floats, Ids]], typical: Mapping[Target, float]
) -> list[tuple[int, float, Target]]:
    """Merges targets by rank, an item at its best one: similarities are on two scales.

    typical: the query's similarity to a target's mean vector. Of equal ranks, the hit that stands
    out more from what is typical of its target comes first.
    """
    best: dict[int, tuple[int, float, float, Target]] = {}
    for target, similarities, uids in ranked:
        for rank, (uid, similarity) in enumerate(zip(uids.tolist(), similarities, strict=True)):
            found = (rank, typical[target] - float(similarity), float(similarity), target)
            best[uid] = min(best.get(uid, found), found)
    order = sorted(best, key=lambda uid: (*best[uid][:2], uid))
    return [(uid, best[uid][2], best[uid][3]) for uid in order]
