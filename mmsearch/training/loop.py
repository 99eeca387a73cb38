"""The training loop: forward, backward, step, average, validate, checkpoint; read top to bottom.

What is trained, on which batches and with which losses, is up to the Trainee. Each step is a pure
function of the weights, the optimizer state and the step number, so that a run that was killed and
resumed ends with the same weights, bit for bit.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from mmsearch.errors import InputError
from mmsearch.progress import ProgressListener
from mmsearch.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    require_same_shapes,
    save_checkpoint,
)
from mmsearch.training.distributed import (
    average_gradients,
    from_first,
    mean_of_ranks,
    ranks,
    share_weights,
)
from mmsearch.training.ema import WeightAverage, copies, load
from mmsearch.training.graceful_stop import stop_requests
from mmsearch.training.metrics_log import MetricsLog, board

STAGE, VALIDATION = "train", "validation"
# What a resumed run may change.
_RESUMABLE_CHANGES = ("resume", "tensorboard", "device", "checkpoint_every")
# A step's seed is seed · stride + step; the ranks are a large prime apart.
_SEED_STRIDE, _RANK_STRIDE = 1_000_003, 15_485_863


class LossNotFinite(InputError):
    """Training cannot continue; its last good state was saved."""


class Trainee(Protocol):
    """What the loop trains."""

    def parameter_groups(self, options: "LoopOptions") -> list[dict[str, Any]]:
        """Returns AdamW's parameter groups, with learning rate and weight decay."""
        ...

    def backward(self, step: int, micro: int) -> dict[str, float]:
        """Adds the gradient of one micro-batch of a step.

        Returns the parts of the loss, 'loss' among them. Under torchrun the loss is that of the
        global batch, computed from embeddings gathered with `distributed.gather_rows`.
        """
        ...

    def trained(self) -> dict[str, Tensor]:
        """Returns the live tensors that training changes, by name."""
        ...

    def train(self) -> object:
        """Enables dropout."""
        ...

    def eval(self) -> object:
        """Disables dropout."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """A Trainee with state beyond its weights to checkpoint, such as mined hard negatives."""

    def memory(self) -> dict[str, Tensor]:
        """Returns the state to save."""
        ...

    def recall_memory(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores saved state."""
        ...


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """Length, rates and bookkeeping of a training. A value of 0 disables its part.

    warmup: share of the steps over which the learning rates rise. accumulate: micro-batches a step.
    clip: largest norm of the gradient. average: decay of the moving average (EMA).
    patience: validations without improvement before early stopping.
    constant_rate: no warm-up and no decay of the learning rates.
    half: bfloat16 autocast on GPUs.
    """

    steps: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.05
    accumulate: int = 1
    clip: float = 1.0
    average: float = 0.99
    validate_every: int = 50
    patience: int = 5
    checkpoint_every: int = 100
    seed: int = 0
    device: str = "cpu"
    half: bool = True
    resume: bool = False
    tensorboard: bool = False
    constant_rate: bool = False


@dataclass(frozen=True, slots=True)
class LoopNames:
    """How a training is named in the log and in messages: its steps, validations and score."""

    steps: str = STAGE
    validations: str = VALIDATION
    score: str = "score"


@dataclass(slots=True)
class LoopResult:
    """State of a training, at its end and in every checkpoint.

    step: steps done. best_step: 0 if nothing was better than the initial weights.
    scores: (step, validation score). waited: validations since the best one.
    stopped: by Ctrl-C. ended_early: by early stopping.
    """

    step: int = 0
    best_step: int = 0
    best_score: float = -math.inf
    scores: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    waited: int = 0
    stopped: bool = False
    ended_early: bool = False


def run_loop(
    trainee: Trainee,
    validate: Callable[[], float] | None,
    options: LoopOptions,
    *,
    progress: ProgressListener,
    folder: Path | None = None,
    log: MetricsLog | None = None,
    names: LoopNames | None = None,
    describe: Callable[[int], str] = lambda step: "",
) -> LoopResult:
    """Trains and leaves the weights with the best score in the trainee, averaged if so configured.

    validate: returns the score of the current weights, higher is better; called on the first rank
    only. None keeps the last weights. folder: holds 'checkpoints'; None keeps none. log: None logs
    nothing.
    describe: describes the batch of a step, for the message about a loss that is not finite.
    Ctrl-C ends training after the current step, with a checkpoint; `stopped` is then set.
    Raises LossNotFinite; InputError if a checkpoint cannot be written or does not match the model
    and options; MissingDependency for TensorBoard.
    """
    here, names = ranks(), names or LoopNames()
    saves = folder / "checkpoints" if folder else None
    optimizer = torch.optim.AdamW(trainee.parameter_groups(options), fused=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    weights = trainee.trained()
    share_weights(weights.values())
    average = WeightAverage(weights, options.average)
    best, result = copies(weights, "cpu") if validate else {}, LoopResult()
    if options.resume and saves and (saved := load_checkpoint(saves)):
        require_same_shapes(weights, saved.tensors["weights"], saves)
        _require_same_settings(options, saved.state["settings"], saves)
        best, result = _restore(saved, trainee, average, optimizer)
    if log:
        log.forget(names.steps, result.step)
        log.forget(names.validations, result.step + 1)
    began = time.monotonic() - result.seconds

    def judge() -> None:
        nonlocal best
        if validate is None:
            return
        with average.in_use():
            trainee.eval()
            score = from_first(validate() if here.first else 0.0, options.device)
        trainee.train()
        result.scores.append((result.step, score))
        result.waited += 1
        if score > result.best_score:
            best = copies(average.tensors, "cpu")
            result.best_step, result.best_score, result.waited = result.step, score, 0
        result.ended_early = 0 < options.patience <= result.waited
        if log:
            log.write(names.validations, {"step": result.step, names.score: round(score, 5)})
        show(result.step, {names.score: score})
        progress.note(_standing(result, names.score, options.steps))

    def save() -> None:
        result.seconds = time.monotonic() - began
        if here.first and saves:
            state = {"result": asdict(result), "settings": asdict(options)}
            parts = _tensors(trainee, average, best)
            save_checkpoint(saves, Checkpoint(result.step, parts, optimizer.state_dict(), state))

    plots = options.tensorboard and folder is not None
    with stop_requests() as request, board(folder or Path(), result.step, plots) as show:
        progress.start("training", options.steps, device=options.device)
        progress.advance(result.step)
        if result.step == 0:
            judge()
        trainee.train()
        while result.step < options.steps and not result.ended_early:
            step = result.step
            # Dropout depends on the step alone, not on what ran before it.
            torch.manual_seed(options.seed * _SEED_STRIDE + step + here.rank * _RANK_STRIDE)
            warmup = round(options.steps * options.warmup)
            factor = warmup_cosine_factor(step, steps=options.steps, warmup=warmup)
            factor = 1.0 if options.constant_rate else factor
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor

            parts = _backward(trainee, step, options)
            shared = mean_of_ranks({**parts, "stop": float(request.made)}, options.device)
            result.stopped = shared.pop("stop") > 0
            average_gradients(parameters)
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, options.clip or math.inf))
            if not math.isfinite(shared["loss"]) or not math.isfinite(norm):
                save()
                raise LossNotFinite(_not_finite(shared["loss"], step, describe(step), saves))
            optimizer.step()
            optimizer.zero_grad()
            average.update(step)

            result.step += 1
            if log:
                log.step(names.steps, step, {**shared, "norm": norm, "rate": factor})
            show(result.step, {**shared, "norm": norm, "rate": factor})
            progress.advance(1)
            score = f" · {names.score} {result.scores[-1][1]:.3f}" if result.scores else ""
            progress.status(f"loss {shared['loss']:.3f}{score}")
            last = result.step == options.steps
            if last or _due(result.step, options.validate_every):
                judge()
            ends = last or result.stopped or result.ended_early
            if options.checkpoint_every and (ends or _due(result.step, options.checkpoint_every)):
                save()
            if result.stopped:
                break
    load(weights, best if validate else average.tensors)
    trainee.eval()
    return result


def warmup_cosine_factor(step: int, *, steps: int, warmup: int) -> float:
    """Returns the factor on the learning rates at `step`, from 0: linear warm-up, cosine decay."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _backward(trainee: Trainee, step: int, options: LoopOptions) -> dict[str, float]:
    """Computes a step's gradients, averaged over its micro-batches; returns the mean loss parts."""
    on_gpu = options.device.startswith("cuda")
    sums: dict[str, float] = {}
    for micro in range(options.accumulate):
        with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu and options.half):
            parts = trainee.backward(step, micro)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value / options.accumulate
    if options.accumulate > 1:
        for tensor in trainee.trained().values():
            if tensor.grad is not None:
                tensor.grad /= options.accumulate
    return sums


def _tensors(
    trainee: Trainee, average: WeightAverage, best: Mapping[str, Tensor]
) -> dict[str, Mapping[str, Tensor]]:
    parts: dict[str, Mapping[str, Tensor]] = {"weights": trainee.trained(), "best": best}
    if average.enabled:
        parts["average"] = average.tensors
    if isinstance(trainee, Remembers):
        parts["memory"] = trainee.memory()
    return parts


def _restore(
    saved: Checkpoint,
    trainee: Trainee,
    average: WeightAverage,
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, Tensor], LoopResult]:
    """Restores weights, average and optimizer; returns the best weights and the state."""
    load(trainee.trained(), saved.tensors["weights"])
    if average.enabled:
        load(average.tensors, saved.tensors["average"])
    if isinstance(trainee, Remembers):
        trainee.recall_memory(saved.tensors["memory"])
    optimizer.load_state_dict(dict(saved.optimizer))
    result = LoopResult(**saved.state["result"])
    result.scores = [(int(step), float(score)) for step, score in result.scores]
    result.stopped = False
    return copies(saved.tensors["best"]), result


def _require_same_settings(options: LoopOptions, then: Mapping[str, Any], folder: Path) -> None:
    # Checkpoints of earlier versions lack newer options.
    changed = [
        f"{name} was {then[name]}, is {value}"
        for name, value in asdict(options).items()
        if name not in _RESUMABLE_CHANGES and value != then.get(name, value)
    ]
    if changed:
        raise InputError(
            f"the run in {folder.parent} had other settings: {'; '.join(changed)}; "
            "resume with the same ones, or use another output folder"
        )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _standing(result: LoopResult, name: str, steps: int) -> str:
    step, score = result.scores[-1]
    best = "best" if result.best_step == step else f"best {result.best_score:.3f} "
    if result.best_step != step:
        best += f"at step {result.best_step:,}"
    return f"step {step:,} of {steps:,}: {name} {score:.3f} ({best})"


def _not_finite(loss: float, step: int, batch: str, folder: Path | None) -> str:
    of = f" ({batch})" if batch else ""
    what = "the gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
    saved = f"; the state before it was saved in {folder}" if folder else ""
    return f"{what} in step {step + 1}{of}{saved}; try a lower learning rate"
