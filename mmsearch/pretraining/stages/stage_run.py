"""Runs one stage of a recipe with the shared training loop, in a folder of its own.

The folder's name is a digest of everything that the stage depends on. A second run, or one after an
interruption, resumes from the last checkpoint there; the curve is copied into the log of the whole
run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsearch.digests import digest_of_json
from mmsearch.pretraining.recipe import ContrastiveStage, DistillStage, Recipe
from mmsearch.progress import ProgressListener
from mmsearch.training.checkpoints import checkpoint_folders
from mmsearch.training.loop import VALIDATION, LoopNames, LoopOptions, Trainee, run_loop
from mmsearch.training.metrics_log import MetricsLog, read_metrics

if TYPE_CHECKING:
    from open_clip import CLIP
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Run:
    """What all stages share: the recipe, the model that they train, and where files go.

    work: the folder of caches and checkpoints. log: metrics.jsonl of the whole run.
    """

    recipe: Recipe
    model: "CLIP"
    tokenizer: "Tokenizer"
    work: Path
    log: MetricsLog
    progress: ProgressListener

    def loop_options(self, stage: DistillStage | ContrastiveStage, **further: Any) -> LoopOptions:
        """Returns the options of a stage's training, which resumes where it was interrupted."""
        return LoopOptions(
            steps=stage.steps,
            learning_rate=stage.learning_rate,
            seed=self.recipe.seed,
            resume=True,
            **further,
        )


def run_stage(
    run: Run,
    name: str,
    trainee: Trainee,
    options: LoopOptions,
    *,
    identity: Sequence[Any],
    initialise: Callable[[MetricsLog], None] | None = None,
    validate: Callable[[], float] | None = None,
    score_name: str = "score",
) -> list[float]:
    """Trains `trainee` in place, or loads what the same stage made before; returns its losses.

    identity: all that the weights depend on, as JSON can hold it. initialise: called with the
    stage's log before the first step, not where training resumes. validate: the score by which
    weights are chosen; without it the last ones are kept. Raises KeyboardInterrupt after a
    checkpoint where the user stopped it.
    """
    folder = run.work / f"{name}-{digest_of_json(list(identity))}"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "metrics.jsonl"
    with MetricsLog(file, resume=True) as log:
        if initialise is not None and not checkpoint_folders(folder / "checkpoints"):
            initialise(log)
        result = run_loop(
            trainee,
            validate,
            options,
            folder=folder,
            log=log,
            progress=run.progress,
            names=LoopNames(name, VALIDATION, score_name),
        )
        losses = log.losses[name]
    if result.stopped:
        run.progress.note(f"stopped after step {result.step:,}; the same command resumes there")
        raise KeyboardInterrupt
    for values in read_metrics(file):
        run.log.write(values.pop("stage"), values)
    return losses
