"""Options with nothing left open: defaults that depend on method, device and training split."""

from dataclasses import dataclass, fields
from typing import Any

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.finetuning.options import (
    Augmentation,
    BatchSize,
    DataOptions,
    Dropout,
    FinetuneOptions,
    LossOptions,
    Method,
    ModelOptions,
    ScheduleOptions,
)
from mmsearch.training.validated import Count, PositiveFloat, PositiveInt, Share, Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel(ModelOptions):
    """Model options with nothing left to choose."""

    method: Method
    text_blocks: Count
    dropout: Dropout


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedData(DataOptions):
    """Data options with nothing left to choose."""

    augmentation: Augmentation
    views: Count
    mixup: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedLoss(LossOptions):
    """Loss options with nothing left to choose."""

    keep_weight: Weight

    @property
    def rehearses(self) -> bool:
        """Whether the model is held close to the original one on rehearsed drawings."""
        return self.keep_weight > 0 and self.rehearsed > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSchedule(ScheduleOptions):
    """Schedule options with nothing left to choose."""

    steps: PositiveInt
    runs: PositiveInt
    batch_size: BatchSize
    micro_batch: PositiveInt
    learning_rate: PositiveFloat
    validate_every: PositiveInt
    checkpoint_every: PositiveInt


@dataclass(frozen=True, slots=True, init=False)
class ResolvedOptions(FinetuneOptions):
    """Options with nothing left to choose."""

    model: ResolvedModel
    data: ResolvedData
    loss: ResolvedLoss
    schedule: ResolvedSchedule


@dataclass(frozen=True, slots=True)
class _Defaults:
    """Defaults of a method. batch: at most this many items a step. validations: per training."""

    learning_rate: float
    epochs: float
    batch: int
    keep_weight: float
    validations: int = 20
    views: int = 4
    augmentation: Augmentation = "mild"
    runs: int = 1
    dropout: float = 0.1


# A head on frozen features is cheap to train for many epochs at a high rate: at half the rate and
# three times the epochs, with strong dropout, it learned more and forgot less. Deeper layers forget
# at such rates. Adapters are small and forget little: they benefit from strong augmentation and
# from averaging two runs, each validated half as often.
_DEFAULTS: dict[Method, _Defaults] = {
    "head": _Defaults(1e-3, 55, 256, 60.0, views=3, dropout=0.4),
    "lora": _Defaults(1e-3, 11, 64, 40.0, validations=10, views=12, augmentation="strong", runs=2),
    "last-n": _Defaults(3e-4, 10, 64, 40.0),
    "full": _Defaults(1e-4, 8, 64, 40.0),
}
# Rows encoded at once with gradients. Whole towers fill a CPU's memory soon; of their last blocks a
# whole batch fits, which saves a forward pass; a GPU needs more rows. A head's inputs are vectors.
_MICRO_WHOLE, _MICRO_CPU, _MICRO_GPU, _MICRO_HEAD = 32, 128, 256, 4096


def resolve(options: FinetuneOptions, *, train_items: int, device: DeviceChoice) -> ResolvedOptions:
    """Chooses what the options leave open. train_items: size of the training split."""
    on_cpu = device.name == "cpu"
    model, data, schedule = options.model, options.data, options.schedule
    method: Method = model.method if model.method != "auto" else "head" if on_cpu else "lora"
    defaults = _DEFAULTS[method]
    # The largest power of two that is not larger than the training split.
    batch = schedule.batch_size or min(defaults.batch, max(2, 1 << (train_items.bit_length() - 1)))
    epochs = schedule.epochs or defaults.epochs
    steps = schedule.steps or max(1, round(epochs * train_items / batch))
    every = schedule.validate_every or max(1, steps // defaults.validations)
    micro = _MICRO_HEAD if method == "head" else _MICRO_CPU if on_cpu else _MICRO_GPU
    if method == "full" and on_cpu:
        micro = _MICRO_WHOLE
    text_blocks = model.text_blocks
    if text_blocks is None:
        # A step has hundreds of texts, whose passes would take most of the time on a CPU.
        text_blocks = 0 if on_cpu else model.blocks
    return ResolvedOptions(
        model=ResolvedModel(
            **_values(
                model,
                method=method,
                text_blocks=text_blocks,
                dropout=defaults.dropout if model.dropout is None else model.dropout,
            )
        ),
        data=ResolvedData(
            **_values(
                data,
                augmentation=data.augmentation or defaults.augmentation,
                views=defaults.views if data.views is None else data.views,
                mixup=data.mixup or 0.0,
            )
        ),
        loss=ResolvedLoss(**{"keep_weight": defaults.keep_weight} | _values(options.loss)),
        schedule=ResolvedSchedule(
            **_values(
                schedule,
                steps=steps,
                epochs=None,
                runs=schedule.runs or defaults.runs,
                batch_size=batch,
                micro_batch=schedule.micro_batch or micro,
                learning_rate=schedule.learning_rate or defaults.learning_rate,
                validate_every=every,
                checkpoint_every=schedule.checkpoint_every or 2 * every,
            )
        ),
        selection=options.selection,
        run=options.run,
    )


def default_rate(method: Method) -> float:
    """Returns the default learning rate of a method."""
    return _DEFAULTS[method].learning_rate


def _values(group: Any, **resolved: Any) -> dict[str, Any]:
    """Returns the fields of a group that are not None, and others in place of them."""
    given = {each.name: getattr(group, each.name) for each in fields(group)}
    return {name: value for name, value in given.items() if value is not None} | resolved
