"""Stage 1: the text tower is distilled from the sentence encoder.

Each step compares a batch of texts with the teacher's vectors: by cosine, and by the similarities
within the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmsearch.pretraining.model import TEXT_TOWER, encode_ids, unfreeze
from mmsearch.pretraining.recipe import DistillStage
from mmsearch.pretraining.stages.stage_run import Run, run_stage
from mmsearch.pretraining.stages.word_vectors import fit_word_vectors, initialise_text
from mmsearch.pretraining.teachers import cached_sentence_vectors
from mmsearch.pretraining.text.batches import length_batches
from mmsearch.pretraining.text.tokenizer import token_ids
from mmsearch.training.loop import LoopOptions
from mmsearch.training.losses import relational, teacher_cosine
from mmsearch.training.metrics_log import MetricsLog

WEIGHT_DECAY = 0.01


@dataclass(frozen=True, slots=True)
class TeacherVectors:
    """The sentence encoder's vectors of texts: float16 (n, dim), unit rows."""

    texts: Sequence[str]
    vectors: NDArray[np.float16]


class DistillTrainee:
    """Trains the text tower towards the teacher's vectors; what `run_loop` needs."""

    def __init__(
        self,
        run: Run,
        ids: NDArray[np.int32],
        teacher: NDArray[np.float16],
        parameters: dict[str, nn.Parameter],
    ) -> None:
        """ids: (n, context); teacher: (n, dim ≤ embed_dim), unit rows."""
        self._model, self._ids, self._teacher = run.model, ids, teacher
        self._parameters = parameters
        self._options: DistillStage = run.recipe.distill
        self._batches = length_batches(
            ids, steps=self._options.steps, batch=self._options.batch, seed=run.recipe.seed
        )

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        """Returns one group: everything decays."""
        return [
            {
                "params": list(self._parameters.values()),
                "lr": options.learning_rate,
                "weight_decay": options.weight_decay,
            }
        ]

    def trained(self) -> dict[str, Tensor]:
        """Returns the text tower's parameters."""
        return dict(self._parameters)

    def train(self) -> None:
        """Switches to training."""
        self._model.train()

    def eval(self) -> None:
        """Switches to inference."""
        self._model.eval()

    def backward(self, step: int, micro: int) -> dict[str, float]:
        """Computes the gradients of a step; its batch depends on the step alone."""
        rows = self._batches[step]
        target = torch.from_numpy(self._teacher[rows].astype(np.float32))
        vectors = encode_ids(self._model, torch.from_numpy(self._ids[rows].astype(np.int64)))
        distance = teacher_cosine(vectors, target)
        relation = relational(vectors, target, self._options.temperature)
        loss = distance + self._options.relational_weight * relation
        torch.autograd.backward(loss)
        return {
            "loss": loss.item(),
            "cosine": 1 - distance.item(),
            "relation": relation.item(),
        }


def distill_text(run: Run, corpus: Sequence[str]) -> TeacherVectors:
    """Trains the text tower to give the sentence encoder's vectors of `corpus`."""
    recipe = run.recipe
    vectors = cached_sentence_vectors(
        corpus, package=recipe.text.teacher, cache=run.work, progress=run.progress
    )
    ids = token_ids(run.tokenizer, list(corpus)).astype(np.int32)

    def initialise(log: MetricsLog) -> None:
        log.forget("word_vectors", 0)
        run.progress.start("word vectors", recipe.word_vectors.steps)

        def report(step: int, loss: float) -> None:
            log.step("word_vectors", step, {"loss": loss})
            run.progress.advance(1)

        words = fit_word_vectors(
            ids,
            vectors,
            vocabulary=run.tokenizer.get_vocab_size(),
            steps=recipe.word_vectors.steps,
            seed=recipe.seed,
            report=report,
        )
        initialise_text(run.model, words)

    run_stage(
        run,
        "distill",
        DistillTrainee(run, ids, vectors, unfreeze(run.model, TEXT_TOWER)),
        run.loop_options(recipe.distill, weight_decay=WEIGHT_DECAY, average=0),
        identity=[*text_settings(run), list(corpus)],
        initialise=initialise,
    )
    return TeacherVectors(corpus, vectors)


def text_settings(run: Run) -> list[Any]:
    """Returns what the weights of the text tower depend on, but for its texts."""
    recipe = run.recipe
    sections = (recipe.text, recipe.word_vectors, recipe.distill)
    return [*(section.model_dump() for section in sections), recipe.seed, recipe.embed_dim]
