"""Hyperparameter search: it starts from the given settings, learns, prunes, and resumes."""

from pathlib import Path

import pytest

from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.trials import Report, search_settings
from mmsearch.progress import NullProgress
from mmsearch.training.loop import LossNotFinite

ASKED = FinetuneOptions.of(method="head", learning_rate=1e-3, temperature=0.05, trials=10)


class Bowl:
    """A training whose score is known: best at a rate of 4e-3 with the sigmoid loss."""

    def __init__(self) -> None:
        self.seen: list[FinetuneOptions] = []

    def __call__(self, options: FinetuneOptions, report: Report) -> float:
        import math

        self.seen.append(options)
        assert options.schedule.learning_rate is not None
        score = 1 - abs(math.log10(options.schedule.learning_rate / 4e-3)) / 2
        score -= 0.5 * (options.loss.kind == "infonce")
        for step in range(1, 6):
            report(step, score * step / 5)
        return score


def test_the_first_trial_has_the_given_settings(tmp_path: Path) -> None:
    bowl = Bowl()
    found = search_settings(
        ASKED, bowl, tmp_path / "trials.log", methods=("head",), scale=20.0, progress=NullProgress()
    )
    first = bowl.seen[0]
    assert first.schedule.learning_rate == pytest.approx(1e-3)
    assert (first.loss.kind, first.model.method) == ("infonce", "head")
    assert first.model.temperature == pytest.approx(0.05)
    assert found.best.score is not None
    assert found.trials[0].score is not None
    assert found.best.score > found.trials[0].score
    applied = found.apply(ASKED)
    assert applied.schedule.learning_rate == found.best.settings["learning_rate"]
    assert applied.selection == ASKED.selection


def test_bad_trials_are_pruned(tmp_path: Path) -> None:
    found = search_settings(
        ASKED,
        Bowl(),
        tmp_path / "trials.log",
        methods=("head",),
        scale=20.0,
        progress=NullProgress(),
    )
    states = [trial.state for trial in found.trials]
    assert len(states) == 10
    assert "pruned" in states
    assert found.best.state == "complete"


def test_a_search_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    bowl, journal = Bowl(), tmp_path / "work" / "trials.log"

    def ended(options: FinetuneOptions, report: Report) -> float:
        if len(bowl.seen) == 4:
            raise KeyboardInterrupt
        return bowl(options, report)

    with pytest.raises(KeyboardInterrupt):
        search_settings(
            ASKED, ended, journal, methods=("head",), scale=20.0, progress=NullProgress()
        )
    found = search_settings(
        ASKED, bowl, journal, methods=("head",), scale=20.0, progress=NullProgress()
    )
    assert len(bowl.seen) == 10
    assert len(found.trials) == 10


def test_a_trial_that_diverges_costs_only_itself(tmp_path: Path) -> None:
    bowl = Bowl()

    def sometimes(options: FinetuneOptions, report: Report) -> float:
        if options.loss.kind == "sigmoid":
            raise LossNotFinite("the loss is nan")
        return bowl(options, report)

    found = search_settings(
        ASKED, sometimes, tmp_path / "t.log", methods=("head",), scale=20.0, progress=NullProgress()
    )
    assert {"fail", "complete"} <= {trial.state for trial in found.trials}
    assert found.best.settings["loss"] == "infonce"


def test_each_method_has_a_rate_and_rank_of_its_own(tmp_path: Path) -> None:
    given = FinetuneOptions.of(trials=12, rank=8, seed=1)
    bowl = Bowl()
    search_settings(
        given,
        bowl,
        tmp_path / "t.log",
        methods=("head", "lora"),
        scale=20.0,
        progress=NullProgress(),
    )
    assert {each.model.method for each in bowl.seen} == {"head", "lora"}
    ranks = {each.model.rank for each in bowl.seen if each.model.method == "lora"}
    assert len(ranks) > 1
