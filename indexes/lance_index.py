"""Lance's own index as a VectorIndex: the vectors stay in their Lance table, cells and codes too.

Memory stays small whatever the table's size, a filter runs as SQL inside the search, and the table
may lie on object storage. Lance compares rows that its index lacks one by one, so answers are never
behind the table; `optimize` takes such rows in.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmsearch.errors import CorruptIndex, InputError
from mmsearch.indexes.base import RECALL_AT, IndexMeta, IndexOptions, Tuning, VectorBatches
from mmsearch.indexes.checks import (
    require_distinct,
    require_ids,
    require_k,
    require_pairs,
    require_vectors,
)
from mmsearch.indexes.choice import cell_count
from mmsearch.indexes.faiss_index import ordered, widened
from mmsearch.indexes.ground_truth import GroundTruth
from mmsearch.indexes.ids import IdFilter
from mmsearch.indexes.ivf import probe_efforts
from mmsearch.indexes.tuning import explain, tune, tune_refinement
from mmsearch.records import Floats, Ids

KIND = "lance"
IDS = "_uid"

# How many candidates are compared again by their whole vectors, for each hit asked for.
REFINEMENTS = (4, 8, 16, 32, 64)

# Values to one 8-bit code: an eighth of the size of float16 vectors.
VALUES_PER_CODE = 4

# Lance trains no more cells than it has so many rows for.
POINTS_PER_CELL = 256

# Queries that Lance gets together, and that effort is tuned on by modality: it takes milliseconds
# over each.
AT_ONCE = 64
TUNING_QUERIES = 128

# Comparing so few rows one by one costs no more than a look into the index.
SCANNED_ROWS = 2_000


class LanceIndex:
    """table: LanceDB's; column: its vectors, float16 or float32, null where a row has none.

    live: SQL that holds for rows that may be found. Equal similarities at place k are cut as Lance
    does. effort: cells probed; refinement: candidates compared again for each hit.
    """

    kind = KIND

    def __init__(
        self,
        table: Any,
        column: str,
        *,
        live: str = "TRUE",
        effort: int = 1,
        refinement: int = REFINEMENTS[0],
    ) -> None:
        self.table, self.column = table, column
        self.effort, self.refinement = effort, refinement
        self.reason, self.tuning = "", None
        self.built = self.changes = 0
        self._live = f"{column} IS NOT NULL AND {live}"

    reason: str
    tuning: Tuning | None

    @property
    def dim(self) -> int:
        return int(self.table.schema.field(self.column).type.list_size)

    def __len__(self) -> int:
        return int(self.table.count_rows(self._live))

    def ids(self) -> Ids:
        """int64 (n,), of all the rows that may be found."""
        found = self.table.search().where(self._live).select([IDS]).to_arrow()
        ids: Ids = found.column(IDS).to_numpy()
        return ids

    @property
    def name(self) -> str:
        """The index's own name in the table."""
        return f"{self.column}_cells"

    def add(self, vectors: Floats, ids: Ids) -> None:
        """vectors: float32 (n, dim), unit rows; ids: int64 (n,), none of them present yet."""
        require_pairs(vectors, ids, self.dim)
        require_distinct(ids)
        present = self.table.search().where(_among(ids)).select([IDS]).limit(1).to_arrow()
        if present.num_rows:
            raise InputError(f"id {present[IDS][0]} is in the index already; remove it first")
        self.table.add(rows_of(vectors, ids, self.table.schema))

    def remove(self, ids: Ids) -> int:
        """ids: int64 (n,) → how many were there."""
        require_ids(ids, holder="ids")
        there = int(self.table.count_rows(_among(ids)))
        if there:
            self.table.delete(_among(ids))
        return there

    def optimize(self) -> None:
        """Takes rows that came since into the cells."""
        self.table.optimize()

    def search(
        self,
        queries: Floats,
        k: int,
        *,
        allowed: IdFilter | None = None,
        where: str | None = None,
    ) -> tuple[Floats, Ids]:
        """queries: float32 (q, dim), unit rows → similarities (q, k), ids (q, k); see base.py.

        where: SQL over the table's other columns, run before the search.
        """
        require_vectors(queries, self.dim, holder="the query")
        require_k(k)
        rows, condition = len(self), self._condition(allowed, where)
        matching = rows if condition == self._live else int(self.table.count_rows(condition))
        similarities = np.full((len(queries), min(k, matching)), -np.inf, np.float32)
        ids = np.full(similarities.shape, -1, np.int64)
        if matching:
            probes = widened(self.effort, k, matching / rows)
            exact = matching <= SCANNED_ROWS
            every = np.arange(len(queries))
            self._fill(similarities, ids, queries, every, condition, 0 if exact else probes)
            short = np.flatnonzero((ids < 0).any(axis=1))
            self._fill(similarities, ids, queries, short, condition, 0)
        return ordered(similarities, ids, k)

    def _condition(self, allowed: IdFilter | None, where: str | None) -> str:
        parts = [self._live]
        if where is not None:
            parts.append(f"({where}\n)")
        if allowed is not None:
            parts.append(_among(allowed.ids))
        return " AND ".join(parts)

    def _fill(
        self,
        similarities: Floats,
        ids: Ids,
        queries: Floats,
        places: Ids,
        condition: str,
        probes: int,
    ) -> None:
        """Writes into `similarities` and `ids`, (q, k), the rows of `places` of the queries."""
        k = ids.shape[1]
        for start in range(0, len(places), AT_ONCE):
            batch = places[start : start + AT_ONCE]
            found = self._nearest(queries[batch], k, condition, probes)
            for place, (best, names) in zip(batch, found, strict=True):
                similarities[place, : len(names)], ids[place, : len(names)] = best, names

    def _nearest(
        self, queries: Floats, k: int, condition: str, probes: int
    ) -> list[tuple[Floats, Ids]]:
        """queries: float32 (q, dim) → at most k similarities and ids for each, best first.

        probes: cells; 0: every row is compared.
        """
        search = self.table.search(list(queries), vector_column_name=self.column)
        search = search.distance_type("cosine")
        width = max(k, RECALL_AT)
        if probes:
            search = search.nprobes(probes).refine_factor(self.refinement)
        else:
            search = search.bypass_vector_index()
        found = search.where(condition, prefilter=True).select([IDS, "_distance"]).limit(width)
        rows = found.to_arrow()
        similarities = (1 - rows.column("_distance").to_numpy()).astype(np.float32)
        ids = rows.column(IDS).to_numpy()
        # One query alone comes back without its number.
        several = "query_index" in rows.column_names
        asked = rows.column("query_index").to_numpy() if several else np.zeros(len(ids), np.int32)
        order = np.lexsort((ids, -similarities, asked))
        parts = [order[asked[order] == number][:k] for number in range(len(queries))]
        return [(similarities[part], ids[part]) for part in parts]


