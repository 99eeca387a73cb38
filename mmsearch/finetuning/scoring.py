"""Scores a model under training: on a split of the training set, and on a general set that ships.

A score is the mean of recall@1 and recall@10, from text to image and back, and of the zero-shot
accuracy by class title, as computed by `mmsearch evaluate`. The general set is the sample catalog:
372 drawings of everyday objects with descriptions and titles.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

import mmsearch.sample
from mmsearch.errors import InputError
from mmsearch.evaluation.labels import NONE, LabelledItem, LabelledSet, Pool
from mmsearch.evaluation.retrieval import rank
from mmsearch.evaluation.tasks import Task, tasks_from_pairs
from mmsearch.evaluation.zero_shot import TEMPLATES, ClassTask, class_task, predict
from mmsearch.finetuning.data.training_set import UNLABELLED, SplitName, TrainingSet
from mmsearch.finetuning.towers.start_model import NEITHER_TOWER
from mmsearch.media import MediaBounds, Preprocessing, read_image
from mmsearch.records import Floats, Ids, Pixels, Target
from mmsearch.text import first_line
from mmsearch.training.weight_interpolation import Weights

SCORE_NAME = "score"
ACCURACY = "accuracy by title"
_RECALL_AT = (1, 10)
_THREADS = 4


@dataclass(frozen=True, slots=True)
class ScoredSet:
    """Labelled items, prepared to be scored repeatedly.

    texts: the distinct ones, then the prompts of all classes. classes: None without any.
    """

    texts: Sequence[str]
    tasks: Sequence[Task]
    classes: ClassTask | None

    def parts(self, images: Floats, texts: Floats) -> dict[str, float]:
        """Returns recalls and accuracy by name, between 0 and 1.

        images (p, dim), texts (t, dim): float32 unit rows, of the distinct images and of `texts`.
        """
        vectors: dict[Target, Floats] = {"image": images, "text": texts}
        parts: dict[str, float] = {}
        for task in self.tasks:
            queries = vectors[task.query][task.queries]
            ranking = rank(task, queries, vectors[task.candidate][task.candidates])
            direction = task.direction.replace("-to-", " → ")
            for k in _RECALL_AT:
                parts[f"{direction} recall@{k}"] = float(ranking.recall_at(k).mean())
        if self.classes is not None:
            prompts = texts[len(texts) - len(self.classes.prompts) :]
            predicted = predict(self.classes, images[self.classes.images], prompts)
            parts[ACCURACY] = float((predicted == self.classes.actual).mean())
        return parts


# --- on the training set ---


@dataclass(frozen=True, slots=True)
class DomainSet(ScoredSet):
    """A split. images: int64 (p,), for each distinct image the position of an item that has it."""

    images: Ids

    def score(self, encode: Callable[[Ids, Sequence[str]], tuple[Floats, Floats]]) -> float:
        """Returns the score. encode: items and texts → float32 (p, dim) and (t, dim), unit rows."""
        parts = self.parts(*encode(self.images, self.texts))
        return sum(parts.values()) / len(parts)


def domain_set(
    training_set: TrainingSet, positions: Ids, templates: Sequence[str], split: SplitName
) -> DomainSet:
    """Prepares a split. positions: int64 (n,). Raises InputError if nothing can be scored."""
    labels = labelled(training_set, positions, grouped=False)
    tasks = tasks_from_pairs(labels.items, grouped=False)
    classes = None
    if any(item.label is not None and item.image != NONE for item in labels.items):
        classes = class_task(labels.items, templates, training_set.classes)
    if not tasks and classes is None:
        raise InputError(
            f"no item of the {split} split has an image with a text or a class, so nothing can be "
            "evaluated; add items, or increase its share"
        )
    shown: dict[int, int] = {}
    for position, item in zip(positions.tolist(), labels.items, strict=True):
        shown.setdefault(item.image, position)
    return DomainSet(
        [*labels.pool.texts, *(classes.prompts if classes else ())],
        tasks,
        classes,
        np.array([shown[image] for image in range(len(labels.pool.images))], np.int64),
    )


def labelled(training_set: TrainingSet, positions: Ids, *, grouped: bool) -> LabelledSet:
    """Returns items as labelled data, in order. grouped: by product; otherwise by class."""
    pool, items = Pool(), list[LabelledItem]()
    for position in positions.tolist():
        found = training_set.items[position]
        text = found.texts[0] if found.texts else None
        label = None if found.label == UNLABELLED else training_set.classes[found.label]
        items.append(
            LabelledItem(
                found.key,
                pool.add_image(found.image, first_line(text or "")) if found.image else NONE,
                pool.add_text(text) if text is not None else NONE,
                label,
                str(found.group) if grouped else label,
            )
        )
    return LabelledSet(items, pool, training_set.failures)


# --- on the general set ---


class Towers(Protocol):
    """The part of an encoder that is scored."""

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """Encodes pixels, uint8 (n, size, size, 3) → float32 (n, dim), unit rows."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """Returns float32 (n, dim), unit rows."""
        ...


@dataclass(frozen=True, slots=True)
class GeneralScore:
    """Score on the general set; parts are between 0 and 1, by name."""

    parts: Mapping[str, float]

    @property
    def score(self) -> float:
        """The mean of the parts."""
        return sum(self.parts.values()) / len(self.parts)


@dataclass(frozen=True, slots=True)
class GeneralSet(ScoredSet):
    """The sample catalog at one model's image size. pixels: uint8 (n, size, size, 3)."""

    classes: ClassTask
    pixels: Pixels


def general_set(preprocessing: Preprocessing) -> GeneralSet:
    """Reads the sample catalog, in about two seconds."""
    data = Path(mmsearch.sample.__file__).parent / "data"
    pool, items = Pool(), list[LabelledItem]()
    with (data / mmsearch.sample.TABLE).open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            image = pool.add_image(data / row["image"], row["title"])
            text = pool.add_text(row["description"])
            items.append(LabelledItem(row["id"], image, text, row["title"], None))
    read = partial(read_image, bounds=MediaBounds(), spec=preprocessing)
    with ThreadPoolExecutor(_THREADS) as threads:
        pixels = np.stack([image.pixels for image in threads.map(read, pool.images)])
    classes = class_task(items, TEMPLATES)
    texts = [*pool.texts, *classes.prompts]
    return GeneralSet(texts, tasks_from_pairs(items, grouped=False), classes, pixels)


class GeneralScorer:
    """Scores a model on the general set under any weights; unchanged towers are not run again."""

    def __init__(
        self, general: GeneralSet, towers: Callable[[Weights], Towers], start: Weights
    ) -> None:
        """towers: returns the towers under given weights. start: the original weights."""
        self._set, self._towers, self._start = general, towers, start
        original = towers(start)
        self._image_vectors = original.encode_pixels(general.pixels)
        self._text_vectors = original.encode_texts(general.texts)
        self.start = GeneralScore(general.parts(self._image_vectors, self._text_vectors))

    def score(self, weights: Weights) -> GeneralScore:
        """Returns the score under these weights, a complete state dict."""
        towers, images, texts = self._towers(weights), self._image_vectors, self._text_vectors
        changed = {
            name.startswith("visual.")
            for name, value in weights.items()
            if name not in NEITHER_TOWER and not torch.equal(value, self._start[name])
        }
        if True in changed:
            images = towers.encode_pixels(self._set.pixels)
        if False in changed:
            texts = towers.encode_texts(self._set.texts)
        return GeneralScore(self._set.parts(images, texts))
