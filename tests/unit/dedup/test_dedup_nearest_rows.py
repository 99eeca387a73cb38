"""Incrementally updated neighbour lists equal recomputed ones, including ties."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.dedup.findings.nearest_rows import NearestRows, places_of
from mmsearch.fusion import unit
from mmsearch.records import Floats, Ids

ROWS, DIM, K = 60, 8, 12


@st.composite
def histories(draw: st.DrawFn) -> list[Ids]:
    """Ascending uids of several runs, with rows added and removed."""
    runs = [draw(st.sets(st.integers(0, ROWS - 1), min_size=2))]
    for _ in range(draw(st.integers(1, 4))):
        following = runs[-1] ^ draw(st.sets(st.integers(0, ROWS - 1), max_size=20))
        runs.append(following if len(following) > 1 else runs[-1])
    return [np.array(sorted(run), np.int64) for run in runs]


@given(histories(), st.integers(0, 2**20), st.sampled_from([2, 15]))
@settings(max_examples=150, deadline=None)
def test_updating_gives_what_starting_over_gives(runs: list[Ids], seed: int, kinds: int) -> None:
    chance = np.random.default_rng(seed)
    # Few distinct vectors: texts of one product kind have one vector, and their rows tie.
    distinct = unit(chance.normal(size=(kinds, DIM)).astype(np.float32))
    vectors = distinct[chance.integers(0, kinds, ROWS)]
    kept = NearestRows.of(runs[0], vectors[runs[0]], K)
    for uids in runs[1:]:
        kept = kept.updated(uids, vectors[uids], K)
        fresh = NearestRows.of(uids, vectors[uids], K)
        assert kept.uids.tolist() == uids.tolist()
        assert kept.near.tolist() == fresh.near.tolist()
        assert kept.similarities.tolist() == fresh.similarities.tolist()


def test_the_nearest_are_those_of_brute_force() -> None:
    vectors = unit(np.random.default_rng(3).normal(size=(ROWS, DIM)).astype(np.float32))
    found = NearestRows.of(np.arange(ROWS), vectors, K)
    assert found.near.tolist() == brute_force(vectors).tolist()


def brute_force(vectors: Floats) -> Ids:
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -2)
    nearest: Ids = np.argsort(-similarities, axis=1)[:, :K]
    return nearest


def test_places_of_what_is_there_and_of_what_is_not() -> None:
    ascending = np.array([2, 5, 9])
    assert places_of(np.array([9, 1, 5, 12, 2]), ascending).tolist() == [2, -1, 1, -1, 0]
    assert places_of(np.array([3]), ascending[:0]).tolist() == [-1]
