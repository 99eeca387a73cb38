"""What a model knows in general, measured on the sample catalog that ships: no download, no labels.

Its 372 drawings of everyday things are looked for by their descriptions and the other way round,
and each is named by the nearest of the 372 titles (zero-shot, in the evaluation's templates). The
general score is the mean of recall@1 and recall@10 in both directions and of that accuracy, by the
code that `mmsearch evaluate` runs.
"""

import csv
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

import mmsearch.sample
from mmsearch.evaluation.labels import LabelledItem, Pool
from mmsearch.evaluation.tasks import Task, tasks_from_pairs
from mmsearch.evaluation.zero_shot import TEMPLATES, ClassTask, class_task
from mmsearch.finetuning.scoring.score_parts import score_parts
from mmsearch.media import MediaBounds, Preprocessing, read_image
from mmsearch.records import Floats, Pixels

_THREADS = 4


class Towers(Protocol):
    """The part of an encoder that is measured."""

    @property
    def preprocessing(self) -> Preprocessing: ...

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """pixels: uint8 (n, size, size, 3) → float32 (n, dim), unit rows."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """→ float32 (n, dim), unit rows."""
        ...


@dataclass(frozen=True, slots=True)
class GeneralScore:
    """parts: shares between 0 and 1, by name."""

    parts: Mapping[str, float]

    @property
    def score(self) -> float:
        """The mean of the parts."""
        return sum(self.parts.values()) / len(self.parts)


@dataclass(frozen=True, slots=True)
class GeneralSet:
    """The sample catalog, ready to be encoded by models of one preprocessing.

    pixels: uint8 (n, size, size, 3).
    """

    pixels: Pixels
    texts: Sequence[str]
    tasks: Sequence[Task]
    classes: ClassTask

    def score(self, pictures: Floats, texts: Floats, prompts: Floats) -> GeneralScore:
        """float32 unit rows of `pixels`, `texts` and `classes.prompts`."""
        parts = score_parts(
            self.tasks, self.classes, pictures=pictures, texts=texts, prompts=prompts
        )
        return GeneralScore(parts)


def general_set(preprocessing: Preprocessing) -> GeneralSet:
    """Reads the shipped catalog; about two seconds."""
    data = Path(mmsearch.sample.__file__).parent / "data"
    pool, items = Pool(), list[LabelledItem]()
    with (data / mmsearch.sample.TABLE).open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            picture = pool.add_image(data / row["image"], row["title"])
            text = pool.add_text(row["description"])
            items.append(LabelledItem(row["id"], picture, text, row["title"], None))
    read = partial(read_image, bounds=MediaBounds(), spec=preprocessing)
    with ThreadPoolExecutor(_THREADS) as threads:
        pixels = np.stack([picture.pixels for picture in threads.map(read, pool.images)])
    return GeneralSet(
        pixels,
        pool.texts,
        tasks_from_pairs(items, grouped=False),
        class_task(items, TEMPLATES),
    )
