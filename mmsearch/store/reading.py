"""Reads a store: rows, vectors, keyword matches, counts and failures."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mmsearch.errors import BadFilter, BadQuery
from mmsearch.records import Floats, Ids, Value
from mmsearch.store.filters import LIVE, filter_fault, live_and, quoted
from mmsearch.store.lookups import has_form_index, has_word_index, word_columns
from mmsearch.store.parts import PartReader
from mmsearch.store.rows import vectors_to_numpy
from mmsearch.store.snapshot import FILE_COLUMNS, Snapshot
from mmsearch.store.word_forms import COLUMN as WORD_FORMS
from mmsearch.store.word_forms import query_forms

# Rows per batch when vectors are read with them.
SCAN_ROWS = 8192
# Rows per batch without vectors: with LanceDB's default of 1,024, 200,000 uids took five times
# as long.
READ_ROWS = 65_536
# A message about a filter names at most this many columns.
COLUMNS_NAMED = 40
# Weights of codes as a whole, beside that of their parts, of other spellings, of beginnings of
# words and of words with a typo. An item that has the word itself has all its forms too, so it
# ranks higher.
CODE_WEIGHT, SPELLING_WEIGHT, PREFIX_WEIGHT, TYPO_WEIGHT = 3.0, 0.5, 0.1, 0.1
# Keys that a mistyped one is compared with, in some 0.1 s.
_COMPARED_KEYS = 20_000


class StoreReader(PartReader):
    """The read access to a store; `Store` adds the writes."""

    def __len__(self) -> int:
        if self._snapshot is not None:
            return int(self._snapshot.counts["items"])
        return int(self._items.count_rows(LIVE))

    def scan(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Reads columns of the rows that match an SQL filter, of all rows by default."""
        query = self._items.search().select(list(columns))
        return _read(query.where(where) if where else query)

    def vectors(
        self, columns: Sequence[str], where: str = LIVE
    ) -> Iterator[tuple[Ids, list[Floats]]]:
        """Yields uids int64 (n,) and, per column, float32 (n, dim); missing vectors are zeros."""
        query = self._items.search().where(where).select(["_uid", *columns])
        for batch in query.to_batches(batch_size=SCAN_ROWS):
            if batch.num_rows:
                uids = batch.column("_uid").to_numpy(zero_copy_only=False)
                yield uids, [vectors_to_numpy(batch.column(name), self.dim) for name in columns]

    def uids(self, where: str | None = None) -> Ids:
        """Returns the uids, int64 (n,), of the live rows that match. Raises BadFilter."""
        sql = self.sql_of(where)
        if self._snapshot is not None:
            matching = self._matching(sql, self._snapshot)
            if matching is not None:
                return matching
        live = live_and(sql)
        query = self._items.search().where(live).select(["_uid"])
        try:
            table = _read(query)
        except (ValueError, RuntimeError) as error:
            raise self._bad_filter(where or LIVE, filter_fault(error)) from error
        uids: Ids = table.column("_uid").to_numpy()
        return uids

    def _matching(self, sql: str | None, snapshot: Snapshot) -> Ids | None:
        """Returns the matching uids of a snapshot, None where only LanceDB can tell."""
        if sql is None:
            return snapshot.uids
        from mmsearch.store.filters.snapshot_filter import matching

        mask = matching(sql, snapshot.rows)
        return None if mask is None else snapshot.uids[mask]

    def sql_of(self, where: str | None) -> str | None:
        """Compiles a filter, as people type it, to SQL for LanceDB. Raises BadFilter."""
        if where is None:
            return None
        # Imported here, since few searches have a filter and the parser takes 0.1 s to import.
        from mmsearch.store.filters.compiler import FilterCompiler

        try:
            return FilterCompiler(self.column_types(), self._values_of).compile(where)
        except BadFilter as error:
            raise self._bad_filter(where, str(error)) from error

    def matching_counts(self, where: str) -> list[tuple[str, int]]:
        """Counts the live rows that match each condition of a filter by itself. Raises BadFilter.

        The conditions are those joined by AND at the top level, as they were typed.
        """
        from mmsearch.store.filters.syntax import conditions

        return [(part, len(self.uids(part))) for part in conditions(where, self.public_columns)]

    def _bad_filter(self, where: str, reason: str) -> BadFilter:
        names = sorted(self.public_columns)
        more = f" and {len(names) - COLUMNS_NAMED} more" if len(names) > COLUMNS_NAMED else ""
        return BadFilter(
            f"the filter {where!r} cannot be run: {reason}; "
            f"columns: {', '.join(names[:COLUMNS_NAMED])}{more}"
        )

    def _values_of(self, column: str, most: int | None) -> list[Any]:
        """Returns distinct values of a column in live rows, the first ones or all.

        Of a column of lists, the values in the lists.
        """
        values = self._live_values(column, most)
        if pa.types.is_list(values.type):
            values = pc.list_flatten(values)
        return list(values.unique().drop_null().to_pylist()[:most])

    def _live_values(self, column: str, most: int | None) -> pa.ChunkedArray:
        if self._snapshot is not None:
            return self._snapshot.rows.column(column)
        query = self._items.search().where(f"{LIVE} AND `{column}` IS NOT NULL").select([column])
        # Values repeat, so a few more rows are read than distinct ones are needed.
        found = query.limit(50 * most).to_arrow() if most is not None else _read(query)
        return found.column(column)

    def rows(self, uids: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """Returns the rows of these uids, in no particular order."""
        if columns and self._snapshot and set(columns) <= set(self._snapshot.rows.column_names):
            return self._snapshot.rows_of(uids, columns)
        names = list(columns) if columns else self._items.schema.names
        if not uids:
            return self._items.schema.empty_table().select(names)
        listed = ", ".join(str(int(uid)) for uid in uids)
        return self.scan(names, f"_uid IN ({listed})")

    def rows_of_keys(self, keys: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Returns the rows of those keys that exist, in no particular order."""
        known = self._snapshot
        if known is not None and not known.counts["missing"]:
            present = set(known.rows.column("key").to_pylist())
            keys = [key for key in keys if key in present]
        return list(self.scan(columns, f"key IN ({quoted(keys)})").to_pylist()) if keys else []

    def keyword_matches(self, words: str, limit: int, where: str | None) -> tuple[Floats, Ids]:
        """Returns BM25 scores float32 and uids int64, (≤ limit,), of the live rows that match.

        Rows newer than the full-text index are found too. Raises BadFilter, BadQuery.
        """
        if not has_word_index(self._items):
            raise BadQuery(
                f"{self.folder} has no word index yet; run `catalog.index(rebuild=True)` once"
            )
        match = _keyword_query(words, word_columns(self.metadata_columns), self._items)
        allowed = live_and(self.sql_of(where))
        query = self._items.search(match, query_type="fts").where(allowed, prefilter=True)
        found = query.select(["_uid", "_score"]).limit(limit).to_arrow()
        found = found.sort_by([("_score", "descending"), ("_uid", "ascending")])
        return found.column("_score").to_numpy(), found.column("_uid").to_numpy()

    def key_hint(self, key: str) -> str:
        """Returns what to say of a key that no item has: the nearest one, or an example."""
        rows = self._snapshot.rows if self._snapshot else None
        if rows is None:
            rows = self._items.search().where(LIVE).select(["key"]).limit(_COMPARED_KEYS).to_arrow()
        keys = rows.column("key").slice(0, _COMPARED_KEYS).to_pylist()
        if near := get_close_matches(key, keys, n=1, cutoff=0.8):
            return f"did you mean {near[0]!r}?"
        return f"keys look like '{keys[0] if keys else 'source/path.jpg'}'"

    def public_record(self, row: Mapping[str, Any]) -> dict[str, Value]:
        """Returns a row without internal columns and empty cells."""
        return {
            name: value
            for name, value in row.items()
            if not name.startswith("_") and value is not None
        }

    def counts(self) -> dict[str, int]:
        """Counts live rows by modality, their parts, missing rows and failures."""
        if self._snapshot is not None:
            # A snapshot from before there were parts does not count them.
            return {"image_parts": 0, "passages": 0, **self._snapshot.counts}
        has = {"image": "_image_vector IS NOT NULL", "text": "_text_vector IS NOT NULL"}
        found = dict.fromkeys(("items", "image", "text", "both"), 0)
        # Lance reads a vector to tell whether it is null, so everything is counted in one pass.
        for batch in self._items.search().where(LIVE).select(has).to_batches(batch_size=SCAN_ROWS):
            image, text = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
            found["items"] += batch.num_rows
            found["image"] += int(image.sum())
            found["text"] += int(text.sum())
            found["both"] += int((image & text).sum())
        missing, failures = len(self._items) - found["items"], len(self._failures)
        parts = {"image_parts": self.count_parts("image"), "passages": self.count_parts("passage")}
        return {**found, **parts, "missing": missing, "failures": failures}

    def count(self, where: str) -> int:
        """Counts the live rows that match."""
        return int(self._items.count_rows(f"{LIVE} AND {where}"))

    def count_source(self, name: str) -> int:
        """Counts the live rows of a source."""
        if self._snapshot is not None:
            sources = self._snapshot.rows.column("source").to_pylist()
            return int(sources.count(name))
        return int(self._items.count_rows(f"{LIVE} AND source = {quoted([name])}"))

    def known_files(self) -> pa.Table:
        """Returns FILE_COLUMNS of all rows, in no order; an older store may lack some."""
        if self._files is not None:
            return self._files.rows
        held = set(self._items.schema.names)
        return self.scan([name for name in FILE_COLUMNS if name in held])

    def failures(self) -> list[dict[str, Any]]:
        """The failure ledger, sorted by key."""
        if self._files is not None and not self._files.counts["failures"]:
            return []
        return list(self._failures.to_arrow().sort_by("key").to_pylist())


def _read(query: Any) -> pa.Table:
    return query.to_batches(batch_size=READ_ROWS).read_all()


def _keyword_query(words: str, columns: Sequence[str], table: Any) -> Any:
    """Returns a query for the words and, where the table has an index of them, their forms."""
    from lancedb.query import BooleanQuery, MatchQuery, MultiMatchQuery, Occur

    literal = MultiMatchQuery(words, list(columns))  # type: ignore[call-arg]
    if not has_form_index(table):
        return literal
    forms = query_forms(words)
    weighted = (
        (forms.codes, CODE_WEIGHT, 0),
        (forms.equal, SPELLING_WEIGHT, 0),
        (forms.prefixes, PREFIX_WEIGHT, 0),
        (forms.typos, TYPO_WEIGHT, 1),
    )
    # A typo in the first letter is rare, and looking for it slow.
    matches = [
        MatchQuery(text, WORD_FORMS, boost=boost, fuzziness=typos, prefix_length=typos)  # type: ignore[call-arg]
        for text, boost, typos in weighted
        if text
    ]
    return BooleanQuery([(Occur.SHOULD, query) for query in (literal, *matches)])
