"""What each training step sees: items, their views, one text each, and what is hidden of them.

A draw is a pure function of the options and the step, so that a resumed run goes on exactly as it
would have. The steps read one endless stream of epochs; an epoch holds every item once, or as many
items by class in turn. Ranks get parts of one global batch.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.tiers.texts import normalised
from mmsearch.errors import ConfigError, InputError
from mmsearch.evaluation.zero_shot import TEMPLATES
from mmsearch.finetuning.data.hard_negatives import HardNegatives
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainCatalog
from mmsearch.records import Ids

# The view that a model sees when it encodes, without chance.
PLAIN_VIEW = -1
# Streams of chance that must not be the same one.
_ORDER, _STEP, _WORDS, _TURN, _ROUND = 1, 2, 3, 4, 5
_NO_TEXT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """batch_size: of all ranks together. seed: of everything that is drawn.

    class_balanced: all classes equally often, items of rare ones again and again.
    class_prompts: how often an item's text is its class's name in one of the templates; always
        where it has no text of its own. text_templates: for its own texts.
    word_dropout: chance of each word to be left out, all but one. modality_dropout: chance of an
        item to lose its picture or its text, never both.
    views: how many random views of a picture there are, None: a new one each time, 0: the plain one
        alone. second_views: draw two views of each picture.
    """

    batch_size: int = 64
    seed: int = 0
    class_balanced: bool = False
    templates: tuple[str, ...] = TEMPLATES
    text_templates: tuple[str, ...] = ("{}",)
    class_prompts: float = 0.5
    word_dropout: float = 0.0
    modality_dropout: float = 0.0
    views: int | None = None
    second_views: bool = False

    def __post_init__(self) -> None:
        faults = [
            f"{name} must lie between 0 and 1, got {getattr(self, name)}"
            for name in ("class_prompts", "word_dropout", "modality_dropout")
            if not 0 <= getattr(self, name) <= 1
        ]
        if self.batch_size < 2:
            faults.append(f"batch_size must be 2 or more, got {self.batch_size}")
        if self.views is not None and self.views < (2 if self.second_views else 0):
            faults.append(f"views must be 2 or more for second views, got {self.views}")
        faults += [
            f"a template needs one {{}} where the text goes, got '{template}'"
            for template in (*self.templates, *self.text_templates)
            if template.count("{}") != 1
        ]
        if not self.templates or not self.text_templates:
            faults.append("there must be at least one template")
        if faults:
            raise ConfigError("sampling: " + "; ".join(faults))


@dataclass(frozen=True, slots=True)
class Draw:
    """b items of one step. items: int64 (b,), places in the catalog; groups, labels: theirs.

    views, second_views: int64 (b,), which random view of the picture, PLAIN_VIEW for none.
    texts: b, '' where has_text is False. has_image, has_text: bool (b,), after modality dropout.
    text_ids: int64 (b,), equal for one text whatever its template; -1 without.
    own_text_ids: b, all texts that are right for the item, its class's name among them.
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
        """The rank's share of the batch. world: how many ranks, a divisor of b."""
        size = len(self.items) // world
        rows = slice(rank * size, (rank + 1) * size)
        mine: dict[str, Any] = {
            each.name: None if (whole := getattr(self, each.name)) is None else whole[rows]
            for each in fields(self)
        }
        return Draw(**mine)


@dataclass(frozen=True, slots=True)
class _Epoch:
    """int64 (n,) each: rows of the sampler's items in order, how often each came before."""

    rows: Ids
    repeats: Ids


