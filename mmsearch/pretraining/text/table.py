"""A numbered table of all texts of the contrastive stages: those of each image and class."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mmsearch.pretraining.images.captioned import CaptionedImage
from mmsearch.pretraining.teachers import ClassNames
from mmsearch.pretraining.text.captions import indefinite, sample_text

# Prompts for all classes at once; with True, a class's synonyms take turns.
CLASS_PROMPTS = (
    ("{n}", False),
    ("a photo of {a}.", False),
    ("a photo of a {n}", False),
    ("{n}", True),
    ("a picture of {a}", True),
    ("{n}", True),
    ("a drawing of {a}", True),
    ("a close-up photo of the {n}.", False),
)


class TextTable:
    """Numbers distinct texts in order of appearance."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def rows(self, texts: Iterable[str]) -> list[int]:
        """Returns the row of each text, new ones at the end."""
        return [self._rows.setdefault(text, len(self._rows)) for text in texts]

    def texts(self) -> list[str]:
        """Lists the texts by row."""
        return list(self._rows)


def image_rows(
    table: TextTable, images: Sequence[CaptionedImage], *, per_image: int, seed: int
) -> NDArray[np.int64]:
    """Samples texts for each image: int64 (n, per_image) rows, its title first."""
    rng = np.random.default_rng(seed)
    return np.array(
        [
            table.rows([i.captions[0], *(sample_text(i, rng) for _ in range(per_image - 1))])
            for i in images
        ],
        dtype=np.int64,
    )


def class_rows(table: TextTable, classes: ClassNames) -> NDArray[np.int64]:
    """Writes every class in every prompt: int64 (prompts, classes) rows."""
    prompts = []
    for turn, (prompt, synonyms) in enumerate(CLASS_PROMPTS):
        names = [n[turn % len(n)] if synonyms else n[0] for n in classes.names]
        prompts.append(table.rows(prompt.format(n=n, a=indefinite(n)) for n in names))
    prompts.append(table.rows(", ".join(names[:3]) for names in classes.names))
    return np.array(prompts, dtype=np.int64)
