"""Measures a finished model on pictures whose concepts it never saw in training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.training import model, vocabulary
from mmsearch.training.card import Measures
from mmsearch.training.corpus import ClassNames
from mmsearch.training.data import Picture
from mmsearch.training.scenes import article

if TYPE_CHECKING:
    import torch
    from open_clip import CLIP
    from tokenizers import Tokenizer

# Pictures of which the classifier is at least this sure stand in for photos of a known class.
SURE = 0.6


def measure(
    clip: "CLIP",
    tokenizer: "Tokenizer",
    held: Sequence[Picture],
    features: NDArray[np.float16],
    position: Mapping[str, int],
    classifier: "torch.nn.Linear | None",
    classes: ClassNames | None,
) -> Measures:
    """Text-to-image retrieval among one picture of each held-out concept, its title as the query;
    and how often class-name texts choose the classifier's own class."""
    import torch

    one_each = {p.concept: p for p in reversed(held) if p.weight >= 1}
    chosen = list(one_each.values())
    if not chosen:
        return Measures()
    rows = torch.from_numpy(features[[position[p.key] for p in chosen], 0].astype(np.float32))
    with torch.no_grad():
        images = torch.nn.functional.normalize(clip.visual.head(rows), dim=-1)
        similarities = _encode(clip, tokenizer, [p.captions[0] for p in chosen]) @ images.T
    ranks = (similarities > similarities.diagonal()[:, None]).sum(dim=1)
    agreement, sure = _agreement(clip, tokenizer, held, features, position, classifier, classes)
    return Measures(
        held_out=len(chosen),
        recall_at_1=float((ranks < 1).float().mean()),
        recall_at_10=float((ranks < 10).float().mean()),
        median_rank=float(ranks.float().median()) + 1,
        sure_pictures=sure,
        class_agreement=agreement,
    )


def _agreement(
    clip: "CLIP",
    tokenizer: "Tokenizer",
    held: Sequence[Picture],
    features: NDArray[np.float16],
    position: Mapping[str, int],
    classifier: "torch.nn.Linear | None",
    classes: ClassNames | None,
) -> tuple[float, int]:
    import torch

    if classifier is None or classes is None:
        return 0.0, 0
    rows = torch.from_numpy(features[[position[p.key] for p in held], 0].astype(np.float32))
    with torch.no_grad():
        chances, answers = classifier(rows).softmax(dim=1).max(dim=1)
        rows, answers = rows[chances > SURE], answers[chances > SURE]
        if not len(rows):
            return 0.0, 0
        texts = _encode(clip, tokenizer, [f"a photo of {article(n[0])}" for n in classes.names])
        images = torch.nn.functional.normalize(clip.visual.head(rows), dim=-1)
    agreed = (images @ texts.T).argmax(dim=1) == answers
    return float(agreed.float().mean()), len(rows)


def _encode(clip: "CLIP", tokenizer: "Tokenizer", texts: list[str]) -> "torch.Tensor":
    import torch

    ids = torch.from_numpy(vocabulary.token_ids(tokenizer, texts))
    pooled = model.pool_all(clip, ids)
    with torch.no_grad():
        return torch.nn.functional.normalize(pooled @ clip.text_projection, dim=-1)
