"""Cells are the same whatever index finds the nearest centres while they are learned."""

import faiss
import numpy as np
import pytest

from mmsearch.indexes.ivf import train_cells
from tests.support.random_vectors import RandomVectors

DIM, CELLS = 16, 8


@pytest.mark.parametrize("kind", ["flat", "product codes"])
def test_another_index_may_find_the_centres(kind: str) -> None:
    sample = RandomVectors(CELLS * 39, DIM).vectors
    centres = []
    for nearest in (None, faiss.IndexFlatIP(DIM)):
        quantizer = faiss.IndexFlatIP(DIM)
        index = (
            faiss.IndexIVFFlat(quantizer, DIM, CELLS, faiss.METRIC_INNER_PRODUCT)
            if kind == "flat"
            else faiss.IndexIVFPQFastScan(
                quantizer, DIM, CELLS, DIM // 2, 4, faiss.METRIC_INNER_PRODUCT
            )
        )
        train_cells(index, quantizer, sample, nearest=nearest)
        assert index.is_trained
        assert index.clustering_index is None
        centres.append(quantizer.reconstruct_n(0, CELLS))
    assert np.allclose(centres[0], centres[1])
    assert np.allclose(np.linalg.norm(centres[0], axis=1), 1, atol=1e-5)
