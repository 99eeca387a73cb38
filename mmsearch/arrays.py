"""Array operations shared by many packages."""

from collections.abc import Iterable, Iterator

import numpy as np

from mmsearch.records import Floats, Ids


def unit(vectors: Floats) -> Floats:
    """Normalises rows to length 1: float32 (n, dim) → float32 (n, dim). Zero rows stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return rows


def blocks(count: int, size: int) -> Iterator[slice]:
    """Yields slices of at most `size` positions that cover 0 to `count`, in order."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def connected_components(count: int, edges: Iterable[tuple[int, int]]) -> Ids:
    """Labels nodes 0 to `count` by component: int64 (count,), numbered by first appearance."""
    parents = list(range(count))
    for one, other in edges:
        parents[_root(parents, one)] = _root(parents, other)
    labels: dict[int, int] = {}
    found = [labels.setdefault(_root(parents, node), len(labels)) for node in range(count)]
    return np.array(found, dtype=np.int64)


def _root(parents: list[int], node: int) -> int:
    while parents[node] != node:
        # Path halving keeps trees flat without a second pass.
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node
