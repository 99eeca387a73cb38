"""Samples the batch of each training step: items, their views, and one text each.

A batch is a pure function of the options and the step, so that a resumed run is exactly the one
that was stopped. Steps read one endless stream of epochs; an epoch has every item once, or as many
items balanced by class. Ranks get parts of one global batch.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mmsearch.dedup.tiers.texts import normalised
from mmsearch.errors import InputError
from mmsearch.evaluation.zero_shot import TEMPLATES
from mmsearch.finetuning.data.hard_negatives import HardNegatives
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainingSet
from mmsearch.records import Ids
from mmsearch.training.validated import Count, Share, Templates, Validated

# The view without augmentation, as the encoder sees an image.
PLAIN_VIEW = -1
# Random streams that must be independent.
_ORDER, _STEP, _WORDS, _TURN, _ROUND = 1, 2, 3, 4, 5
_NO_TEXT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions(Validated):
    """How batches are sampled. batch_size: of all ranks together.

    class_balanced: sample all classes equally often, repeating items of rare ones.
    class_prompts: how often an item's text is its class name in one of the templates; always if it
    has no text of its own. text_templates: for its own texts.
    word_dropout: probability of dropping each word; one is always kept.
    modality_dropout: probability of dropping an item's image or text; one is always kept.
    views: number of random views of an image, None: a new one each time, 0: the plain one only.
    second_views: sample two views of each image.
    """

    batch_size: Annotated[int, Field(ge=2)] = 64
    seed: int = 0
    class_balanced: bool = False
    templates: Templates = TEMPLATES
    text_templates: Templates = ("{}",)
    class_prompts: Share = 0.5
    word_dropout: Share = 0.0
    modality_dropout: Share = 0.0
    views: Count | None = None
    second_views: bool = False

    def _conflicts(self) -> list[str]:
        if self.second_views and self.views in (0, 1):
            return [f"views: must be at least 2 for second views, got {self.views}"]
        return []


@dataclass(frozen=True, slots=True)
class Draw:
    """A sampled batch of b items.

    items: int64 (b,), positions in the training set. groups, labels: int64 (b,), theirs.
    views, second_views: int64 (b,), numbers of random views, or PLAIN_VIEW.
    texts: b texts, '' where has_text is False. has_image, has_text: bool (b,), after modality
    dropout. text_ids: int64 (b,), equal for equal texts whatever the template; -1 without a text.
    own_text_ids: ids of all texts that are correct for the item, its class name included.
    """

    items: Ids
    views: Ids
    second_views: Ids | None
    texts: list[str]
    has_image: NDArray[np.bool_]
    has_text: NDArray[np.bool_]
    groups: Ids
    labels: Ids
    text_ids: Ids
    own_text_ids: list[tuple[int, ...]]

    def part(self, rank: int, world: int) -> "Draw":
        """Returns a rank's part. Raises InputError if the batch is not divisible by `world`."""
        if len(self.items) % world:
            raise InputError(
                f"batch size {len(self.items)} is not divisible by {world} processes; set "
                f"`batch_size` to a multiple of {world}"
            )
        size = len(self.items) // world
        rows = slice(rank * size, (rank + 1) * size)
        mine: dict[str, Any] = {
            each.name: None if (whole := getattr(self, each.name)) is None else whole[rows]
            for each in fields(self)
        }
        return Draw(**mine)


