"""The text tower in training: texts → unit rows, with gradients for what is trained.

What is frozen is computed once for each text: the embedding of a locked tower, or the input of a
trained projection.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsearch.encoders.text_tower import pool, project, text_tower
from mmsearch.errors import InputError
from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.records import Floats

Depth: TypeAlias = Literal["none", "head", "blocks"]
# Texts → float32 (n, dim), unit rows.
EncodeTexts = Callable[[Sequence[str]], Tensor]
# Texts per pass without gradients.
_BATCH = 64
# Texts per cached pass, and the unit of its length in tokens: see FrozenTextTower.
_ROWS, _TOKENS = 32, 8
# Cached rows: 200 MB at a width of 512. Word dropout makes new texts without end.
_MAX_CACHED = 100_000


class TextEncoder:
    """Encodes texts by the text tower of `model`; depth is the part that is trained."""

    def __init__(
        self, start: StartModel, model: Any, depth: Depth, frozen: "FrozenTextTower"
    ) -> None:
        """frozen: the tower of `start`. Raises InputError for an unsupported, unlocked tower."""
        self._start, self._model, self._depth = start, model, depth
        if depth != "none" and not is_supported(start):
            raise InputError(
                f"the text tower of '{start.name}' is not OpenCLIP's own text transformer and "
                "cannot be trained; use lock=text"
            )
        self._frozen = frozen

    def with_weights_of(self, model: Any) -> "TextEncoder":
        """Returns an encoder by another model of the same architecture."""
        return TextEncoder(self._start, model, self._depth, self._frozen)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Returns float32 (n, dim), unit rows; equal texts are computed once."""
        if not texts:
            return torch.zeros(0, self._start.dim, device=self._start.device)
        distinct = list(dict.fromkeys(texts))
        row = {text: at for at, text in enumerate(distinct)}
        rows = torch.tensor([row[text] for text in texts], device=self._start.device)
        return self._encode(distinct)[rows]

    def _encode(self, texts: list[str]) -> Tensor:
        if self._depth == "none":
            return self._frozen.encode(texts)
        tower = text_tower(self._model)
        if self._depth == "head":
            return _embedded(tower, self._frozen.pooled(texts))
        return _embedded(tower, pool(tower, self._start.token_ids(texts)))


def encode_all(encode: EncodeTexts, texts: Sequence[str]) -> Floats:
    """Returns float32 (n, dim), without gradients; texts are batched by length."""
    order = sorted(range(len(texts)), key=lambda at: (len(texts[at]), texts[at]))
    with torch.no_grad():
        parts = [
            encode([texts[at] for at in order[i : i + _BATCH]]).float().cpu()
            for i in range(0, len(order), _BATCH)
        ]
    if not parts:
        return np.zeros((0, 0), np.float32)
    vectors = np.empty((len(texts), parts[0].shape[1]), np.float32)
    vectors[order] = torch.cat(parts).numpy()
    return vectors


class FrozenTextTower:
    """The start model's text tower, which computes each text once.

    A text is always computed in a pass of the same shape, so that its row does not depend on the
    other texts: a resumed run meets it in another batch and must end with the same weights.
    """

    def __init__(self, start: StartModel) -> None:
        self._start = start
        self._tower = text_tower(start.model) if is_supported(start) else None
        self._rows: dict[str, Tensor] = {}

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Returns float32 (n, dim), unit rows, without gradients."""
        found = self.pooled(texts)
        with torch.no_grad():
            if self._tower is None:
                return F.normalize(found.float(), dim=-1)
            return _embedded(self._tower, found)

    @torch.no_grad()
    def pooled(self, texts: Sequence[str]) -> Tensor:
        """Returns the input of the projection, float32 (n, width), without gradients.

        Of an unsupported tower it is the embedding, not normalised.
        """
        missing = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if len(self._rows) + len(missing) > _MAX_CACHED:
            self._rows.clear()
            missing = list(dict.fromkeys(texts))
        for places, ids in self._passes(missing):
            rows = (
                self._start.model.encode_text(ids)
                if self._tower is None
                else pool(self._tower, ids)
            )
            self._rows.update(zip((missing[place] for place in places), rows, strict=False))
        return torch.stack([self._rows[text] for text in texts])

    def _passes(self, texts: list[str]) -> Iterator[tuple[list[int], Tensor]]:
        """Yields positions of up to _ROWS texts of one length, and _ROWS rows of their token ids.

        Rows are repeated to fill a pass. Texts are shortened only if padding does not matter.
        """
        if not texts:
            return
        tokens, context = self._start.tokenizer(texts), self._start.tokenizer.context
        lengths = np.full(len(texts), context)
        if self._start.causal:
            lengths = np.minimum(-(-tokens.lengths // _TOKENS) * _TOKENS, context)
        for length in np.unique(lengths).tolist():
            places = np.flatnonzero(lengths == length)
            for at in range(0, len(places), _ROWS):
                batch = places[at : at + _ROWS]
                ids = torch.from_numpy(tokens.ids[np.resize(batch, _ROWS), :length])
                yield batch.tolist(), ids.to(self._start.device)


def _embedded(tower: Any, pooled: Tensor) -> Tensor:
    """Projects pooled features, (n, width) → float32 (n, dim), unit rows."""
    return F.normalize(project(tower, pooled).float(), dim=-1)


def is_supported(start: StartModel) -> bool:
    """Returns whether the tower is OpenCLIP's own, pooled without a class token."""
    tower = text_tower(start.model)
    blocks = getattr(getattr(tower, "transformer", None), "resblocks", None)
    special = getattr(tower, "cls_emb", None) is not None or getattr(tower, "use_pad_mask", False)
    return blocks is not None and not special
