"""Writes tuned weights as an OpenCLIP model folder, whatever model they started from.

open_clip_config.json, open_clip_model.safetensors (float16), the tokenizer's files and a card.
`--model FOLDER` takes it, and open_clip itself as 'local-dir:FOLDER'.
"""

import json
import shutil
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from mmsearch.encoders.files import CONFIG_NAME, TOKENIZER_NAME, WEIGHT_NAMES, ModelFiles
from mmsearch.errors import InputError
from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.training.weight_interpolation import Weights

CARD_NAME = "README.md"
_TOKENIZER_FILES = (
    TOKENIZER_NAME,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
# The configuration of a Hugging Face text tower.
_TEXT_CONFIG = "config.json"


def export_model(
    start: StartModel, weights: Weights, folder: Path, *, card: str | None = None
) -> None:
    """weights: a whole state dict of the start's architecture. card: Markdown, None for no README.

    Every file is written beside its place and then moved there, the weights last: whoever reads
    the folder meets whole files. What else lies in it stays. Raises InputError where the folder
    cannot be written, on a full disk for example.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export-", dir=folder) as name:
            for made in _write(start.files, weights, Path(name), card):
                # Temporary files are the owner's alone.
                made.chmod(0o644)
                made.replace(folder / made.name)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the model cannot be written to {folder}: {reason}") from error


def _write(files: ModelFiles, weights: Weights, folder: Path, card: str | None) -> list[Path]:
    """In the order in which they may appear."""
    config = folder / CONFIG_NAME
    config.write_text(json.dumps(_config(files), indent=2) + "\n", "utf-8")
    made = [config, *_copies(files, folder)]
    if card is not None:
        made.append(folder / CARD_NAME)
        made[-1].write_text(card, "utf-8")
    made.append(folder / WEIGHT_NAMES[0])
    save_file(
        {
            # Whole numbers are batch norms' counters; open_clip wants to find them.
            name: (value.half() if value.is_floating_point() else value).cpu().contiguous().clone()
            for name, value in weights.items()
        },
        made[-1],
    )
    return made


def _config(files: ModelFiles) -> dict[str, Any]:
    model: dict[str, Any] = deepcopy(dict(files.config))
    # All weights are here: nothing is to be asked of a hub.
    if model["vision_cfg"].get("timm_model_name"):
        model["vision_cfg"]["timm_model_pretrained"] = False
    if model["text_cfg"].get("hf_model_name"):
        model["text_cfg"]["hf_model_pretrained"] = False
    if files.tokenizer is not None:
        model["text_cfg"]["hf_tokenizer_name"] = TOKENIZER_NAME
    spec = files.preprocessing
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


def _copies(files: ModelFiles, folder: Path) -> list[Path]:
    sources: list[Path] = []
    if files.tokenizer is not None:
        sources += [files.tokenizer.with_name(name) for name in _TOKENIZER_FILES]
    if files.text_folder is not None:
        sources.append(files.text_folder / _TEXT_CONFIG)
    found = [source for source in sources if source.is_file()]
    # The contents, not links: a hub's cache is made of them.
    return [Path(shutil.copyfile(source, folder / source.name)) for source in found]
