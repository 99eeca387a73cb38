"""A model's vectors for each kind of task; products are fused as an index would fuse them."""

from collections.abc import Sequence

import numpy as np

from mmsearch.evaluation.embed import Embedded
from mmsearch.evaluation.labels import NONE, LabelledItem
from mmsearch.evaluation.tasks import Products, Task
from mmsearch.fusion import Fusion, shrunken_mean
from mmsearch.records import Floats, Ids, Modality, Target


class TaskVectors:
    """What one model gives to compare. fusion: how products are made, over any means."""

    def __init__(self, model: Embedded, items: Sequence[LabelledItem], fusion: Fusion) -> None:
        self._vectors: dict[Target, Floats] = {"image": model.images, "text": model.texts}
        means: dict[Modality, Floats] = {
            "image": _mean(model.images, [item.image for item in items]),
            "text": _mean(model.texts, [item.text for item in items]),
        }
        self._fusion = fusion.with_means(means)
        products = Products.of(items)
        images = _or_zeros(model.images, products.images)
        self._vectors["product"] = self._fusion.products(
            images, _or_zeros(model.texts, products.texts)
        )

    def of(self, task: Task) -> tuple[Floats, Floats]:
        """Queries float32 (q, dim) and candidates float32 (n, dim), unit rows, by the task."""
        queries = self._vectors[task.query][task.queries]
        if task.candidate == "product" and task.query != "product":
            queries = self._fusion.centre(queries, task.query)
        return queries, self._vectors[task.candidate][task.candidates]


def _mean(vectors: Floats, positions: Sequence[int]) -> Floats:
    """float32 (dim,), over items, as a store's mean is."""
    rows = np.array([position for position in positions if position != NONE], np.int64)
    return shrunken_mean(vectors[rows].sum(axis=0, dtype=np.float64).astype(np.float32), len(rows))


def _or_zeros(vectors: Floats, positions: Ids) -> Floats:
    """float32 (p, dim): zeros where there is none."""
    rows = np.zeros((len(positions), vectors.shape[1]), np.float32)
    rows[positions != NONE] = vectors[positions[positions != NONE]]
    return rows
