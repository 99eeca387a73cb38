"""Training targets of a batch: positives, ignored pairs, labels, a teacher's embeddings, and mixup.

mixup (Zhang et al. 2018) is of pixels, or of the activations of a frozen part (manifold mixup,
Verma et al. 2019). It keeps a model from relying on the background or light of single images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmsearch.encoders.base import Encoder
from mmsearch.finetuning.data.hard_negatives import SAME_MEANING
from mmsearch.finetuning.data.sampling import PLAIN_VIEW, Draw
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainingSet
from mmsearch.finetuning.data.views import ImageViews
from mmsearch.finetuning.resolved import ResolvedOptions
from mmsearch.finetuning.towers.image_inputs import Readable
from mmsearch.finetuning.towers.image_tower import mixed
from mmsearch.finetuning.towers.text_inputs import EncodeTexts
from mmsearch.records import Floats, Ids

# Class titles that the images of one step are compared with.
MAX_TITLES = 256
_TITLES, _MIXUP = 4, 7


@dataclass(frozen=True, slots=True)
class TeacherVectors:
    """A frozen model's embeddings of a batch: float32 (b, d), unit rows."""

    images: Tensor
    texts: Tensor


@dataclass(frozen=True, slots=True)
class Mixup:
    """How the images of a batch are mixed.

    partners: int64 (b,), rows of the same batch. shares: float32 (b,), weights of a row's own
    image, 1 where it is not mixed.
    """

    partners: Tensor
    shares: Tensor

    def of(self, rows: Tensor) -> Tensor:
        """Mixes each row with its partner's, (b, …) → float32 (b, …)."""
        own = rows.float()
        return mixed(own, own[self.partners], self.shares)

    @property
    def is_mixed(self) -> Tensor:
        """Which rows are mixed, bool (b,)."""
        return self.shares < 1


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of a batch of b items.

    same, ignored: bool (b, b), images by texts. labels: int64 (b,), -1 without a class.
    title_labels: int64 (b,), index among the step's titles. has_image: bool (b,), readable images.
    has_both: bool (b,), those with a text. mixup: None if images are not mixed.
    """

    same: Tensor
    ignored: Tensor
    labels: Tensor
    title_labels: Tensor
    has_image: Tensor
    has_both: Tensor
    teacher: TeacherVectors | None
    mixup: Mixup | None = None


class TeacherModel:
    """A teacher of any dimension: images are embedded in advance, texts when they first occur."""

    def __init__(
        self,
        teacher: Encoder,
        views: ImageViews,
        items: Ids,
        *,
        device: str,
        advance: Callable[[int], None],
    ) -> None:
        """views: at the teacher's preprocessing. items: int64 (n,), positions to embed."""
        self._row = {item: row for row, item in enumerate(items.tolist())}
        vectors = views.encode(teacher, items, PLAIN_VIEW, advance)
        self._images = torch.from_numpy(vectors).half()
        self._teacher, self._device = teacher, device
        self._texts: dict[str, Floats] = {}

    def vectors(self, draw: Draw) -> TeacherVectors:
        """Returns the embeddings of a batch."""
        rows = torch.tensor([self._row[item] for item in draw.items.tolist()])
        missing = [text for text in dict.fromkeys(draw.texts) if text not in self._texts]
        self._texts.update(zip(missing, self._teacher.encode_texts(missing), strict=True))
        texts = torch.from_numpy(np.stack([self._texts[text] for text in draw.texts]))
        images = self._images[rows].float()
        return TeacherVectors(images.to(self._device), texts.to(self._device))


