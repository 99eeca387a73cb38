"""The pairs that training sees: a Picture with everything that may be said about it.

Readers (pictures.py) produce them, `hold_out` splits them by concept, `TextSampler` picks what is
said in one step.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.errors import InputError


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: a file or an SVG body, with captions (best first) and loose keywords."""

    key: str
    source: str
    concept: str
    captions: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    path: Path | None = None
    svg: str | None = None
    photo: bool = False
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class TextMix:
    """How often a step shows a caption as it is, inside a template, or as keywords."""

    caption: float = 0.5
    template: float = 0.3
    keywords: float = 0.2


DRAWING_TEMPLATES = (
    "a drawing of {}",
    "a picture of {}",
    "an illustration of {}",
    "clip art of {}",
    "a cartoon of {}",
    "{} drawing",
    "{}.",
    "an image of {}",
)
PHOTO_TEMPLATES = (
    "a photo of {}",
    "a picture of {}",
    "an image of {}",
    "a close-up photo of {}",
    "a photograph of {}",
    "{}.",
    "{} in a photo",
)
_VOWELS = "aeiou"
_UNCOUNTED = re.compile(r"(?i)^(a|an|the|some|two|three|my|flag of) |s$|ing$")


def concept_of(caption: str) -> str:
    """The caption without case, digits, brackets and punctuation: pictures that share it match."""
    bare = re.sub(r"\([^)]*\)", " ", caption.lower())
    return " ".join(re.findall(r"[^\W\d_]+", bare)) or caption.lower()


def with_article(phrase: str) -> str:
    """`red apple` becomes `a red apple`; plurals and phrases with an article stay."""
    if _UNCOUNTED.search(phrase):
        return phrase
    return f"{'an' if phrase[:1].lower() in _VOWELS else 'a'} {phrase}"


def require(path: Path, *names: str) -> None:
    """InputError unless every name lies in the folder."""
    for name in names:
        if not (path / name).exists():
            raise InputError(f"no {name} in {path}; give the folder of the unpacked package")


def hold_out(
    pictures: Sequence[Picture], *, fraction: float, seed: int
) -> tuple[list[Picture], list[Picture]]:
    """Splits by concept, so that no rendering of a held-out concept is trained on.

    The choice hangs on a hash of the concept: adding a source moves nothing across the split.
    """
    kept: list[Picture] = []
    held: list[Picture] = []
    for picture in pictures:
        (held if _unit_hash(picture.concept, seed) < fraction else kept).append(picture)
    return kept, held


def _unit_hash(text: str, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class TextSampler:
    """Draws one text for a picture; the same generator state gives the same text."""

    def __init__(self, mix: TextMix) -> None:
        self._mix = mix

    def __call__(self, picture: Picture, rng: np.random.Generator) -> str:
        draw = rng.random()
        # The first caption is the title; descriptions and other names come after it.
        first = rng.random() < 0.6
        caption = picture.captions[0 if first else int(rng.integers(len(picture.captions)))]
        if draw < self._mix.keywords and picture.keywords:
            return _some_keywords(picture, rng)
        if draw < self._mix.keywords + self._mix.template and len(caption) < 50:
            templates = PHOTO_TEMPLATES if picture.photo else DRAWING_TEMPLATES
            template = templates[int(rng.integers(len(templates)))]
            return template.format(with_article(caption.lower()))
        return caption


def _some_keywords(picture: Picture, rng: np.random.Generator) -> str:
    count = int(rng.integers(1, min(4, len(picture.keywords)) + 1))
    chosen = rng.choice(len(picture.keywords), size=count, replace=False)
    words = [picture.keywords[int(i)] for i in chosen]
    if rng.random() < 0.5:
        words.insert(0, picture.captions[0].lower())
    return (", " if rng.random() < 0.5 else " ").join(words)


def unique_captions(pictures: Iterable[Picture]) -> list[str]:
    """Every caption and keyword once, in order of appearance."""
    seen: dict[str, None] = {}
    for picture in pictures:
        for text in (*picture.captions, *picture.keywords):
            seen.setdefault(text)
    return list(seen)
