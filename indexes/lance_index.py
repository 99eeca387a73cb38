"""Lance's own index as a VectorIndex: vectors, cells and codes stay in the Lance table.

Memory use is small whatever the table's size, filters run as SQL inside the search, and the table
may be on object storage. Lance scans rows that are not indexed yet, so results are never behind the
table; `optimize` adds such rows to the index.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmsearch.errors import CorruptIndex, InputError
from mmsearch.indexes.base import LANCE, RECALL_AT, IndexMeta, IndexOptions, Tuning, VectorBatches
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
from mmsearch.indexes.part_items import PartItems
from mmsearch.indexes.tuning import explain, tune_index
from mmsearch.records import Floats, Ids

KIND = LANCE
IDS = "_uid"

# Candidates re-ranked by their full vectors, per requested hit.
REFINEMENTS = (4, 8, 16, 32, 64)

# Values per 8-bit code: an eighth of the size of float16 vectors.
VALUES_PER_CODE = 4

# The rows per cell that Lance trains with.
POINTS_PER_CELL = 256

# Queries per call of Lance, and tuning queries per modality: each takes milliseconds.
AT_ONCE = 64
TUNING_QUERIES = 128

# An exact scan over this many rows costs no more than an index search.
SCANNED_ROWS = 2_000


class LanceIndex:
    """A vector column of a LanceDB table, with Lance's index.

    column: float16 or float32 vectors, null for rows without one. live: an SQL condition on the
    rows that may be found. effort: cells probed; refinement: candidates re-ranked per requested
    hit. Which of equal similarities at place k are kept is up to Lance.
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
        """The number of dimensions of its vectors."""
        return int(self.table.schema.field(self.column).type.list_size)

    def __len__(self) -> int:
        return int(self.table.count_rows(self._live))

    def ids(self) -> Ids:
        """Returns the ids, int64 (n,), of the rows that may be found."""
        found = self.table.search().where(self._live).select([IDS]).to_arrow()
        ids: Ids = found.column(IDS).to_numpy()
        return ids

    @property
    def name(self) -> str:
        """The name of the index in the table."""
        return f"{self.column}_cells"

    def add(self, vectors: Floats, ids: Ids) -> None:
        """Adds vectors, float32 (n, dim), unit rows, under ids, int64 (n,), not present yet."""
        require_pairs(vectors, ids, self.dim)
        require_distinct(ids)
        present = self.table.search().where(_among(ids)).select([IDS]).limit(1).to_arrow()
        if present.num_rows:
            raise InputError(f"id {present[IDS][0]} is already in the index; remove it first")
        self.table.add(rows_of(vectors, ids, self.table.schema))

    def remove(self, ids: Ids) -> int:
        """Removes the ids, int64 (n,), that are present and returns how many those were."""
        require_ids(ids, holder="ids")
        there = int(self.table.count_rows(_among(ids)))
        if there:
            self.table.delete(_among(ids))
        return there

    def optimize(self) -> None:
        """Adds rows that came since the last call to the index."""
        self.table.optimize()

    def search(
        self,
        queries: Floats,
        k: int,
        *,
        allowed: IdFilter | None = None,
        where: str | None = None,
    ) -> tuple[Floats, Ids]:
        """Searches queries, float32 (q, dim), unit rows → similarities (q, k), ids (q, k).

        allowed: the only ids that may be returned. where: an SQL filter over the table's other
        columns, applied before the search. See `VectorIndex.search`.
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
            fill = partial(self._fill, similarities, ids, queries, condition=condition)
            fill(every, probes=0 if exact else probes)
            fill(np.flatnonzero((ids < 0).any(axis=1)), probes=0)
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
        *,
        condition: str,
        probes: int,
    ) -> None:
        """Searches the queries at `places`; writes to their rows of both outputs, (q, k)."""
        k = ids.shape[1]
        for start in range(0, len(places), AT_ONCE):
            batch = places[start : start + AT_ONCE]
            found = self._nearest(queries[batch], k, condition, probes)
            for place, (best, names) in zip(batch, found, strict=True):
                similarities[place, : len(names)], ids[place, : len(names)] = best, names

    def _nearest(
        self, queries: Floats, k: int, condition: str, probes: int
    ) -> list[tuple[Floats, Ids]]:
        """Returns at most k similarities and ids per query, best first.

        queries: float32 (q, dim). probes: cells; 0 for an exact scan.
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
        # For a single query Lance leaves this column out.
        several = "query_index" in rows.column_names
        query = rows.column("query_index").to_numpy() if several else np.zeros(len(ids), np.int32)
        order = np.lexsort((ids, -similarities, query))
        parts = [order[query[order] == number][:k] for number in range(len(queries))]
        return [(similarities[part], ids[part]) for part in parts]


def build_lance(
    index: LanceIndex,
    batches: VectorBatches,
    *,
    why: str,
    options: IndexOptions,
    queries: Mapping[str, Floats],
    parts: PartItems | None = None,
) -> None:
    """Trains Lance's index over the table's rows and tunes it like the FAISS kinds.

    batches: the same rows, for the ground truth. queries: by group, float32 (q, dim), unit rows.
    parts: of items, among the rows; the recall is then that of items.
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
        {name: part[:: 1 + len(part) // TUNING_QUERIES] for name, part in queries.items()}, parts
    )
    for vectors, ids in batches:
        truth.update(vectors, ids)
    efforts = sorted({*probe_efforts(cells)[::2], cells})
    tune_index(index, truth, efforts=efforts, refinements=REFINEMENTS, floor=options.recall)
    index.built = len(batches)
    looked = f"{index.effort:,} of {cells:,} cells probed, "
    looked += f"{RECALL_AT * index.refinement:,} candidates re-ranked"
    index.reason = explain(why, looked, index.tuning)


def lance_meta(index: LanceIndex, table: str) -> IndexMeta:
    """Returns the metadata for `save_meta`: the table and column instead of a file."""
    import lancedb

    from mmsearch.indexes.meta_file import FORMAT_VERSION

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
    """Opens the index in a LanceDB folder, a path or a URI, at the table version that was indexed.

    live: as in LanceIndex. Raises CorruptIndex where the table or its index is missing.
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
            f"the Lance index in {folder} cannot be opened ({error}); run "
            "`catalog.index(rebuild=True)`"
        ) from error
    if index.name not in held:
        raise CorruptIndex(
            f"table '{name}' in {folder} has no index '{index.name}'; "
            "run `catalog.index(rebuild=True)`"
        )
    return index


def rows_of(vectors: Floats, ids: Ids, schema: pa.Schema) -> pa.Table:
    """Builds rows for a table of ids and vectors. vectors: float32 (n, dim)."""
    kind = schema.field(1).type
    values = pa.array(vectors.astype(kind.value_type.to_pandas_dtype()).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(values, kind.list_size)
    return pa.table([pa.array(ids), column], schema=schema)


def vectors_schema(dim: int, column: str) -> pa.Schema:
    """Returns the schema of a table of ids and one vector column."""
    return pa.schema([(IDS, pa.int64()), (column, pa.list_(pa.float16(), dim))])


def _codes(dim: int) -> int:
    """Returns the codes per vector: a divisor of dim, for about VALUES_PER_CODE values each."""
    return next(count for count in range(max(1, dim // VALUES_PER_CODE), 0, -1) if dim % count == 0)


def _among(ids: Ids) -> str:
    return f"{IDS} IN ({', '.join(map(str, ids.tolist()))})" if len(ids) else "FALSE"