class Sampler:
    """Samples batches of some of the items, such as those of the training split."""

    def __init__(
        self, training_set: TrainingSet, positions: Ids, options: SamplingOptions | None = None
    ) -> None:
        """positions: int64 (n,), of the items. Raises InputError if there is less than a batch."""
        self.training_set, self.positions = training_set, positions
        self.options = options or SamplingOptions()
        if len(positions) < self.options.batch_size:
            raise InputError(
                f"the {len(positions)} items to train on are fewer than a batch of "
                f"{self.options.batch_size}; set a smaller `batch_size`, or add items"
            )
        self._items = [training_set.items[place] for place in positions.tolist()]
        self._labels = np.array([item.label for item in self._items], np.int64)
        self._groups = np.array([item.group for item in self._items], np.int64)
        self._titles = training_set.class_titles
        ids: dict[str, int] = {}
        self._title_ids = [ids.setdefault(normalised(title), len(ids)) for title in self._titles]
        self._text_ids = [
            tuple(ids.setdefault(normalised(text), len(ids)) for text in item.texts)
            for item in self._items
        ]
        self._own_text_ids = [
            own if item.label == UNLABELLED else (*own, self._title_ids[item.label])
            for own, item in zip(self._text_ids, self._items, strict=True)
        ]
        self._hard: dict[int, HardNegatives] = {}
        self._epoch = lru_cache(maxsize=2)(self._make_epoch)

    def epochs_of(self, step: int) -> tuple[int, int]:
        """Returns the epochs of a step's first and last item, which count from 0."""
        size, count = self.options.batch_size, len(self.positions)
        return step * size // count, ((step + 1) * size - 1) // count

    def use_hard(self, hard: HardNegatives, *, from_epoch: int) -> None:
        """Places hard negatives right after their items in the batches from an epoch on."""
        self._hard[from_epoch] = hard
        self._epoch.cache_clear()

    def draw(self, step: int) -> Draw:
        """Samples the global batch of a step."""
        options, rng = self.options, np.random.default_rng([self.options.seed, _STEP, step])
        rows, views = self._stream(step)
        items = [self._items[row] for row in rows.tolist()]
        chosen = [self._text(row, rng) for row in rows.tolist()]
        has_image = np.array([item.image is not None for item in items], np.bool_)
        text_ids = np.array([text_id for _, text_id in chosen], np.int64)
        has_text = text_ids != _NO_TEXT
        dropped = has_image & has_text & (rng.random(len(rows)) < options.modality_dropout)
        drop_image = rng.random(len(rows)) < 0.5
        has_image &= ~(dropped & drop_image)
        has_text &= ~(dropped & ~drop_image)
        second_views = None
        if options.second_views:
            second_views = (views + 1) % options.views if options.views else views + 1
        return Draw(
            items=self.positions[rows],
            views=views,
            second_views=second_views,
            texts=[text if t else "" for (text, _), t in zip(chosen, has_text, strict=True)],
            has_image=has_image,
            has_text=has_text,
            groups=self._groups[rows],
            labels=self._labels[rows],
            text_ids=np.where(has_text, text_ids, _NO_TEXT),
            own_text_ids=[self._own_text_ids[row] for row in rows.tolist()],
        )

    # --- order ---

    def _stream(self, step: int) -> tuple[Ids, Ids]:
        """Returns rows and views of the step's items, int64 (batch_size,) each."""
        size, count = self.options.batch_size, len(self.positions)
        places = np.arange(step * size, (step + 1) * size)
        rows, views = np.empty(size, np.int64), np.empty(size, np.int64)
        for epoch in range(places[0] // count, places[-1] // count + 1):
            here = places // count == epoch
            order, repeats = self._epoch(epoch)
            rows[here] = order[places[here] % count]
            views[here] = epoch + repeats[places[here] % count]
        if self.options.views == 0:
            return rows, np.full_like(views, PLAIN_VIEW)
        # Even numbers leave the odd ones to the second views.
        return rows, 2 * places if self.options.views is None else views % self.options.views

    def _make_epoch(self, epoch: int) -> tuple[Ids, Ids]:
        """Returns an epoch's rows in order, and how often each occurred before; int64 (n,) each."""
        count, seed = len(self.positions), self.options.seed
        if self.options.class_balanced:
            places = np.arange(epoch * count, (epoch + 1) * count)
            rows = _by_class_in_turn(self._labels, places, seed)
        else:
            rows = _shuffled(count, seed, _ORDER, epoch)
        if mined := [start for start in self._hard if start <= epoch]:
            rows = _followed(rows, self._hard[max(mined)].rows_of(self.positions))
        return rows, _repeats(rows)

    # --- texts ---

    def _text(self, row: int, rng: np.random.Generator) -> tuple[str, int]:
        """Samples a text of an item, with its id; consumes as many random numbers for each item."""
        item, label = self._items[row], int(self._labels[row])
        by_class, which, template, words = rng.random(4)
        if label != UNLABELLED and (not item.texts or by_class < self.options.class_prompts):
            text, text_id = self._titles[label], self._title_ids[label]
            templates = self.options.templates
        elif item.texts:
            place = int(which * len(item.texts))
            text, text_id = item.texts[place], self._text_ids[row][place]
            templates = self.options.text_templates
        else:
            return "", _NO_TEXT
        text = self._with_fewer_words(text, int(words * 2**53))
        return templates[int(template * len(templates))].replace("{}", text), text_id

    def _with_fewer_words(self, text: str, seed: int) -> str:
        words = text.split()
        if self.options.word_dropout == 0 or len(words) < 2:
            return text
        kept = np.random.default_rng([_WORDS, seed]).random(len(words))
        stays = kept >= self.options.word_dropout
        stays[kept.argmax()] = True
        return " ".join(word for word, stay in zip(words, stays, strict=True) if stay)


def _by_class_in_turn(labels: Ids, places: Ids, seed: int) -> Ids:
    """Returns the rows at `places`, int64, ascending, of an endless class-balanced stream.

    Each turn has every class once, shuffled; a class yields its rows in turn and is then
    reshuffled. Unlabelled rows are one more class.
    """
    classes, members = np.unique(labels, return_inverse=True)
    turns = places // len(classes)
    known = range(int(turns[0]), int(turns[-1]) + 1)
    orders = np.stack([_shuffled(len(classes), seed, _TURN, turn) for turn in known])
    order = orders.ravel()[places - turns[0] * len(classes)]
    rows = np.empty(len(places), np.int64)
    for at in range(len(classes)):
        own, wanted = np.flatnonzero(members == at), np.flatnonzero(order == at)
        rounds = turns[wanted] // len(own)
        for number in np.unique(rounds).tolist():
            mixed = own[_shuffled(len(own), seed, _ROUND, at, number)]
            here = wanted[rounds == number]
            rows[here] = mixed[turns[here] % len(own)]
    return rows


def _shuffled(count: int, *seeds: int) -> Ids:
    return np.random.default_rng(seeds).permutation(count)


def _followed(rows: Ids, hard: Ids) -> Ids:
    """Reorders rows so that each is followed by its remaining hard negatives, int64 (n, h)."""
    waiting: dict[int, deque[int]] = defaultdict(deque)
    for place, row in enumerate(rows.tolist()):
        waiting[row].append(place)
    used = np.zeros(len(rows), np.bool_)
    order: list[int] = []
    for place, row in enumerate(rows.tolist()):
        if used[place]:
            continue
        for other in (row, *hard[row].tolist()):
            if other >= 0 and waiting[other]:
                used[waiting[other].popleft()] = True
                order.append(other)
    return np.array(order, np.int64)


def _repeats(rows: Ids) -> Ids:
    """Returns the number of earlier occurrences of each row, int64 (n,)."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(rows)])
    repeats = np.empty(len(rows), np.int64)
    repeats[order] = np.arange(len(rows)) - np.repeat(starts, lengths)
    return repeats
