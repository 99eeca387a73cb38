"""One training batch, ready for the losses: which pair is right, which is ignored, and what a
teacher says of it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmsearch.encoders.base import Encoder
from mmsearch.finetuning.data.augment import Views
from mmsearch.finetuning.data.sampling import PLAIN_VIEW, Draw
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainCatalog
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.towers.image_inputs import Readable
from mmsearch.finetuning.trainee.mixup import Mixture
from mmsearch.finetuning.trainee.objective import TEACHER_SCALE, Known, Targets
from mmsearch.finetuning.trainee.positives import positives_and_ignored
from mmsearch.records import Floats, Ids

# Class titles that one step compares its pictures with.
MOST_TITLES = 256
_TITLES = 4
_BATCH = 64

EncodeTexts = Callable[[Sequence[str]], Tensor]


class FrozenModel:
    """What a model that stands still says: of plain pictures by item, of texts as they come."""

    def __init__(
        self, items: Ids, pictures: Tensor, encode_texts: EncodeTexts, *, scale: float, device: str
    ) -> None:
        """items: int64 (n,); pictures: float (n, d), unit rows; scale: inverse temperature."""
        self._row = {item: row for row, item in enumerate(items.tolist())}
        self._pictures, self._scale, self._device = pictures.half(), scale, device
        self.encode_texts = encode_texts

    def of(self, draw: Draw) -> Known:
        rows = torch.tensor([self._row[item] for item in draw.items.tolist()])
        images = self._pictures[rows].float().to(self._device)
        return Known(images, self.encode_texts(draw.texts), self._scale)


def teacher_model(
    teacher: Encoder, catalog: TrainCatalog, items: Ids, device: str, advance: Callable[[int], None]
) -> FrozenModel:
    """Any encoder, of whatever dimension, with its own preprocessing."""
    views = Views(catalog, teacher.preprocessing)
    vectors: list[Floats] = []
    for at in range(0, len(items), _BATCH):
        batch = items[at : at + _BATCH]
        pixels, _ = views.batch(batch, np.full(len(batch), PLAIN_VIEW))
        vectors.append(teacher.encode_pixels(pixels))
        advance(len(batch))
    known: dict[str, Floats] = {}

    def encode(texts: Sequence[str]) -> Tensor:
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(missing, teacher.encode_texts(missing), strict=True))
        return torch.from_numpy(np.stack([known[text] for text in texts])).to(device)

    pictures = torch.from_numpy(np.concatenate(vectors))
    return FrozenModel(items, pictures, encode, scale=TEACHER_SCALE, device=device)


class Batches:
    """Turns draws into targets and titles. start_texts: tells which texts may mean the same."""

    def __init__(
        self,
        catalog: TrainCatalog,
        options: FinetuneOptions,
        start_texts: EncodeTexts,
        *,
        teacher: FrozenModel | None,
        device: str,
    ) -> None:
        self._titles = catalog.class_titles
        self._options, self._device = options, device
        self._start_texts, self._teacher = start_texts, teacher

    def titles(self, draw: Draw, step: int) -> tuple[list[str], Ids]:
        """The step's class titles in one template, and each item's place among them, int64 (b,).

        Those of the batch, and others by chance up to MOST_TITLES.
        """
        labels = np.unique(draw.labels[draw.labels != UNLABELLED])
        if not self._options.title_weight or len(self._titles) < 2 or not len(labels):
            return [], np.full(len(draw.labels), -1)
        chance = np.random.default_rng([self._options.seed, _TITLES, step])
        others = np.setdiff1d(np.arange(len(self._titles)), labels)
        more = max(0, MOST_TITLES - len(labels))
        used = np.concatenate([labels, chance.permutation(others)[:more]])
        template = self._options.templates[int(chance.integers(len(self._options.templates)))]
        place = np.full(len(self._titles) + 1, -1)
        place[used] = np.arange(len(used))
        # UNLABELLED is -1: the last place, which no title has.
        return [template.replace("{}", self._titles[at]) for at in used], place[draw.labels]

    def targets(
        self, draw: Draw, places: Ids, readable: Readable, mixture: Mixture | None = None
    ) -> Targets:
        """draw: the whole batch; readable: bool (b,), pictures that could be decoded."""
        seen = draw.has_image & readable
        texts = self._start_texts(draw.texts)
        similarity = (texts @ texts.T).cpu().numpy()
        labelled = draw.labels != UNLABELLED
        apart = draw.labels[:, None] != draw.labels[None, :]
        # Classes that differ are told apart, however alike their names.
        similarity[apart & labelled[:, None] & labelled[None, :]] = -1
        same, ignored = positives_and_ignored(draw, similarity)
        same &= seen[:, None]
        ignored |= ~seen[:, None]
        return Targets(
            same=self._tensor(same),
            ignored=self._tensor(ignored),
            labels=self._tensor(draw.labels),
            title_labels=self._tensor(places),
            seen=self._tensor(seen),
            both=self._tensor(seen & draw.has_text),
            teacher=None if self._teacher is None else self._teacher.of(draw),
            mixture=mixture,
        )

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device)
