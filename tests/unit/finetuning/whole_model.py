"""A whole model under given weights, run without any shortcut: the reference for faster ways."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.records import Floats, Pixels


class WholeModel:
    """Both towers of `start` under `weights`, a complete state dict."""

    def __init__(self, start: StartModel, weights: Mapping[str, Tensor]) -> None:
        self._start = start.under(weights)

    @torch.no_grad()
    def encode_pixels(self, pixels: Pixels) -> Floats:
        vectors: Floats = F.normalize(
            self._start.model.encode_image(self._start.inputs(pixels)).float(), dim=-1
        ).numpy()
        return vectors

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Floats:
        ids = torch.from_numpy(self._start.tokenizer(texts).ids)
        vectors: Floats = F.normalize(self._start.model.encode_text(ids).float(), dim=-1).numpy()
        return vectors
