"""The model that a fine-tuning starts from: loaded, never modified, saved with other weights."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.encoders.files import TOKENIZER_NAME, ModelFiles
from mmsearch.encoders.folding import lightened
from mmsearch.encoders.openclip import load_model
from mmsearch.encoders.registry import model_files
from mmsearch.encoders.text_numpy import is_causal, shortened
from mmsearch.encoders.tokenize import Tokenizer
from mmsearch.media import Preprocessing
from mmsearch.records import Pixels
from mmsearch.training.model_folder import write_model_folder

# open_clip's limit of the inverse temperature.
MAX_SCALE = 100.0
# Weights of neither tower: the temperature, and SigLIP's bias.
NEITHER_TOWER = ("logit_scale", "logit_bias")
_TOKENIZER_FILES = (
    TOKENIZER_NAME,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
# Configuration of a Hugging Face text tower.
_TEXT_CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class StartModel:
    """A loaded model: open_clip's, float32, on `device`, in evaluation mode, without gradients."""

    files: ModelFiles
    model: Any
    tokenizer: Tokenizer
    device: str

    @property
    def name(self) -> str:
        """The name that it was loaded by."""
        return self.files.name

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become its input."""
        return self.files.preprocessing

    @property
    def dim(self) -> int:
        """The dimension of its embeddings."""
        return int(self.files.config["embed_dim"])

    @property
    def scale(self) -> float:
        """Its inverse temperature."""
        return min(float(self.model.logit_scale.exp().mean()), MAX_SCALE)

    def weights(self) -> dict[str, Tensor]:
        """Returns a copy of the state dict on the CPU."""
        state: dict[str, Tensor] = self.model.state_dict()
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    def copy(self) -> Any:
        """Returns a copy of the model, to be trained."""
        return deepcopy(self.model)

    def inference_tower(self) -> Any:
        """Returns the image tower for inference, on CPUs with folded batch norms."""
        if self.device != "cpu":
            return self.model.visual
        return lightened(self.model.visual, self.preprocessing.size)

    def under(self, weights: Mapping[str, Tensor]) -> "StartModel":
        """Returns the same model with other weights, a complete state dict."""
        model = self.copy()
        model.load_state_dict(dict(weights))
        return replace(self, model=model)

    @property
    def causal(self) -> bool:
        """Whether padding after the last token does not affect a text's embedding."""
        return is_causal(self.files.config["text_cfg"])

    def token_ids(self, texts: Sequence[str]) -> Tensor:
        """Returns token ids, int64 (n, length), as short as the longest text allows if causal."""
        tokens = self.tokenizer(texts)
        ids = shortened(tokens.ids, tokens.lengths.clip(max=self.tokenizer.context), self.causal)
        return torch.from_numpy(ids).to(self.device)

    def inputs(self, pixels: Pixels) -> Tensor:
        """Normalises pixels, uint8 (n, size, size, 3) → float32 (n, 3, size, size)."""
        mean, std = (
            torch.tensor(each, device=self.device).view(1, 3, 1, 1) * 255
            for each in (self.preprocessing.mean, self.preprocessing.std)
        )
        images = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)
        return (images.float() - mean) / std

    def save(self, weights: Mapping[str, Tensor], folder: Path, *, card: str | None = None) -> None:
        """Writes a model folder of the same architecture with other weights.

        weights: a complete state dict. card: Markdown, None for no README. Raises InputError.
        """
        sources: list[Path] = []
        if self.files.tokenizer is not None:
            sources += [self.files.tokenizer.with_name(name) for name in _TOKENIZER_FILES]
        if self.files.text_folder is not None:
            sources.append(self.files.text_folder / _TEXT_CONFIG)
        write_model_folder(
            folder,
            weights,
            self._config(),
            tokenizer_files=[source for source in sources if source.is_file()],
            card=card,
        )

    def _config(self) -> dict[str, Any]:
        model: dict[str, Any] = deepcopy(dict(self.files.config))
        # All weights are in the folder; nothing is to be downloaded.
        if model["vision_cfg"].get("timm_model_name"):
            model["vision_cfg"]["timm_model_pretrained"] = False
        if model["text_cfg"].get("hf_model_name"):
            model["text_cfg"]["hf_model_pretrained"] = False
        if self.files.tokenizer is not None:
            model["text_cfg"]["hf_tokenizer_name"] = TOKENIZER_NAME
        spec = self.preprocessing
        return {
            "model_cfg": model,
            "preprocess_cfg": {
                "size": [spec.size, spec.size],
                "mean": list(spec.mean),
                "std": list(spec.std),
                "interpolation": spec.interpolation,
                "resize_mode": spec.mode,
                "fill_color": spec.fill,
            },
        }


def load_start(name: str, device: DeviceChoice) -> StartModel:
    """Loads a model by name. Raises InputError, MissingModel, MissingDependency."""
    files = model_files(name)
    model = load_model(files).requires_grad_(False).to(device.name)
    return StartModel(files, model, files.open_tokenizer(), device.name)
