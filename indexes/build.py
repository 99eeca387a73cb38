"""Builds an index from batches: chooses a kind, trains on a sample, adds the rows, tunes."""

from collections.abc import Mapping

import numpy as np

from mmsearch.errors import InputError
from mmsearch.indexes.base import IndexOptions, VectorBatches
from mmsearch.indexes.binary import BinaryIndex, new_binary
from mmsearch.indexes.checks import require_distinct, require_pairs, require_vectors
from mmsearch.indexes.choice import cell_count, choose
from mmsearch.indexes.faiss_index import FaissIndex
from mmsearch.indexes.flat import FlatIndex, new_flat
from mmsearch.indexes.ground_truth import GroundTruth
from mmsearch.indexes.hnsw import HnswIndex, new_hnsw
from mmsearch.indexes.itq import POINTS as ROTATION_POINTS
from mmsearch.indexes.ivf import IvfFlatIndex, IvfSq8Index, new_ivf
from mmsearch.indexes.part_items import PartItems
from mmsearch.indexes.pq import IvfPqIndex, new_pq
from mmsearch.indexes.tuning import explain, tune_index
from mmsearch.records import Floats, Ids

# Enough for an interval of about ±0.01 around a recall of 0.95.
TUNING_QUERIES = 500

# The share of changes after which cells, codes and effort no longer fit the rows.
REBUILD_SHARE = 0.2

# k-means gains nothing from more points, and its time grows with them.
TRAINING_POINTS_PER_CELL = 64


def build_index(
    batches: VectorBatches,
    *,
    dim: int,
    options: IndexOptions = IndexOptions(),
    queries: Mapping[str, Floats] | None = None,
    modalities: Mapping[str, Floats] | None = None,
    parts: PartItems | None = None,
    seed: int = 0,
) -> FaissIndex:
    """Builds an index of all vectors in `batches`, which are read up to three times per kind tried.

    queries: tune the effort, by group ('text', 'image'), float32 (q, dim), unit rows; each group
    must reach options.recall. Default: a sample of the rows. modalities: sample vectors of each
    modality of queries, for kinds that are trained on them. Default: `queries`. parts: of items,
    among the rows; the recall is then that of items. Raises InputError, SpaceMismatch.
    """
    given = {name: part for name, part in (queries or {}).items() if len(part)}
    learned = {name: part for name, part in (modalities or given).items() if len(part)}
    for name, part in [*given.items(), *learned.items()]:
        require_vectors(part, dim, holder=f"the group of tuning queries '{name}'")
    for plan in choose(len(batches), dim, options):
        index = _empty(plan.kind, batches, dim, seed=seed, modalities=learned)
        tuned = plan.kind != "flat" and len(batches) > 0
        truth = GroundTruth(given or _held_out(batches, dim, seed), parts) if tuned else None
        _fill(index, batches, truth)
        if truth is not None:
            tune_index(
                index,
                truth,
                efforts=index.efforts,
                refinements=index.refinements,
                floor=options.recall,
            )
        index.built = len(batches)
        index.reason = explain(plan.why, index.effort_text, index.tuning)
        if index.tuning is None or index.tuning.reached:
            break
    return index


def rebuild_reason(index: FaissIndex, options: IndexOptions) -> str:
    """Returns why the index should be rebuilt, in words; '' where it need not be."""
    if index.kind != "flat" and index.changes > REBUILD_SHARE * index.built:
        return f"{index.changes:,} changes since it was built over {index.built:,} rows"
    kinds = [plan.kind for plan in choose(len(index), index.dim, options)]
    # A kind that was second choice stays: the first has missed the recall.
    first_then = choose(index.built, index.dim, options)[0].kind
    if index.kind != kinds[0] and (index.kind == first_then or index.kind not in kinds):
        return f"{kinds[0]} suits {len(index):,} rows better than {index.kind}"
    return ""


def _empty(
    kind: str,
    batches: VectorBatches,
    dim: int,
    *,
    seed: int,
    modalities: Mapping[str, Floats],
) -> FaissIndex:
    if kind == "flat":
        return FlatIndex(new_flat(dim))
    if kind == "hnsw":
        return HnswIndex(new_hnsw(dim))
    if kind == "binary":
        sample = spread_sample(batches, ROTATION_POINTS, dim, seed)
        return BinaryIndex(new_binary(dim, sample, modalities))
    cells = cell_count(len(batches))
    sample = spread_sample(batches, TRAINING_POINTS_PER_CELL * cells, dim, seed)
    if kind == "ivf-pq":
        return IvfPqIndex(new_pq(dim, cells, sample))
    empty = new_ivf(kind, dim, cells, sample)
    return IvfFlatIndex(empty) if kind == "ivf-flat" else IvfSq8Index(empty)


def spread_sample(batches: VectorBatches, size: int, dim: int, seed: int) -> Floats:
    """Samples at most `size` rows uniformly from all batches, float32 (m, dim)."""
    count = len(batches)
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.choice(count, min(size, count), replace=False, shuffle=False))
    parts, start = [np.empty((0, dim), np.float32)], 0
    for vectors, ids in batches:
        require_pairs(vectors, ids, dim)
        inside = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, start + len(ids))]
        parts.append(vectors[inside - start])
        start += len(ids)
    return np.concatenate(parts)


def _held_out(batches: VectorBatches, dim: int, seed: int) -> dict[str, Floats]:
    return {"row": spread_sample(batches, TUNING_QUERIES, dim, seed + 1)}


def _fill(index: FaissIndex, batches: VectorBatches, truth: GroundTruth | None) -> None:
    """Adds every batch; the ids of all batches are checked together at the end."""
    seen: list[Ids] = [np.empty(0, np.int64)]
    for vectors, ids in batches:
        require_pairs(vectors, ids, index.dim)
        index.insert(vectors, ids)
        if truth is not None:
            truth.update(vectors, ids)
        seen.append(ids)
    every = np.concatenate(seen)
    require_distinct(every)
    if len(every) != len(batches):
        raise InputError(f"the batches announced {len(batches):,} vectors and held {len(every):,}")