def build_lance(
    index: LanceIndex,
    batches: VectorBatches,
    *,
    why: str,
    options: IndexOptions,
    queries: Mapping[str, Floats],
) -> None:
    """Trains Lance's index over the table's rows and tunes it as the FAISS kinds are tuned.

    batches: the same rows, for the exact answers. queries: by group, float32 (q, dim), unit rows.
    """
    from lancedb.index import IvfPq

    cells = max(1, min(cell_count(len(batches)), len(batches) // POINTS_PER_CELL))
    config = IvfPq(
        distance_type="cosine",
        num_partitions=cells,
        num_sub_vectors=_codes(index.dim),
    )
    index.table.create_index(index.column, config=config, name=index.name, replace=True)
    truth = GroundTruth(
        {name: part[:: 1 + len(part) // TUNING_QUERIES] for name, part in queries.items()}
    )
    for vectors, ids in batches:
        truth.update(vectors, ids)

    def found_with(queries: Floats, refinement: int) -> Ids:
        index.refinement = refinement
        return index.search(queries, RECALL_AT + 1)[1]

    def found_at(queries: Floats, effort: int) -> Ids:
        index.effort = effort
        return index.search(queries, RECALL_AT + 1)[1]

    efforts = sorted({*probe_efforts(cells)[::2], cells})
    index.effort = max(1, efforts[-1] // 4)
    index.refinement = tune_refinement(found_with, REFINEMENTS, truth, floor=options.recall)
    index.tuning = tune(found_at, efforts, truth, floor=options.recall)
    index.effort = index.tuning.effort
    index.built = len(batches)
    looked = f"{index.effort:,} of {cells:,} cells probed, "
    looked += f"{RECALL_AT * index.refinement:,} candidates compared again"
    index.reason = explain(why, looked, index.tuning)


def lance_meta(index: LanceIndex, table: str) -> IndexMeta:
    """What `save_meta` writes: no file of its own, but where the vectors lie."""
    import lancedb

    from mmsearch.indexes.files import FORMAT_VERSION

    return IndexMeta(
        format_version=FORMAT_VERSION,
        kind=KIND,
        dim=index.dim,
        count=len(index),
        built=index.built,
        changes=0,
        effort=index.effort,
        reason=index.reason,
        tuning=index.tuning,
        faiss_version=f"lancedb {lancedb.__version__}",
        size_bytes=0,
        checksum="",
        extra={
            "table": table,
            "column": index.column,
            "version": int(index.table.version),
            "refinement": index.refinement,
        },
    )


def open_lance(folder: Path | str, meta: IndexMeta, *, live: str = "TRUE") -> LanceIndex:
    """folder: LanceDB's, a path or a URI. Reads the table at the version that was indexed.

    Raises CorruptIndex where the table or its index is gone.
    """
    import lancedb

    try:
        name, column = str(meta.extra["table"]), str(meta.extra["column"])
        version, refinement = meta.extra["version"], meta.extra["refinement"]
        table = lancedb.connect(str(folder)).open_table(name)
        table.checkout(int(str(version)))
        index = LanceIndex(
            table, column, live=live, effort=meta.effort, refinement=int(str(refinement))
        )
        index.reason, index.tuning, index.built = meta.reason, meta.tuning, meta.built
        held = {found.name for found in table.list_indices()}
    except (KeyError, ValueError, RuntimeError, OSError) as error:
        raise CorruptIndex(
            f"the Lance index in {folder} cannot be opened ({error}); run 'mmsearch index "
            "--rebuild'"
        ) from error
    if index.name not in held:
        raise CorruptIndex(
            f"table '{name}' in {folder} has no index '{index.name}'; "
            "run 'mmsearch index --rebuild'"
        )
    return index


def rows_of(vectors: Floats, ids: Ids, schema: pa.Schema) -> pa.Table:
    """vectors: float32 (n, dim) → rows for a table that holds ids and vectors alone."""
    kind = schema.field(1).type
    values = pa.array(vectors.astype(kind.value_type.to_pandas_dtype()).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(values, kind.list_size)
    return pa.table([pa.array(ids), column], schema=schema)


def vectors_schema(dim: int, column: str) -> pa.Schema:
    """Of a table that holds nothing but ids and one column of vectors."""
    return pa.schema([(IDS, pa.int64()), (column, pa.list_(pa.float16(), dim))])


def _codes(dim: int) -> int:
    """How many codes a vector gets: a divisor of dim, one for about VALUES_PER_CODE values."""
    return next(count for count in range(max(1, dim // VALUES_PER_CODE), 0, -1) if dim % count == 0)


def _among(ids: Ids) -> str:
    return f"{IDS} IN ({', '.join(map(str, ids.tolist()))})" if len(ids) else "FALSE"
