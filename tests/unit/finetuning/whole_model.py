"""Whole models under given weights, run without any shortcut: the reference for faster ways."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.records import Floats, Pixels


class WholeModel:
    """Both towers of `start` under given weights, complete state dicts."""

    def __init__(self, start: StartModel) -> None:
        self._start = start

    @torch.no_grad()
    def encode_pixels(self, pixels: Pixels, weights: Mapping[str, Tensor]) -> Floats:
        start = self._start.under(weights)
        vectors = start.model.encode_image(start.inputs(pixels))
        unit: Floats = F.normalize(vectors.float(), dim=-1).numpy()
        return unit

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str], weights: Mapping[str, Tensor]) -> Floats:
        start = self._start.under(weights)
        vectors = start.model.encode_text(torch.from_numpy(start.tokenizer(texts).ids))
        unit: Floats = F.normalize(vectors.float(), dim=-1).numpy()
        return unit
