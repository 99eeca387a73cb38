"""The pretrained networks that a recipe starts from: an ImageNet trunk and a sentence encoder.

Both come as ordinary packages that are asked for only when a recipe names them.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.errors import MissingModel
from mmsearch.extras import package_folder, require

if TYPE_CHECKING:
    import torch


def load_classifier(architecture: str, package: str) -> "torch.nn.Module":
    """timm's `architecture` with the ImageNet weights that lie in `package`, classifier included.

    The package's tensors have other names but the same order and shapes as timm's.
    """
    import timm
    import torch

    files = sorted(package_folder(package).rglob("*.pth"))
    if len(files) != 1:
        raise MissingModel(f"{len(files)} weight files (*.pth) in package {package!r}, wanted one")
    model = timm.create_model(architecture, pretrained=False)
    stored: dict[str, Any] = torch.load(files[0], map_location="cpu", weights_only=True)
    wanted = model.state_dict()
    shapes = [tuple(t.shape) for t in stored.values()], [tuple(t.shape) for t in wanted.values()]
    if shapes[0] != shapes[1]:
        raise MissingModel(f"the tensors of {package!r} do not fit timm's {architecture!r}")
    model.load_state_dict(dict(zip(wanted, stored.values(), strict=True)))
    frozen: torch.nn.Module = model.eval().requires_grad_(False)
    return frozen


def sentence_pieces(package: str) -> set[str]:
    """The word pieces that the sentence encoder in `package` knows."""
    from tokenizers import Tokenizer

    file = package_folder(package) / "model" / "tokenizer.json"
    return set(Tokenizer.from_file(str(file)).get_vocab())


def sentence_vectors(package: str, texts: list[str], batch: int = 128) -> NDArray[np.float32]:
    """float32 (n, 384) unit rows of the sentence encoder in `package`."""
    require("sentence_transformers", extra="train", purpose="the text teacher")
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(package_folder(package) / "model"), device="cpu")
    encoder.max_seq_length = 48
    vectors: NDArray[np.float32] = encoder.encode(
        texts, batch_size=batch, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors
