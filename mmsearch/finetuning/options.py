"""Every setting of a fine-tuning, with defaults that suit most catalogs; all faults at once.

What is None is chosen once the catalog, the method and the device are known: see `settled`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.errors import ConfigError
from mmsearch.evaluation.zero_shot import TEMPLATES
from mmsearch.finetuning.data.splits import DEFAULT_SHARES

Method: TypeAlias = Literal["head", "lora", "last-n", "full"]
MethodWish: TypeAlias = Literal["auto", "head", "lora", "last-n", "full"]
Loss: TypeAlias = Literal["infonce", "sigmoid"]
Lock: TypeAlias = Literal["none", "image", "text"]
Augmentation: TypeAlias = Literal["mild", "strong"]
FusionAsked: TypeAlias = Literal["none", "auto", "late", "early", "attention"]


@dataclass(frozen=True, slots=True)
class _Defaults:
    """By method. batch: pictures a step, if the training split has so many. keep: keep_weight;
    validations: of each training."""

    learning_rate: float
    epochs: float
    batch: int
    keep: float
    validations: int = 20
    views: int = 4
    augmentation: Augmentation = "mild"
    runs: int = 1
    dropout: float = 0.1


# A head on frozen features takes a high rate and many epochs, which are cheap: at half the rate and
# three times the epochs it learned more and forgot less, and so it did with much dropout. What lies
# deeper forgets at such rates.
# Adapters are small and forget little: they take all the variety there is, and the mean of two
# trainings, each measured half as often.
_DEFAULTS: dict[Method, _Defaults] = {
    "head": _Defaults(1e-3, 55, 256, 60.0, views=3, dropout=0.4),
    "lora": _Defaults(1e-3, 11, 64, 40.0, validations=10, views=12, augmentation="strong", runs=2),
    "last-n": _Defaults(3e-4, 10, 64, 40.0),
    "full": _Defaults(1e-4, 8, 64, 40.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOptions:
    """What `mmsearch finetune` can be told; a weight, share or count of 0 switches its part off.

    Data: classes, group, split_column: columns; text_columns: each a text of its own; templates:
    for class names, text_templates: for an item's own texts; class_prompts: how often the class's
    name stands for an item's text. shares: of train, val and test; allow_straddling: take
    a split that parts groups as it is.
    What is trained: rank: of LoRA's matrices; blocks: how many of the image tower's last blocks,
    text_blocks: of the text tower's, None: as many, on a CPU 0, its projection alone; lock: a tower
    that stays; temperature: the start, None: the model's own; dropout: before the head.
    Steps: steps or epochs, not both; refit_epochs: of the projections alone, when towers have been
    trained; runs: trainings of towers, then of projections, each by chances of its own, whose
    weights are averaged; micro_batch: rows encoded at once with their gradients kept (GradCache
    gives the whole batch's); average: of the weights; patience: validations.
    mixup: how often a picture is mixed with another, see `mixing`.
    Losses: title_weight: of naming pictures among all class titles; class_weight: of a classifier
    beside; keep_weight: of staying near the start beyond the catalog, on so many `rehearsed`
    drawings, see `replay`; teacher: a model to learn from, teacher_weight: how much;
    consistency_weight: of two views' agreement; hard_negatives: of each item, mined between epochs.
    kept_share: what must remain of the general score.
    """

    model: str = "builtin"
    method: MethodWish = "auto"
    loss: Loss = "infonce"
    lock: Lock = "none"
    rank: int = 32
    blocks: int = 3
    text_blocks: int | None = None
    temperature: float | None = None
    dropout: float | None = None

    classes: str | None = None
    group: str | None = None
    split_column: str | None = None
    text_columns: tuple[str, ...] = ()
    templates: tuple[str, ...] = TEMPLATES
    text_templates: tuple[str, ...] = ("{}",)
    class_prompts: float = 0.5
    shares: tuple[float, float, float] = DEFAULT_SHARES
    allow_straddling: bool = False

    augment: bool = True
    augmentation: Augmentation | None = None
    views: int | None = None
    class_balanced: bool = True
    word_dropout: float = 0.0
    modality_dropout: float = 0.0
    mixup: float | None = None

    epochs: float | None = None
    steps: int | None = None
    refit_epochs: float = 55
    runs: int | None = None
    batch_size: int | None = None
    micro_batch: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.05
    average: float = 0.98
    clip: float = 1.0
    validate_every: int | None = None
    patience: int = 6
    checkpoint_every: int | None = None

    title_weight: float = 1.0
    class_weight: float = 0.5
    keep_weight: float | None = None
    rehearsed: int = 4000
    teacher: str | None = None
    teacher_weight: float = 1.0
    consistency_weight: float = 0.0
    hard_negatives: int = 0

    fusion: FusionAsked = "none"
    kept_share: float = 0.99
    trials: int = 0
    seed: int = 0
    device: str = "auto"
    out: Path | None = None
    resume: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if faults := [*_wrong_words(self), *_out_of_bounds(self), *_clashes(self)]:
            raise ConfigError("fine-tuning: " + "; ".join(faults))


def read_options(pairs: Sequence[str], **given: Any) -> FinetuneOptions:
    """given: fields by name, None for those left at their defaults, 'shares' also as '70:20:10'.

    pairs: more of them as NAME=VALUE. Raises ConfigError that names all that is wrong.
    """
    values = {name: value for name, value in given.items() if value is not None}
    if isinstance(shares := values.get("shares"), str):
        values["shares"] = shares.split(":")
    faults: list[str] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in FinetuneOptions.__slots__:
            known = ", ".join(FinetuneOptions.__slots__)
            faults.append(f"a setting is given as NAME=VALUE, got '{pair}'; the names are {known}")
        else:
            values[name] = value.split("|") if name in _LISTS else value
    hints = get_type_hints(FinetuneOptions)
    for name, value in values.items():
        try:
            values[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as error:
            faults.append(f"{name}: {error.errors()[0]['msg']}, got {value!r}")
    if faults:
        raise ConfigError("fine-tuning: " + "; ".join(faults))
    return FinetuneOptions(**values)


# Several values are given with bars between them.
_LISTS = ("templates", "text_templates", "text_columns", "shares")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledOptions(FinetuneOptions):
    """With nothing left open but what may be None for good."""

    method: Method
    steps: int
    batch_size: int
    micro_batch: int
    text_blocks: int
    learning_rate: float
    keep_weight: float
    dropout: float
    augmentation: Augmentation
    views: int
    mixup: float
    runs: int
    validate_every: int
    checkpoint_every: int

    @property
    def rehearses(self) -> bool:
        """Whether anything holds what the start model knows beyond the catalog."""
        return self.keep_weight > 0 and self.rehearsed > 0


# Rows with gradients at once. Of whole towers a CPU's memory holds few; of their last blocks a
# batch, which then takes three passes instead of four; a GPU wants to be filled. What a head is
# given are single vectors.
_MICRO_WHOLE, _MICRO_CPU, _MICRO_GPU, _MICRO_HEAD = 32, 128, 256, 4096


def settled(options: FinetuneOptions, *, train_items: int, device: DeviceChoice) -> SettledOptions:
    """What was left open is decided. train_items: in the training split. 'auto' is a head on a CPU
    and LoRA on a GPU."""
    on_cpu = device.name == "cpu"
    method: Method = options.method if options.method != "auto" else "head" if on_cpu else "lora"
    defaults = _DEFAULTS[method]
    batch = options.batch_size or min(defaults.batch, _even_power(train_items))
    epochs = options.epochs or defaults.epochs
    steps = options.steps or max(1, round(epochs * train_items / batch))
    every = options.validate_every or max(1, steps // defaults.validations)
    on_a_cpu = _MICRO_WHOLE if method == "full" else _MICRO_CPU
    piece = _MICRO_HEAD if method == "head" else on_a_cpu if on_cpu else _MICRO_GPU
    decided: dict[str, Any] = {
        "method": method,
        "steps": steps,
        "epochs": None,
        "batch_size": batch,
        "micro_batch": options.micro_batch or piece,
        "text_blocks": _text_blocks(options, on_cpu=on_cpu),
        "learning_rate": options.learning_rate or defaults.learning_rate,
        "keep_weight": defaults.keep if options.keep_weight is None else options.keep_weight,
        "dropout": defaults.dropout if options.dropout is None else options.dropout,
        "augmentation": options.augmentation or defaults.augmentation,
        "views": defaults.views if options.views is None else options.views,
        "mixup": options.mixup or 0.0,
        "runs": options.runs or defaults.runs,
        "validate_every": every,
        "checkpoint_every": options.checkpoint_every or 2 * every,
    }
    given = {each.name: getattr(options, each.name) for each in fields(FinetuneOptions)}
    return SettledOptions(**given | decided)


def _text_blocks(options: FinetuneOptions, *, on_cpu: bool) -> int:
    """A step has some hundred texts, prompts and rehearsed ones among them: on a CPU their passes
    would take many times as long as the pictures'."""
    if options.text_blocks is not None:
        return options.text_blocks
    return 0 if on_cpu else options.blocks


def default_rate(method: Method) -> float:
    return _DEFAULTS[method].learning_rate


def _even_power(count: int) -> int:
    """The largest power of two that is at most count."""
    return max(2, 1 << (count.bit_length() - 1))


def _wrong_words(options: FinetuneOptions) -> list[str]:
    known = {
        "method": get_args(MethodWish),
        "loss": get_args(Loss),
        "lock": get_args(Lock),
        "fusion": get_args(FusionAsked),
        "augmentation": (*get_args(Augmentation), None),
    }
    return [
        f"{name} must be one of {', '.join(filter(None, words))}, got '{getattr(options, name)}'"
        for name, words in known.items()
        if getattr(options, name) not in words
    ]


_SHARES = (
    *("class_prompts", "word_dropout", "modality_dropout", "mixup"),
    *("dropout", "average", "kept_share"),
)
_POSITIVE = ("epochs", "steps", "learning_rate", "temperature", "validate_every")
_POSITIVE_TOO = ("micro_batch", "checkpoint_every", "rank", "blocks", "runs")
_NOT_NEGATIVE = (
    *(
        "title_weight",
        "class_weight",
        "keep_weight",
        "teacher_weight",
        "consistency_weight",
        "weight_decay",
        "refit_epochs",
    ),
    *("hard_negatives", "patience", "clip", "trials", "views", "text_blocks", "rehearsed"),
)


def _out_of_bounds(options: FinetuneOptions) -> list[str]:
    given = {name: getattr(options, name) for name in FinetuneOptions.__slots__}
    faults = [
        f"{name} must lie between 0 and 1, got {given[name]:g}"
        for name in _SHARES
        if given[name] is not None and not 0 <= given[name] <= 1
    ]
    faults += [
        f"{name} must be above 0, got {given[name]:g}"
        for name in (*_POSITIVE, *_POSITIVE_TOO)
        if given[name] is not None and not given[name] > 0
    ]
    faults += [
        f"{name} must be 0 or more, got {given[name]:g}"
        for name in _NOT_NEGATIVE
        if given[name] is not None and not given[name] >= 0
    ]
    if options.batch_size is not None and options.batch_size < 2:
        faults.append(f"batch_size must be 2 or more, got {options.batch_size}")
    for name in ("average", "dropout"):
        if given[name] == 1:
            faults.append(f"{name} must be below 1")
    return faults


def _clashes(options: FinetuneOptions) -> list[str]:
    faults = []
    if options.epochs is not None and options.steps is not None:
        faults.append("epochs and steps are two ways to say one thing; give one")
    one_view = not options.augment or (options.views is not None and options.views < 2)
    if options.consistency_weight and one_view:
        faults.append("consistency_weight compares two views: it needs augment and views of 2 up")
    if options.consistency_weight and options.mixup:
        faults.append("consistency_weight compares two views of one picture: it needs mixup 0")
    if options.classes is None and options.split_column is None and options.class_prompts == 1:
        faults.append("class_prompts of 1 needs the column of classes")
    faults += [
        f"a template needs one {{}} where the text goes, got '{template}'"
        for template in (*options.templates, *options.text_templates)
        if template.count("{}") != 1
    ]
    return faults
