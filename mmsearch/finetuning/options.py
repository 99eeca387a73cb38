"""Options of a fine-tuning, in groups.

What is None is chosen once catalog, method and device are known: see `resolved`.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field

from mmsearch.errors import ConfigError
from mmsearch.evaluation.zero_shot import TEMPLATES
from mmsearch.finetuning.data.splits import DEFAULT_SHARES
from mmsearch.training.validated import (
    Count,
    PositiveFloat,
    PositiveInt,
    Share,
    Templates,
    Validated,
    Weight,
)

Method: TypeAlias = Literal["head", "lora", "last-n", "full"]
MethodChoice: TypeAlias = Literal["auto", "head", "lora", "last-n", "full"]
Loss: TypeAlias = Literal["infonce", "sigmoid"]
Lock: TypeAlias = Literal["none", "image", "text"]
Augmentation: TypeAlias = Literal["mild", "strong"]
FusionChoice: TypeAlias = Literal["none", "auto", "late", "early", "attention"]
Dropout: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
BatchSize: TypeAlias = Annotated[int, Field(ge=2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions(Validated):
    """The model to start from and what of it is trained.

    name: as `--model` takes it. method: 'auto' is a head on a CPU and LoRA on a GPU.
    lock: a tower to freeze. rank: of LoRA's matrices.
    blocks: number of the image tower's last blocks to train. text_blocks: of the text tower's;
    None for as many, on a CPU 0, its projection only.
    temperature: initial value, None for the model's own. dropout: before the image projection.
    fusion: how product vectors are made from image and text, 'none' for no training of it.
    """

    name: str = "builtin"
    method: MethodChoice = "auto"
    lock: Lock = "none"
    rank: PositiveInt = 32
    blocks: PositiveInt = 3
    text_blocks: Count | None = None
    temperature: PositiveFloat | None = None
    dropout: Dropout | None = None
    fusion: FusionChoice = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions(Validated):
    """How items are read, split and sampled.

    classes, group, split_column: columns of class, product and split. text_columns: each a text of
    its own. templates: prompts for class names; text_templates: for an item's own texts.
    class_prompts: how often the class name replaces an item's text.
    shares: of train, val and test. allow_straddling: accept a given split that separates a group.
    augment, augmentation: random views and how far they differ. views: of each image.
    class_balanced: sample all classes equally often.
    word_dropout, modality_dropout: share of words, of images or texts, dropped.
    mixup: how often an image is mixed with another.
    """

    classes: str | None = None
    group: str | None = None
    split_column: str | None = None
    text_columns: tuple[str, ...] = ()
    templates: Templates = TEMPLATES
    text_templates: Templates = ("{}",)
    class_prompts: Share = 0.5
    shares: tuple[float, float, float] = DEFAULT_SHARES
    allow_straddling: bool = False
    augment: bool = True
    augmentation: Augmentation | None = None
    views: Count | None = None
    class_balanced: bool = True
    word_dropout: Share = 0.0
    modality_dropout: Share = 0.0
    mixup: Share | None = None

    def _conflicts(self) -> list[str]:
        if self.class_prompts == 1 and self.classes is None and self.split_column is None:
            return ["class_prompts: 1 needs a column of classes"]
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class LossOptions(Validated):
    """The loss and its terms; a weight of 0 disables its term.

    title_weight: classifying images among all class titles. class_weight: an auxiliary classifier.
    keep_weight: staying close to the original model on `rehearsed` drawings.
    teacher: a model to distil from, with teacher_weight.
    consistency_weight: agreement of two views. hard_negatives: per item, mined once an epoch.
    """

    kind: Loss = "infonce"
    title_weight: Weight = 1.0
    class_weight: Weight = 0.5
    keep_weight: Weight | None = None
    rehearsed: Count = 4000
    teacher: str | None = None
    teacher_weight: Weight = 1.0
    consistency_weight: Weight = 0.0
    hard_negatives: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions(Validated):
    """Length, rates and bookkeeping of the training.

    steps or epochs, not both. refit_epochs: of the projections on trained towers.
    runs: trainings whose weights are averaged. batch_size: global, over all processes.
    micro_batch: rows encoded at once (gradient caching). average: decay of the EMA of the weights.
    clip: largest norm of the gradient. patience: validations without improvement.
    """

    epochs: PositiveFloat | None = None
    steps: PositiveInt | None = None
    refit_epochs: Weight = 55
    runs: PositiveInt | None = None
    batch_size: BatchSize | None = None
    micro_batch: PositiveInt | None = None
    learning_rate: PositiveFloat | None = None
    weight_decay: Weight = 0.05
    average: Annotated[float, Field(ge=0, lt=1)] = 0.98
    clip: Weight = 1.0
    validate_every: PositiveInt | None = None
    patience: Count = 6
    checkpoint_every: PositiveInt | None = None

    def _conflicts(self) -> list[str]:
        if self.epochs is not None and self.steps is not None:
            return ["epochs and steps are mutually exclusive"]
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionOptions(Validated):
    """How settings and weights are chosen.

    kept_share: share of the general score to keep. trials: of hyperparameters, before the training.
    """

    kept_share: Share = 0.99
    trials: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(Validated):
    """Where and how the run executes. out: the model folder to write, None for SOURCE-model."""

    seed: int = 0
    device: str = "auto"
    out: Path | None = None
    resume: bool = False
    tensorboard: bool = False


@dataclass(frozen=True, slots=True, init=False)
class FinetuneOptions:
    """Options of `mmsearch finetune`, in groups.

    Single settings have the names of the command line's `--set`: `FinetuneOptions.of(steps=100)` is
    `FinetuneOptions(schedule=ScheduleOptions(steps=100))`.
    """

    model: ModelOptions
    data: DataOptions
    loss: LossOptions
    schedule: ScheduleOptions
    selection: SelectionOptions
    run: RunOptions

    def __init__(
        self,
        *,
        model: ModelOptions | str | None = None,
        data: DataOptions | None = None,
        loss: LossOptions | Loss | None = None,
        schedule: ScheduleOptions | None = None,
        selection: SelectionOptions | None = None,
        run: RunOptions | None = None,
        **settings: Any,
    ) -> None:
        """Single settings, and text as `model` or `loss`, are deprecated: see `of`.

        Raises ConfigError for invalid or conflicting settings, TypeError for unknown ones.
        """
        if unknown := sorted(settings.keys() - SETTINGS.keys()):
            raise TypeError(f"FinetuneOptions has no setting {', '.join(map(repr, unknown))}")
        if isinstance(model, str):
            settings["model"], model = model, None
        if isinstance(loss, str):
            settings["loss"], loss = loss, None
        if settings:
            warnings.warn(
                f"pass {', '.join(settings)} to FinetuneOptions.of, or as fields of their groups",
                DeprecationWarning,
                stacklevel=2,
            )
        given = (model, data, loss, schedule, selection, run)
        groups, faults = _changed(
            {name: each or _GROUPS[name]() for name, each in zip(_GROUPS, given, strict=True)},
            settings,
        )
        sampled: DataOptions = groups["data"]
        if groups["loss"].consistency_weight:
            if not sampled.augment or sampled.views in (0, 1):
                faults.append("consistency_weight compares two views: set augment and views >= 2")
            if sampled.mixup:
                faults.append("consistency_weight compares two views of one image: set mixup=0")
        if faults:
            raise ConfigError("fine-tuning: " + "; ".join(faults))
        for name, group in groups.items():
            object.__setattr__(self, name, group)

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Returns the defaults with other settings; raises ConfigError that lists all faults."""
        return cls().with_settings(**settings)

    def with_settings(self, **settings: Any) -> Self:
        """Returns a copy with other settings; raises ConfigError that lists all faults."""
        groups, faults = _changed({name: getattr(self, name) for name in _GROUPS}, settings)
        if faults:
            raise ConfigError("fine-tuning: " + "; ".join(faults))
        return type(self)(**groups)

    def settings(self) -> dict[str, Any]:
        """Returns all settings by name."""
        return {name: getattr(getattr(self, at[0]), at[1]) for name, at in SETTINGS.items()}


