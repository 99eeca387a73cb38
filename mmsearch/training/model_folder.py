"""Writes a model as an OpenCLIP folder, which open_clip loads as 'local-dir:FOLDER'.

open_clip_config.json, open_clip_model.safetensors (float16), the tokenizer's files, and a model
card, README.md, where there is one: its front matter is huggingface_hub's, its text a template.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mmsearch.encoders.files import CONFIG_NAME, WEIGHT_NAMES
from mmsearch.errors import InputError
from mmsearch.text import one_line

CARD_NAME = "README.md"


def write_model_folder(
    folder: Path,
    weights: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    tokenizer_files: Sequence[Path] = (),
    card: str | None = None,
) -> None:
    """Writes a model folder; other files in `folder` are kept.

    weights: a complete state dict. config: with `model_cfg` and `preprocess_cfg`.
    tokenizer_files: copied under their own names. card: Markdown, None for no README.
    Each file is written to a temporary folder and then moved into place, the weights last, so that
    a reader never sees a partial file. Raises InputError if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export-", dir=folder) as name:
            part = Path(name)
            (part / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
            written = [part / CONFIG_NAME]
            # Contents, not links: a hub's cache consists of links.
            written += [Path(shutil.copyfile(file, part / file.name)) for file in tokenizer_files]
            if card is not None:
                (part / CARD_NAME).write_text(card, "utf-8")
                written.append(part / CARD_NAME)
            save_file(_half(weights), part / WEIGHT_NAMES[0])
            for file in (*written, part / WEIGHT_NAMES[0]):
                # Temporary files are readable by their owner only.
                file.chmod(0o644)
                file.replace(folder / file.name)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the model cannot be written to {folder}: {reason}") from error


def _half(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns float16 copies; integers, such as batch-norm counters, keep their type."""
    return {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous().clone()
        for name, value in weights.items()
    }


def render_card(data: ModelCardData, package: str, template: str, **context: Any) -> str:
    """Returns the card as Markdown.

    package: the one whose folder `templates` holds `template`. context: the template's variables;
    its filters are `one_line` and `cell`, which escapes a cell of a table.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=False,  # noqa: S701 - Markdown, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "one_line": one_line,
        "cell": lambda text: str(text).replace("|", "\\|"),
    }
    body = environment.get_template(template).render(**context)
    return f"---\n{data.to_yaml()}\n---\n{body}"
