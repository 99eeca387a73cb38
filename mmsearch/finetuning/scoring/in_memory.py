"""A loaded OpenCLIP model measured under other weights than its own, without a copy of it on disk.

The model's own tensors stay as they are: each forward pass is given the weights it is to run with.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from mmsearch.encoders.tokenize import Tokenizer
from mmsearch.finetuning.scoring.general import GeneralScore, GeneralSet, Towers, general_set
from mmsearch.finetuning.towers.start_model import NEITHER_TOWER
from mmsearch.media import Preprocessing
from mmsearch.records import Floats, Pixels
from mmsearch.training.weight_interpolation import Weights

# Activations of a convolutional tower on more pictures no longer stay in a CPU's caches.
_PICTURES, _GPU_PICTURES, _TEXTS = 8, 128, 64
_IMAGE_TOWER = "visual."


class InMemoryTowers:
    """Both towers of `model` under `weights` (names as in its state dict), in evaluation mode."""

    def __init__(
        self, model: nn.Module, weights: Weights, tokenizer: Tokenizer, preprocessing: Preprocessing
    ) -> None:
        self._towers, self._tokenizer = _Towers(model), tokenizer
        self._weights = {f"model.{name}": value for name, value in weights.items()}
        self._preprocessing = preprocessing
        self._device = next(model.parameters()).device
        self._mean, self._std = (
            (torch.tensor(each, device=self._device) * 255).view(1, 3, 1, 1)
            for each in (preprocessing.mean, preprocessing.std)
        )

    @property
    def preprocessing(self) -> Preprocessing:
        return self._preprocessing

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """pixels: uint8 (n, size, size, 3) → float32 (n, dim), unit rows."""
        size = _PICTURES if self._device.type == "cpu" else _GPU_PICTURES
        parts = (torch.from_numpy(pixels[at : at + size]) for at in range(0, len(pixels), size))
        return self._encode(("image", self._normalised(part)) for part in parts)

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """→ float32 (n, dim), unit rows."""
        ids = torch.from_numpy(self._tokenizer(texts).ids)
        return self._encode(("text", part.to(self._device)) for part in torch.split(ids, _TEXTS))

    def _normalised(self, pixels: Tensor) -> Tensor:
        images = pixels.to(self._device).permute(0, 3, 1, 2).float()
        return (images - self._mean) / self._std

    @torch.inference_mode()
    def _encode(self, batches: Iterable[tuple[str, Tensor]]) -> Floats:
        modes = [(module, module.training) for module in self._towers.modules()]
        self._towers.eval()
        try:
            found = [functional_call(self._towers, self._weights, batch) for batch in batches]
        finally:
            for module, training in modes:
                module.training = training
        return torch.cat(found).cpu().numpy()


class GeneralProbe:
    """The general score of a model under any weights; a tower that kept its start is not run."""

    def __init__(
        self,
        model: nn.Module,
        start: Weights,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        *,
        towers: Callable[[Weights], Towers] | None = None,
    ) -> None:
        """start: the weights before training, names as in the model's state dict.

        towers: the model under given weights, if there is a faster way than to run all of it.
        """
        self._model, self._start, self._given = model, start, towers
        self._tokenizer, self._preprocessing = tokenizer, preprocessing
        self._set = general_set(preprocessing)
        self._texts = [*self._set.texts, *self._set.classes.prompts]
        first = self._towers(start)
        self._pictures = first.encode_pixels(self._set.pixels)
        self._words = first.encode_texts(self._texts)
        self.start = self._score(self._pictures, self._words)

    @property
    def general_set(self) -> GeneralSet:
        return self._set

    def measure(self, weights: Weights) -> GeneralScore:
        towers = self._towers(weights)
        changed = {
            name.startswith(_IMAGE_TOWER)
            for name, value in weights.items()
            if name not in NEITHER_TOWER and not torch.equal(value, self._start[name])
        }
        pictures = towers.encode_pixels(self._set.pixels) if True in changed else self._pictures
        words = towers.encode_texts(self._texts) if False in changed else self._words
        return self._score(pictures, words)

    def _towers(self, weights: Weights) -> Towers:
        if self._given is not None:
            return self._given(weights)
        return InMemoryTowers(self._model, weights, self._tokenizer, self._preprocessing)

    def _score(self, pictures: Floats, words: Floats) -> GeneralScore:
        count = len(self._set.texts)
        return self._set.score(pictures, words[:count], words[count:])


class _Towers(nn.Module):
    """One method for both towers, since `functional_call` calls `forward`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, kind: str, batch: Tensor) -> Tensor:
        encode = getattr(self.model, f"encode_{kind}")
        return F.normalize(encode(batch).float(), dim=-1)