_GROUPS: dict[str, type] = {
    "model": ModelOptions,
    "data": DataOptions,
    "loss": LossOptions,
    "schedule": ScheduleOptions,
    "selection": SelectionOptions,
    "run": RunOptions,
}
# Group and field of each setting.
SETTINGS: dict[str, tuple[str, str]] = {
    {"name": "model", "kind": "loss"}.get(each.name, each.name): (group, each.name)
    for group, options in _GROUPS.items()
    for each in fields(options)
}


def _changed(
    groups: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Returns the groups with other settings, and what is wrong with these."""
    changes: dict[str, dict[str, Any]] = {}
    faults = []
    for name, value in settings.items():
        if name not in SETTINGS:
            near = get_close_matches(name, SETTINGS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(SETTINGS)}"
            faults.append(f"unknown setting '{name}'; {hint}")
            continue
        group, attribute = SETTINGS[name]
        changes.setdefault(group, {})[attribute] = value
    changed = dict(groups)
    for group, values in changes.items():
        try:
            changed[group] = replace(groups[group], **values)
        except ConfigError as error:
            faults.append(str(error))
    return changed, faults


# Settings with several values, which are separated by bars.
_LISTS = ("templates", "text_templates", "text_columns", "shares")


def read_options(pairs: Sequence[str], **given: Any) -> FinetuneOptions:
    """Returns the options of a command line.

    pairs: settings as NAME=VALUE. given: settings by name, None for the default; `shares` may be
    text such as '70:20:10'. Raises ConfigError that lists all faults.
    """
    values = {name: value for name, value in given.items() if value is not None}
    if isinstance(shares := values.get("shares"), str):
        values["shares"] = shares.split(":")
    faults = [f"expected NAME=VALUE, got '{pair}'" for pair in pairs if "=" not in pair]
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if equals:
            values[name] = value.split("|") if name in _LISTS else value
    try:
        options = FinetuneOptions.of(**values)
    except ConfigError as error:
        raise ConfigError("; ".join([str(error), *faults])) from error
    if faults:
        raise ConfigError("fine-tuning: " + "; ".join(faults))
    return options
