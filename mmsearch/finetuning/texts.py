"""The text side of a fine-tuning: texts in, unit rows out, with gradients where it is trained.

What stands still is computed once for each text: the whole vector of a locked tower, or what a
trained projection is given.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsearch.encoders.text_tower import pool, project, text_tower
from mmsearch.errors import InputError
from mmsearch.finetuning.start import StartModel
from mmsearch.records import Floats

Depth: TypeAlias = Literal["none", "head", "blocks"]
# Texts per pass without gradients.
_BATCH = 64
# Texts per pass whose rows are kept: always so many, see _Memo.
_ROWS = 32
# Rows kept: 200 MB at a width of 512. Words left out by chance make new texts without end.
_KEPT = 100_000


class TextSide:
    """depth: what of the tower of `model` is trained. `start` gives what is not."""

    def __init__(self, start: StartModel, model: Any, depth: Depth) -> None:
        """Raises InputError for a tower whose parts are not known, unless it is locked."""
        self._start, self._model, self._depth = start, model, depth
        if depth != "none":
            require_known(start)
        self._memo = _Memo(self._vectors if depth == "none" else self._pooled)

    def beside(self, model: Any) -> "TextSide":
        """The same tower under the weights of `model`; what stands still is shared."""
        other = TextSide(self._start, model, self._depth)
        other._memo = self._memo
        return other

    def encode(self, texts: Sequence[str]) -> Tensor:
        """→ float32 (n, dim), unit rows; equal texts are computed once."""
        if not texts:
            return torch.zeros(0, self._start.dim, device=self._start.device)
        distinct = list(dict.fromkeys(texts))
        row = {text: at for at, text in enumerate(distinct)}
        rows = torch.tensor([row[text] for text in texts], device=self._start.device)
        return self._encode(distinct)[rows]

    def _encode(self, texts: list[str]) -> Tensor:
        if self._depth == "none":
            return self._memo(texts)
        tower = text_tower(self._model)
        known = self._depth == "head"
        pooled = self._memo(texts) if known else pool(tower, self._start.token_ids(texts))
        return F.normalize(project(tower, pooled).float(), dim=-1)

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        return start_vectors(self._start, texts)

    def _pooled(self, texts: Sequence[str]) -> Tensor:
        ids = self._start.token_ids(texts, whole=True)
        return pool(text_tower(self._start.model), ids)


def encode_all(encode: Callable[[Sequence[str]], Tensor], texts: Sequence[str]) -> Floats:
    """Without gradients, by length → float32 (n, dim)."""
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


def start_vectors(start: StartModel, texts: Sequence[str]) -> Tensor:
    """The start model's own, any text tower's: float32 (n, dim), unit rows."""
    if is_known(start):
        tower = text_tower(start.model)
        vectors = project(tower, pool(tower, start.token_ids(texts, whole=True)))
    else:
        ids = torch.from_numpy(start.tokenizer(texts).ids).to(start.device)
        vectors = start.model.encode_text(ids)
    return F.normalize(vectors.float(), dim=-1)


class StartTexts:
    """The start model's vectors, each text's computed once."""

    def __init__(self, start: StartModel) -> None:
        self._memo = _Memo(lambda texts: start_vectors(start, texts))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """→ float32 (n, dim), unit rows, without gradients."""
        return self._memo(texts)


def is_known(start: StartModel) -> bool:
    """Whether the tower is OpenCLIP's own, pooled without a class token."""
    tower = text_tower(start.model)
    blocks = getattr(getattr(tower, "transformer", None), "resblocks", None)
    special = getattr(tower, "cls_emb", None) is not None or getattr(tower, "use_pad_mask", False)
    return blocks is not None and not special


def require_known(start: StartModel) -> None:
    if not is_known(start):
        raise InputError(
            f"the text tower of '{start.name}' is not OpenCLIP's own text transformer and cannot "
            "be trained here; use --lock text"
        )


class _Memo:
    """Rows by text, the latest _KEPT of them.

    All are computed in passes of one shape, so that a row does not hang on which texts came with
    it: a run that was resumed meets them in other company, and must end with the same weights.
    """

    def __init__(self, compute: Callable[[Sequence[str]], Tensor]) -> None:
        self._compute = compute
        self._rows: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        missing = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if len(self._rows) + len(missing) > _KEPT:
            self._rows.clear()
            missing = list(dict.fromkeys(texts))
        for at in range(0, len(missing), _ROWS):
            batch = missing[at : at + _ROWS]
            filled = [*batch, *[""] * (_ROWS - len(batch))]
            self._rows.update(zip(batch, self._compute(filled), strict=False))
        return torch.stack([self._rows[text] for text in texts])
