"""The pretrained networks that a recipe starts from: an image classifier and a sentence encoder.

Both come as ordinary packages, which are needed only where a recipe names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.digests import NAME_BYTES, digest_of_text
from mmsearch.errors import MissingModel
from mmsearch.extras import package_folder, require
from mmsearch.files import replaced_file
from mmsearch.progress import ProgressListener

if TYPE_CHECKING:
    import torch

# Texts that are encoded between two writes of the cache.
CHUNK = 8192
# The sentence encoder's tokens; the texts of a corpus are shorter.
MAX_TOKENS = 48


def load_classifier(architecture: str, package: str) -> "torch.nn.Module":
    """Loads timm's `architecture` with the ImageNet weights in `package`, frozen.

    The package's tensors have other names than timm's but the same order and shapes. Raises
    MissingModel where they differ, MissingDependency without the package.
    """
    import timm
    import torch

    files = sorted(package_folder(package).rglob("*.pth"))
    if len(files) != 1:
        raise MissingModel(
            f"expected one weight file (*.pth) in package {package!r}, found {len(files)}"
        )
    model = timm.create_model(architecture, pretrained=False)
    stored: dict[str, Any] = torch.load(files[0], map_location="cpu", weights_only=True)
    expected = model.state_dict()
    shapes = [tuple(t.shape) for t in stored.values()], [tuple(t.shape) for t in expected.values()]
    if shapes[0] != shapes[1]:
        raise MissingModel(f"the tensors of {package!r} do not fit timm's {architecture!r}")
    model.load_state_dict(dict(zip(expected, stored.values(), strict=True)))
    frozen: torch.nn.Module = model.eval().requires_grad_(False)
    return frozen


@dataclass(frozen=True, slots=True)
class ClassNames:
    """The classes of a classifier, in the order of its outputs.

    names: those of each class, the most common first; definitions: one for each class.
    """

    names: tuple[tuple[str, ...], ...]
    definitions: tuple[str, ...]

    def first(self) -> list[str]:
        """Lists the most common name of each class."""
        return [names[0] for names in self.names]


def imagenet_names() -> ClassNames:
    """Returns ImageNet's classes: OpenAI's short name of each, then WordNet's synonyms."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    names, definitions = [], []
    for index, short in enumerate(IMAGENET_CLASSNAMES):
        detailed = info.index_to_description(index, detailed=True)
        synonyms, _, definition = detailed.partition(": ")
        names.append(tuple(dict.fromkeys([short, *synonyms.split(", ")])))
        definitions.append(definition)
    return ClassNames(tuple(names), tuple(definitions))


def word_pieces(package: str) -> set[str]:
    """Returns the vocabulary of the sentence encoder in `package`."""
    from tokenizers import Tokenizer

    file = package_folder(package) / "model" / "tokenizer.json"
    return set(Tokenizer.from_file(str(file)).get_vocab())


def sentence_vectors(package: str, texts: list[str], batch: int = 128) -> NDArray[np.float32]:
    """Encodes texts with the sentence encoder in `package`: float32 (n, dim), unit rows."""
    require("sentence_transformers", extra="train", purpose="the text teacher")
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(package_folder(package) / "model"), device="cpu")
    encoder.max_seq_length = MAX_TOKENS
    vectors: NDArray[np.float32] = encoder.encode(
        texts, batch_size=batch, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors


def cached_sentence_vectors(
    texts: Sequence[str], *, package: str, cache: Path, progress: ProgressListener
) -> NDArray[np.float16]:
    """Encodes the texts that the folder `cache` lacks: float16 (n, dim), unit rows, of all."""
    file = cache / f"sentences-{package}.npz"
    known: dict[bytes, NDArray[np.float16]] = {}
    if file.exists():
        with np.load(file) as stored:
            known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))
    # Hexadecimal, as numpy's byte strings lose trailing zero bytes.
    keys = [digest_of_text(text, size=NAME_BYTES).encode() for text in texts]
    missing = [i for i, key in enumerate(keys) if key not in known]
    progress.start("teacher's sentence vectors", len(missing))
    for start in range(0, len(missing), CHUNK):
        part = missing[start : start + CHUNK]
        vectors = sentence_vectors(package, [texts[i] for i in part]).astype(np.float16)
        known.update((keys[i], vector) for i, vector in zip(part, vectors, strict=True))
        file.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(file) as stream:
            stored_keys = np.array(list(known), dtype="S16")
            np.savez(stream, keys=stored_keys, vectors=np.stack(list(known.values())))
        progress.advance(len(part))
    return np.stack([known[key] for key in keys])
