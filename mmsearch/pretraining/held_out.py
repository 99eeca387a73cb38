"""Measures a model on pictures whose concepts it never saw in training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mmsearch.pretraining import model
from mmsearch.pretraining.card import Measures
from mmsearch.pretraining.pictures.data import Picture
from mmsearch.pretraining.text import vocabulary
from mmsearch.pretraining.text.corpus import ClassNames
from mmsearch.pretraining.text.scenes import article

if TYPE_CHECKING:
    from open_clip import CLIP
    from tokenizers import Tokenizer

# Pictures of which the classifier is at least this sure stand in for photos of a known class.
SURE = 0.6


class HeldOut:
    """Held-out pictures with their titles and the frozen classifier's answers.

    Text vectors are computed anew for each measure from what the text projection is given, which
    must not change in between.
    """

    def __init__(
        self,
        clip: "CLIP",
        tokenizer: "Tokenizer",
        held: Sequence[Picture],
        features: NDArray[np.float16],
        classifier: "torch.nn.Linear | None",
        classes: ClassNames | None,
    ) -> None:
        """features: float16 (held, width), the frozen trunk's, of the plain views."""
        self._clip = clip
        one_each = {p.concept: i for i, p in reversed(list(enumerate(held))) if p.weight >= 1}
        self._chosen = torch.tensor(list(one_each.values()), dtype=torch.int64)
        self._titles = _pooled(clip, tokenizer, [held[i].captions[0] for i in one_each.values()])
        self._chances: Tensor | None = None
        if classifier is not None and classes is not None and held:
            names = [f"a photo of {article(n[0])}" for n in classes.names]
            self._names = _pooled(clip, tokenizer, names)
            with torch.no_grad():
                known = classifier(torch.from_numpy(features.astype(np.float32)))
            self._chances, self._answers = known.softmax(dim=1).max(dim=1)

    def measures(self, images: Tensor) -> Measures:
        """images: float32 (held, dim) unit rows, of every held-out picture.

        Text-to-image retrieval among one picture of each held-out concept, its title as the query;
        and how often class-name texts choose the classifier's own class.
        """
        if not len(self._chosen):
            return Measures()
        similarities = self._project(self._titles) @ images[self._chosen].T
        ranks = (similarities > similarities.diagonal()[:, None]).sum(dim=1)
        sure, agreement, weighted = self._agreement(images)
        return Measures(
            held_out=len(self._chosen),
            recall_at_1=float((ranks < 1).float().mean()),
            recall_at_10=float((ranks < 10).float().mean()),
            median_rank=float(ranks.float().median()) + 1,
            ndcg=float((1 / torch.log2(2.0 + ranks)).mean()),
            sure_pictures=sure,
            class_agreement=agreement,
            weighted_agreement=weighted,
        )

    def _agreement(self, images: Tensor) -> tuple[int, float, float]:
        """Pictures the classifier is sure of, the agreement on them, and that on all pictures, each
        weighted by how sure the classifier is."""
        if self._chances is None:
            return 0, 0.0, 0.0
        agreed = ((images @ self._project(self._names).T).argmax(dim=1) == self._answers).float()
        sure = self._chances > SURE
        weighted = float((agreed * self._chances).sum() / self._chances.sum())
        return int(sure.sum()), float(agreed[sure].mean()) if sure.any() else 0.0, weighted

    def _project(self, pooled: Tensor) -> Tensor:
        with torch.no_grad():
            return F.normalize(pooled @ self._clip.text_projection, dim=-1)


def _pooled(clip: "CLIP", tokenizer: "Tokenizer", texts: list[str]) -> Tensor:
    if not texts:
        return torch.empty(0, clip.text_projection.shape[0])
    return model.pool_all(clip, torch.from_numpy(vocabulary.token_ids(tokenizer, texts)))
