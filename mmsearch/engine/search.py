"""The search engine: takes queries, returns pages of hits.

It only reads and never waits for a writer, as it stays at the table version and generation that it
opened.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from mmsearch.encoders.base import Encoder, TextEncoder
from mmsearch.engine.candidates import CandidateCollector, SearchState
from mmsearch.engine.cursor import Cursor, fingerprint
from mmsearch.engine.merging import Candidate
from mmsearch.engine.nearest import Nearest
from mmsearch.engine.shown_parts import PartFinder, ShownParts
from mmsearch.engine.terms import TermReader
from mmsearch.fusion import Fusion
from mmsearch.generations import Generation
from mmsearch.media import MediaBounds
from mmsearch.query import Query
from mmsearch.records import Hit, Target
from mmsearch.store import Store


@dataclass(frozen=True, slots=True)
class Page:
    """A page of results.

    hits: best first; ranks continue from the previous page. next: the cursor of the next page, None
    at the end.
    """

    hits: tuple[Hit, ...]
    next: str | None


class Engine:
    """Searches a store.

    generation: opened before the store, so that it is never ahead of the rows.
    encoder, text_encoder: return the encoder of images and the one of texts, which may be lighter.
    Each is called whenever a query needs it, so they should keep what they have loaded.
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
        self._generation = generation
        self._terms = TermReader(
            store, encoder=encoder, text_encoder=text_encoder, bounds=bounds or MediaBounds()
        )
        self._nearest = Nearest(store, generation)
        self._collector = CandidateCollector(store, self._nearest)
        self._part_finder = PartFinder(store, self._nearest)

    @property
    def store(self) -> Store:
        """The store that is searched, at the version it was opened."""
        return self._store

    @property
    def generation(self) -> Generation | None:
        """The live generation, None before the first index run."""
        return self._generation

    @property
    def fusion(self) -> Fusion:
        """How image and text vectors become product vectors."""
        return self._nearest.fusion

    def search(self, query: Query) -> list[Hit]:
        """Returns the hits of a query, best first.

        Raises BadQuery, BadFilter, RecordNotFound, UnreadableMedia, SpaceMismatch.
        """
        return list(self.page(query).hits)

    def page(self, query: Query) -> Page:
        """Returns the hits of a query with the cursor of the next page."""
        return self.pages([query])[0]

    def search_many(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """Returns the hits of each query; encoding and search run in batches."""
        return [list(page.hits) for page in self.pages(queries)]

    def text_notes(self, texts: Sequence[str]) -> list[str]:
        """Returns what the user should know about texts that were just searched for."""
        return self._terms.notes(texts)

    def pages(self, queries: Sequence[Query]) -> list[Page]:
        """Returns a page of each query; encoding and search run in batches."""
        state = self._state()
        searches = []
        for query, (terms, excluded) in zip(queries, self._terms.read(queries), strict=True):
            targets = self._targets(query)
            cursor = Cursor.read(query.after, query, state) if query.after is not None else None
            searches.append(SearchState(query, terms, targets, excluded=excluded, cursor=cursor))
        self._collector.fill(searches)
        records = self._records([found for search in searches for found in search.page])
        shown = self._part_finder.find(searches)
        return [
            self._page(search, records, parts, state)
            for search, parts in zip(searches, shown, strict=True)
        ]

    def _page(
        self,
        search: SearchState,
        records: dict[int, dict[str, object]],
        parts: ShownParts,
        state: str,
    ) -> Page:
        hits = tuple(
            self._hit(search, found, search.offset + place, row=records[found.item], parts=parts)
            for place, found in enumerate(search.page, start=1)
        )
        end = search.offset + len(hits)
        if len(search.results) <= end:
            return Page(hits, None)
        return Page(hits, str(Cursor(state, fingerprint(search.query), end, search.first_depth)))

    def _hit(
        self,
        search: SearchState,
        found: Candidate,
        rank: int,
        *,
        row: dict[str, object],
        parts: ShownParts,
    ) -> Hit:
        return Hit(
            rank,
            str(row["key"]),
            str(row["uri"]),
            found.similarity,
            found.matched,
            self._store.public_record(row),
            score=None if search.query.keyword is None else found.score,
            part=parts.part(found),
            excerpt=parts.excerpt(found),
        )

    def _state(self) -> str:
        """Identifies what the order of hits depends on: the rows, the index, the hidden items."""
        number = self._generation.info.number if self._generation else 0
        hidden = ",".join(str(uid) for uid in sorted(self._collector.hidden))
        digest = blake2b(hidden.encode(), digest_size=4).hexdigest() if hidden else "0"
        return f"{self._store.version}.{number}.{digest}"

    def _targets(self, query: Query) -> tuple[Target, ...]:
        if query.target != "auto":
            return (query.target,)
        # A product vector is of an item, not of a part.
        return self._modalities if query.parts else self._auto

    @cached_property
    def _modalities(self) -> tuple[Target, ...]:
        counts = self._store.counts()
        modalities: tuple[Target, ...] = ("image", "text")
        return tuple(name for name in modalities if counts[name]) or ("image",)

    @cached_property
    def _auto(self) -> tuple[Target, ...]:
        """The targets of 'auto': products where most items have both, else each modality."""
        counts = self._store.counts()
        if counts["both"] and 2 * counts["both"] >= counts["items"]:
            return ("product",)
        return self._modalities

    def _records(self, candidates: Sequence[Candidate]) -> dict[int, dict[str, object]]:
        uids = list({found.item for found in candidates})
        rows = self._store.rows(uids, ["_uid", *self._store.public_columns]).to_pylist()
        return {row["_uid"]: row for row in rows}
