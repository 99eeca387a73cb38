"""A model's vectors for each kind of task, with products fused as in an index."""

from collections.abc import Sequence

import numpy as np

from mmsearch.evaluation.embed import Embedded
from mmsearch.evaluation.labels import NONE, LabelledItem
from mmsearch.evaluation.tasks import Products, Task
from mmsearch.fusion import Fusion, shrunken_mean
from mmsearch.records import Floats, Ids, Modality, Target


class TaskVectors:
    """The vectors of one model. fusion: how products are computed; its means are replaced."""

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
        """Returns a task's queries float32 (q, dim) and candidates float32 (n, dim), unit rows."""
        queries = self._vectors[task.query][task.queries]
        if task.candidate == "product" and task.query != "product":
            queries = self._fusion.centre(queries, task.query)
        return queries, self._vectors[task.candidate][task.candidates]


def _mean(vectors: Floats, positions: Sequence[int]) -> Floats:
    """Returns the shrunken mean over items, float32 (dim,), as a store computes it."""
    rows = np.array([position for position in positions if position != NONE], np.int64)
    return shrunken_mean(vectors[rows].sum(axis=0, dtype=np.float64).astype(np.float32), len(rows))


def _or_zeros(vectors: Floats, positions: Ids) -> Floats:
    """Returns the vectors at positions, float32 (p, dim), zeros where there is none."""
    rows = np.zeros((len(positions), vectors.shape[1]), np.float32)
    rows[positions != NONE] = vectors[positions[positions != NONE]]
    return rows
