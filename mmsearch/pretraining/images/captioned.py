"""An image with its captions, which is what a recipe's readers yield, and the held-out split."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsearch.errors import InputError


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """One image to train on: a file or an SVG document, with everything that describes it.

    key: unique among all sources. source: shown in the model card. concept: images of one concept
    are positives of each other and lie on one side of the split. captions: at least one, the title
    first. photo: a photograph rather than a drawing. weight: sampling weight; an image below 1 is
    never a held-out query.
    """

    key: str
    source: str
    concept: str
    captions: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    path: Path | None = None
    svg: str | None = None
    photo: bool = False
    weight: float = 1.0


def concept_of(caption: str) -> str:
    """Returns the caption in lower case without digits, brackets and punctuation."""
    bare = re.sub(r"\([^)]*\)", " ", caption.lower())
    return " ".join(re.findall(r"[^\W\d_]+", bare)) or caption.lower()


def require_files(folder: Path, *names: str) -> None:
    """Raises InputError unless the folder holds every one of the files or folders."""
    for name in names:
        if not (folder / name).exists():
            raise InputError(f"no {name} in {folder}; give the folder of the unpacked package")


def hold_out(
    images: Sequence[CaptionedImage], *, fraction: float, seed: int
) -> tuple[list[CaptionedImage], list[CaptionedImage]]:
    """Splits images by concept into (training, held out).

    The split depends on a hash of the concept, so adding a source moves no image across it.
    """
    train: list[CaptionedImage] = []
    held: list[CaptionedImage] = []
    for image in images:
        digest = hashlib.blake2b(f"{seed}:{image.concept}".encode(), digest_size=8).digest()
        share = int.from_bytes(digest, "big") / 2**64
        (held if share < fraction else train).append(image)
    return train, held
