"""OpenCLIP models as encoders, on CPU, CUDA or MPS.

Pixels or token ids go to the device in batches; unit rows of float32 come back.
"""

import pickle
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.factory import load_state_dict
from PIL.Image import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from mmsearch.arrays import blocks
from mmsearch.encoders.devices import DeviceChoice
from mmsearch.encoders.files import ModelFiles
from mmsearch.encoders.folding import even_padding, fold_batch_norms
from mmsearch.encoders.text_numpy import is_causal, shortened
from mmsearch.encoders.text_tower import pool, project, text_tower
from mmsearch.encoders.transformers_clip import open_clip_weights
from mmsearch.errors import InputError
from mmsearch.extras import require
from mmsearch.media import prepare
from mmsearch.records import Floats, Ids, Pixels

# Images per forward pass. The activations of convolutional towers are large: beyond 32 MB, glibc
# maps fresh memory for each, and batches of 32 images run a third slower than batches of 4.
GPU_IMAGES, CPU_IMAGES, CPU_IMAGES_CONVOLUTIONAL = 256, 16, 4
TEXTS = 64


class OpenClipEncoder:
    """An Encoder, in half precision on CUDA and float32 elsewhere.

    space: of its vectors. preprocessing: how images become its input pixels.
    """

    def __init__(
        self, files: ModelFiles, device: DeviceChoice, *, batch_size: int | None = None
    ) -> None:
        """Loads the model. batch_size: images per forward pass; by device if None."""
        self.device = device
        self._tokenizer = files.open_tokenizer()
        self.space = files.space(self._tokenizer)
        self.preprocessing = files.preprocessing
        self._causal = is_causal(files.config["text_cfg"])
        # MPS stays in float32: several of its half-precision kernels are slower or inexact.
        self._dtype = torch.float16 if device.name.startswith("cuda") else torch.float32
        model = load_model(files)
        self._batch_size = batch_size or _images_per_pass(model.visual, device)
        self._model = _placed(model, files.preprocessing.size, device, self._dtype)
        mean, std = (
            torch.tensor(v) * 255 for v in (files.preprocessing.mean, files.preprocessing.std)
        )
        self._scale = (1 / std).to(device.name).view(1, 3, 1, 1)
        self._shift = (-mean / std).to(device.name).view(1, 3, 1, 1)

    def encode_images(self, images: Sequence[Image]) -> Floats:
        """Embeds RGB images of any size → float32 (n, dim), unit rows."""
        size = self.preprocessing.size
        squares = [prepare(image, self.preprocessing) for image in images]
        return self.encode_pixels(
            np.stack(squares) if squares else np.zeros((0, size, size, 3), np.uint8)
        )

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """Embeds prepared images, uint8 (n, size, size, 3) → float32 (n, dim), unit rows."""
        size = self.preprocessing.size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            raise InputError(
                f"pixels must be uint8 (n, {size}, {size}, 3) for '{self.space.model}', "
                f"got {pixels.dtype} {pixels.shape}"
            )
        batches = blocks(len(pixels), self._batch_size)
        return self._joined([self._encode_pixels(pixels[batch]) for batch in batches])

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """Embeds texts → float32 (n, dim), unit rows; texts beyond the context length are cut."""
        if not texts:
            return self._joined([])
        tokens = self._tokenizer(texts)
        order = np.argsort(tokens.lengths, kind="stable")
        found = []
        for batch in blocks(len(order), TEXTS):
            rows = order[batch]
            ids = shortened(tokens.ids[rows], tokens.lengths[rows], self._causal)
            found.append(self._encode_ids(torch.from_numpy(ids)))
        vectors = np.empty((len(texts), self.space.dim), np.float32)
        vectors[order] = self._joined(found)
        return vectors

    @property
    def context(self) -> int:
        """The number of tokens that it reads of a text, with special ones."""
        return self._tokenizer.context

    def text_lengths(self, texts: Sequence[str]) -> Ids:
        """Returns the number of tokens of each text, with special ones: int64 (n,)."""
        return self._tokenizer.lengths(texts)

    def overlong(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts that `encode_texts` cuts."""
        return self._tokenizer.overlong(texts) if texts else []

    def unknown(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts of which the model knows no word."""
        return self._tokenizer.unknown(texts) if texts else []

    @torch.inference_mode()
    def _encode_pixels(self, pixels: Pixels) -> Tensor:
        # Height, width, channel in memory is torch's channels_last: no copy is needed.
        images = torch.from_numpy(pixels).to(self.device.name).permute(0, 3, 1, 2)
        images = images.float().mul_(self._scale).add_(self._shift)
        return _unit(self._model.encode_image(images.to(self._dtype)))

    @torch.inference_mode()
    def _encode_ids(self, ids: Tensor) -> Tensor:
        ids = ids.to(self.device.name)
        if not self._causal:
            return _unit(self._model.encode_text(ids))
        tower = text_tower(self._model)
        return _unit(project(tower, pool(tower, ids)))

    def _joined(self, batches: Sequence[Tensor]) -> Floats:
        if not batches:
            return np.zeros((0, self.space.dim), np.float32)
        return torch.cat(list(batches)).cpu().numpy()


def load_model(files: ModelFiles) -> Any:
    """Loads the model in float32 on the CPU, in eval mode, without network access.

    Raises InputError where the weights do not fit the configuration, or are not tensors.
    """
    config = deepcopy(dict(files.config))
    _keep_local(config, files)
    # Any: torch annotates every attribute of a module as "Tensor or Module".
    model: Any = _build(config)
    try:
        if files.from_transformers:
            weights = load_state_dict(str(files.weights), weights_only=True)
            model.load_state_dict(open_clip_weights(weights))
        else:
            open_clip.load_checkpoint(model, str(files.weights), weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{files.weights} is a pickle that holds more than tensors, which may run code; "
            "convert it to safetensors"
        ) from error
    except (SafetensorError, RuntimeError, KeyError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{files.weights} does not fit its configuration: {reason}") from error
    return model.eval()


def _keep_local(config: dict[str, Any], files: ModelFiles) -> None:
    """Replaces references to a hub by local ones. Raises InputError where that is not possible."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    vision["timm_model_pretrained"] = False
    trunk = vision.get("timm_model_name") or ""
    if ":" in trunk:
        raise InputError(f"'{files.name}' builds its image tower from '{trunk}', which is remote")
    if text.get("hf_model_name"):
        if files.text_folder is None:
            raise InputError(
                f"'{files.name}' has the text tower of '{text['hf_model_name']}'; put that model's "
                f"config.json beside {files.weights}"
            )
        text["hf_model_name"], text["hf_model_pretrained"] = str(files.text_folder), False


def _build(config: dict[str, Any]) -> Any:
    """Creates the model as open_clip.create_model does, without its look-ups by name."""
    foreign_text = bool(config["text_cfg"].get("hf_model_name"))
    if foreign_text:
        require("transformers", purpose="this model's text tower")
    custom = config.pop("custom_text", False) or foreign_text
    if "multimodal_cfg" in config:
        return open_clip.CoCa(**config)
    return open_clip.CustomTextCLIP(**config) if custom else open_clip.CLIP(**config)


def _images_per_pass(tower: nn.Module, device: DeviceChoice) -> int:
    if device.name != "cpu":
        return GPU_IMAGES
    convolutional = any(isinstance(module, nn.BatchNorm2d) for module in tower.modules())
    return CPU_IMAGES_CONVOLUTIONAL if convolutional else CPU_IMAGES


def _placed(model: Any, size: int, device: DeviceChoice, dtype: torch.dtype) -> Any:
    if device.name == "cpu":
        fold_batch_norms(model.visual)
        even_padding(model.visual, size)
    model = model.requires_grad_(False).to(device=device.name, dtype=dtype)
    return model.to(memory_format=torch.channels_last)


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors.float(), dim=-1)
