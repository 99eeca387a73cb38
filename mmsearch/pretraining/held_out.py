"""Measures a model on the held-out images: concepts that training never saw."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsearch.pretraining.images.image_set import ImageSet
from mmsearch.pretraining.model import pool_all
from mmsearch.pretraining.text.captions import indefinite
from mmsearch.pretraining.text.tokenizer import token_ids

if TYPE_CHECKING:
    from open_clip import CLIP
    from tokenizers import Tokenizer

# Images on which the classifier is at least this sure stand for photographs of a known class.
SURE_PROBABILITY = 0.6


@dataclass(frozen=True, slots=True)
class HeldOutMetrics:
    """Metrics on held-out images; 0 images where nothing was held out.

    Retrieval is by title, among one image of each concept. class_agreement: how often class-name
    texts choose the class of the trunk's own classifier, on the images that it is sure of;
    weighted_agreement: on all, weighted by how sure it is.
    """

    held_out: int = 0
    recall_at_1: float = 0.0
    recall_at_10: float = 0.0
    median_rank: float = 0.0
    ndcg: float = 0.0
    sure_images: int = 0
    class_agreement: float = 0.0
    weighted_agreement: float = 0.0


class HeldOut:
    """The held-out images with their titles and the frozen classifier's answers.

    The text tower below the projection must not change between construction and `measure`.
    """

    def __init__(self, model: "CLIP", tokenizer: "Tokenizer", images: ImageSet) -> None:
        self._model = model
        held_out = images.select(images.held_out)
        # The first image of each concept with its full weight.
        queries = {
            image.concept: position
            for position, image in reversed(list(enumerate(held_out)))
            if image.weight >= 1
        }
        self._queries = torch.tensor(list(queries.values()), dtype=torch.int64)
        titles = [held_out[position].captions[0] for position in queries.values()]
        self._titles = _pool(model, tokenizer, titles)
        self._probabilities: Tensor | None = None
        if images.classifier is not None and images.class_names is not None and held_out:
            prompts = [f"a photo of {indefinite(name)}" for name in images.class_names.first()]
            self._class_names = _pool(model, tokenizer, prompts)
            features = images.features[images.held_out, 0].astype(np.float32)
            with torch.no_grad():
                logits = images.classifier(torch.from_numpy(features))
            self._probabilities, self._classes = logits.softmax(dim=1).max(dim=1)

    def measure(self, vectors: Tensor) -> HeldOutMetrics:
        """Measures the model by its vectors of all held-out images: float32 (n, dim), unit rows."""
        if not len(self._queries):
            return HeldOutMetrics()
        similarities = self._project(self._titles) @ vectors[self._queries].T
        ranks = (similarities > similarities.diagonal()[:, None]).sum(dim=1)
        metrics = HeldOutMetrics(
            held_out=len(self._queries),
            recall_at_1=float((ranks < 1).float().mean()),
            recall_at_10=float((ranks < 10).float().mean()),
            median_rank=float(ranks.float().median()) + 1,
            ndcg=float((1 / torch.log2(2.0 + ranks)).mean()),
        )
        if self._probabilities is None:
            return metrics
        similarities = vectors @ self._project(self._class_names).T
        agrees = (similarities.argmax(dim=1) == self._classes).float()
        sure = self._probabilities > SURE_PROBABILITY
        return replace(
            metrics,
            sure_images=int(sure.sum()),
            class_agreement=float(agrees[sure].mean()) if sure.any() else 0.0,
            weighted_agreement=float(
                (agrees * self._probabilities).sum() / self._probabilities.sum()
            ),
        )

    def _project(self, pooled: Tensor) -> Tensor:
        with torch.no_grad():
            return F.normalize(pooled @ self._model.text_projection, dim=-1)


def _pool(model: "CLIP", tokenizer: "Tokenizer", texts: list[str]) -> Tensor:
    if not texts:
        return torch.empty(0, model.text_projection.shape[0])
    return pool_all(model, torch.from_numpy(token_ids(tokenizer, texts)))
