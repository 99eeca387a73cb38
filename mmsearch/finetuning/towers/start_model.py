"""The model that a fine-tuning starts from: its two towers, tokenizer and preprocessing, loaded.

The start stays as it is; what is trained is a copy of it.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.encoders.files import ModelFiles
from mmsearch.encoders.folding import lightened
from mmsearch.encoders.openclip import load_model
from mmsearch.encoders.registry import model_files
from mmsearch.encoders.text_numpy import is_causal, shortened
from mmsearch.encoders.tokenize import Tokenizer
from mmsearch.media import Preprocessing
from mmsearch.records import Pixels

# open_clip's bound on the inverse temperature.
MOST_SCALE = 100.0
# Weights that belong to neither tower: the temperature, and SigLIP's bias.
NEITHER_TOWER = ("logit_scale", "logit_bias")


@dataclass(frozen=True, slots=True)
class StartModel:
    """model: open_clip's, in float32 on `device`, in evaluation mode, without gradients."""

    files: ModelFiles
    model: Any
    tokenizer: Tokenizer
    device: str

    @property
    def name(self) -> str:
        return self.files.name

    @property
    def preprocessing(self) -> Preprocessing:
        return self.files.preprocessing

    @property
    def dim(self) -> int:
        return int(self.files.config["embed_dim"])

    @property
    def scale(self) -> float:
        """The inverse temperature that it was trained with."""
        return min(float(self.model.logit_scale.exp().mean()), MOST_SCALE)

    def weights(self) -> dict[str, Tensor]:
        """Copies on the CPU, names as in its state dict."""
        return {name: value.detach().cpu().clone() for name, value in self.state().items()}

    def state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.model.state_dict()
        return state

    def copy(self) -> Any:
        return deepcopy(self.model)

    def inference_tower(self) -> Any:
        """The image tower for passes without gradients: the same numbers, but for rounding."""
        if self.device != "cpu":
            return self.model.visual
        return lightened(self.model.visual, self.preprocessing.size)

    def under(self, weights: Mapping[str, Tensor]) -> "StartModel":
        """The same model with other weights, a whole state dict."""
        model = self.copy()
        model.load_state_dict(dict(weights))
        return replace(self, model=model)

    @property
    def causal(self) -> bool:
        """Whether padding behind a text's last token changes nothing."""
        return is_causal(self.files.config["text_cfg"])

    def token_ids(self, texts: Sequence[str]) -> Tensor:
        """int64 (n, length): as short as the longest text allows, where padding changes nothing."""
        tokens = self.tokenizer(texts)
        ids = shortened(tokens.ids, tokens.lengths.clip(max=self.tokenizer.context), self.causal)
        return torch.from_numpy(ids).to(self.device)

    def inputs(self, pixels: Pixels) -> Tensor:
        """pixels: uint8 (n, size, size, 3) → float32 (n, 3, size, size), normalised."""
        mean, std = (
            torch.tensor(each, device=self.device).view(1, 3, 1, 1) * 255
            for each in (self.preprocessing.mean, self.preprocessing.std)
        )
        images = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)
        return (images.float() - mean) / std


def load_start(name: str, device: DeviceChoice) -> StartModel:
    """name: as `--model` takes it. Raises InputError, MissingModel, MissingDependency."""
    files = model_files(name)
    model = load_model(files).requires_grad_(False).to(device.name)
    return StartModel(files, model, files.open_tokenizer(), device.name)