class TargetBuilder:
    """Builds class titles and targets of batches. start_texts: tells which texts may mean the same.

    teacher: None without distillation.
    """

    def __init__(
        self,
        training_set: TrainingSet,
        options: ResolvedOptions,
        start_texts: EncodeTexts,
        *,
        teacher: TeacherModel | None,
        device: str,
    ) -> None:
        self._titles = training_set.class_titles
        self._options, self._device = options, device
        self._start_texts, self._teacher = start_texts, teacher

    def titles(self, draw: Draw, step: int) -> tuple[list[str], Ids]:
        """Returns the step's class titles in one template, and each item's index among them.

        The titles are those of the batch, and random others up to MAX_TITLES. Indices: int64 (b,).
        """
        labels = np.unique(draw.labels[draw.labels != UNLABELLED])
        if not self._options.loss.title_weight or len(self._titles) < 2 or not len(labels):
            return [], np.full(len(draw.labels), -1)
        rng = np.random.default_rng([self._options.run.seed, _TITLES, step])
        others = np.setdiff1d(np.arange(len(self._titles)), labels)
        more = max(0, MAX_TITLES - len(labels))
        used = np.concatenate([labels, rng.permutation(others)[:more]])
        templates = self._options.data.templates
        template = templates[int(rng.integers(len(templates)))]
        index = np.full(len(self._titles) + 1, -1)
        index[used] = np.arange(len(used))
        # UNLABELLED is -1: the last entry, which no title has.
        return [template.replace("{}", self._titles[at]) for at in used], index[draw.labels]

    def targets(
        self, draw: Draw, title_labels: Ids, readable: Readable, mixup: Mixup | None = None
    ) -> Targets:
        """Returns the targets of a global batch. readable: bool (b,), images that were decoded."""
        has_image = draw.has_image & readable
        texts = self._start_texts(draw.texts)
        similarity = (texts @ texts.T).cpu().numpy()
        labelled = draw.labels != UNLABELLED
        different = draw.labels[:, None] != draw.labels[None, :]
        # Different classes are contrasted, however similar their names.
        similarity[different & labelled[:, None] & labelled[None, :]] = -1
        same, ignored = positives_and_ignored(draw, similarity)
        same &= has_image[:, None]
        ignored |= ~has_image[:, None]
        return Targets(
            same=self._tensor(same),
            ignored=self._tensor(ignored),
            labels=self._tensor(draw.labels),
            title_labels=self._tensor(title_labels),
            has_image=self._tensor(has_image),
            has_both=self._tensor(has_image & draw.has_text),
            teacher=None if self._teacher is None else self._teacher.vectors(draw),
            mixup=mixup,
        )

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device)


def positives_and_ignored(
    draw: Draw, text_similarity: Floats | None = None, *, threshold: float = SAME_MEANING
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which pairs of an image and a text are positives, and which are ignored: bool (b, b).

    Pairs that lack image or text are ignored, and so are pairs of texts of at least `threshold`
    similarity that are not positives. text_similarity: float32 (b, b), cosines of the texts.
    """
    positive = draw.groups[:, None] == draw.groups[None, :]
    ids, columns = np.unique(draw.text_ids, return_inverse=True)
    known = {text_id: at for at, text_id in enumerate(ids.tolist()) if text_id >= 0}
    owned = np.zeros((len(draw.own_text_ids), len(ids)), np.bool_)
    for row, texts in enumerate(draw.own_text_ids):
        owned[row, [known[text_id] for text_id in texts if text_id in known]] = True
    positive |= owned[:, columns]
    present = draw.has_image[:, None] & draw.has_text[None, :]
    ignored = ~present
    if text_similarity is not None:
        both = draw.has_text[:, None] & draw.has_text[None, :]
        ignored |= both & (text_similarity >= threshold) & ~positive
    return positive & present, ignored


def draw_shares(draw: Draw, *, probability: float, seed: int, step: int) -> Floats:
    """Draws the mixing weights of a global batch, float32 (b,): random with this probability, or 1.

    Rows without an image, or whose partner has none, are not mixed.
    """
    count = len(draw.items)
    rng = np.random.default_rng([seed, _MIXUP, step])
    shares = np.where(rng.random(count) < probability, rng.random(count), 1.0)
    both = draw.has_image & draw.has_image[partners(count)]
    return np.where(both, shares, 1.0).astype(np.float32)


def partners(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Returns each row's mixing partner, int64 (count,); an odd last row is its own.

    Batches are in random order, so rows are paired with their neighbours, which also lie in the
    same rank's part if that is even.
    """
    rows = np.arange(count)
    other = rows ^ 1
    return np.where(other < count, other, rows)