class Sampler:
    """Draws batches of some of a catalog's items, such as those of the training split."""

    def __init__(
        self, catalog: TrainCatalog, positions: Ids, options: SamplingOptions | None = None
    ) -> None:
        """positions: int64 (n,), places in catalog.items. Raises InputError if n is too few."""
        self.catalog, self.positions = catalog, positions
        self.options = options or SamplingOptions()
        if len(positions) < self.options.batch_size:
            raise InputError(
                f"{len(positions)} items to train on are fewer than a batch of "
                f"{self.options.batch_size}; set a smaller `batch_size`, or add items"
            )
        self._items = [catalog.items[place] for place in positions.tolist()]
        self._labels = np.array([item.label for item in self._items], np.int64)
        self._groups = np.array([item.group for item in self._items], np.int64)
        self._titles = catalog.class_titles
        ids: dict[str, int] = {}
        self._title_ids = [ids.setdefault(normalised(title), len(ids)) for title in self._titles]
        self._text_ids = [
            tuple(ids.setdefault(normalised(text), len(ids)) for text in item.texts)
            for item in self._items
        ]
        self._hard: dict[int, HardNegatives] = {}
        self._epoch = lru_cache(maxsize=2)(self._make_epoch)

    def epochs_of(self, step: int) -> tuple[int, int]:
        """The epochs that the step's first and last item belong to, from 0."""
        size, count = self.options.batch_size, len(self.positions)
        return step * size // count, ((step + 1) * size - 1) // count

    def use_hard(self, hard: HardNegatives, *, from_epoch: int) -> None:
        """From this epoch on, items are followed by their hard negatives in the batch."""
        self._hard[from_epoch] = hard
        self._epoch.cache_clear()

    def draw(self, step: int, *, rank: int = 0, world: int = 1) -> Draw:
        """The rank's part of the step's batch. Raises InputError if ranks cannot share it."""
        size = self.options.batch_size
        if size % world:
            raise InputError(
                f"batch size {size} is not divisible by {world} processes; set `batch_size` to a "
                f"multiple of {world}"
            )
        return self._batch(step).part(rank, world)

    def _batch(self, step: int) -> Draw:
        options, chance = self.options, np.random.default_rng([self.options.seed, _STEP, step])
        rows, views = self._stream(step)
        items = [self._items[row] for row in rows.tolist()]
        chosen = [self._text(row, chance) for row in rows.tolist()]
        has_image = np.array([item.picture is not None for item in items], np.bool_)
        text_ids = np.array([text_id for _, text_id in chosen], np.int64)
        has_text = text_ids != _NO_TEXT
        lose = has_image & has_text & (chance.random(len(rows)) < options.modality_dropout)
        picture_goes = chance.random(len(rows)) < 0.5
        has_image &= ~(lose & picture_goes)
        has_text &= ~(lose & ~picture_goes)
        return Draw(
            items=self.positions[rows],
            views=views,
            second_views=self._second_views(views) if options.second_views else None,
            texts=[text if t else "" for (text, _), t in zip(chosen, has_text, strict=True)],
            has_image=has_image,
            has_text=has_text,
            groups=self._groups[rows],
            labels=self._labels[rows],
            text_ids=np.where(has_text, text_ids, _NO_TEXT),
            own_text_ids=[self._own_text_ids(row) for row in rows.tolist()],
        )

    # --- order ---

    def _stream(self, step: int) -> tuple[Ids, Ids]:
        """Rows and views of the step's items, int64 (batch_size,) each."""
        size, count = self.options.batch_size, len(self.positions)
        places = np.arange(step * size, (step + 1) * size)
        rows, views = np.empty(size, np.int64), np.empty(size, np.int64)
        for epoch in range(places[0] // count, places[-1] // count + 1):
            here = places // count == epoch
            found = self._epoch(epoch)
            rows[here] = found.rows[places[here] % count]
            views[here] = epoch + found.repeats[places[here] % count]
        return rows, self._numbered(views, places)

    def _numbered(self, turns: Ids, places: Ids) -> Ids:
        """turns: how often each item was drawn about before → which view it shows, int64."""
        views = self.options.views
        if views == 0:
            return np.full_like(turns, PLAIN_VIEW)
        # An even number leaves the odd ones to the second views.
        return 2 * places if views is None else turns % views

    def _second_views(self, views: Ids) -> Ids:
        count = self.options.views
        return views + 1 if count is None else (views + 1) % count

    def _make_epoch(self, epoch: int) -> _Epoch:
        count, seed = len(self.positions), self.options.seed
        if self.options.class_balanced:
            places = np.arange(epoch * count, (epoch + 1) * count)
            rows = _by_class_in_turn(self._labels, places, seed)
        else:
            rows = _shuffled(count, seed, _ORDER, epoch)
        hard = self._hard_in(epoch)
        if hard is not None:
            rows = _followed(rows, hard.rows_of(self.positions))
        return _Epoch(rows, _repeats(rows))

    def _hard_in(self, epoch: int) -> HardNegatives | None:
        known = [start for start in self._hard if start <= epoch]
        return self._hard[max(known)] if known else None

    # --- texts ---

    def _text(self, row: int, chance: np.random.Generator) -> tuple[str, int]:
        """One text of the item, and its id. Draws the same amount of chance for every item."""
        item, label = self._items[row], int(self._labels[row])
        by_class, which, template, words = chance.random(4)
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

    def _own_text_ids(self, row: int) -> tuple[int, ...]:
        label = int(self._labels[row])
        title = () if label == UNLABELLED else (self._title_ids[label],)
        return (*self._text_ids[row], *title)


def _by_class_in_turn(labels: Ids, places: Ids, seed: int) -> Ids:
    """The rows at these places, int64, ascending, of one endless stream.

    Each turn holds every class once, in another order; a class gives its rows in turn, and then
    again in another order. Rows without a label are one more class.
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
    """The same rows, each followed by those of its hard ones, int64 (n, h), that are left."""
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
    """How often each row came before in the same epoch, int64 (n,)."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(rows)])
    repeats = np.empty(len(rows), np.int64)
    repeats[order] = np.arange(len(rows)) - np.repeat(starts, lengths)
    return repeats
