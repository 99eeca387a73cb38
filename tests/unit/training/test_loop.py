"""The loop on a small real model: it learns, stops, saves, and resumes bit for bit."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from mmsearch.errors import InputError
from mmsearch.progress import NullProgress
from mmsearch.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from mmsearch.training.ema import WeightAverage
from mmsearch.training.loop import LoopOptions, run_loop, warmup_cosine_factor
from mmsearch.training.metrics_log import MetricsLog
from tests.support.tiny_towers import OPTIONS, Towers, train

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """A run that nothing disturbed: its folder, and the weights it ended with."""
    torch.set_num_threads(1)
    folder, towers = tmp_path_factory.mktemp("straight"), Towers()
    train(towers, folder, OPTIONS)
    return folder, {name: tensor.detach().clone() for name, tensor in towers.trained().items()}


def run(*arguments: object, torchrun: bool = False) -> subprocess.CompletedProcess[str]:
    start = [sys.executable]
    if torchrun:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*start, "-m", "tests.support.tiny_towers", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def lines(folder: Path) -> list[dict[str, float | str]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_it_learns_and_keeps_the_best_weights(
    straight: tuple[Path, dict[str, Tensor]],
) -> None:
    folder, weights = straight
    found = lines(folder)
    losses = [float(line["loss"]) for line in found if line["stage"] == "train"]
    scores = [float(line["score"]) for line in found if line["stage"] == "validation"]
    assert len(losses) == 24
    assert len(scores) == 4
    assert losses[-1] < 0.8 * losses[0]
    towers = Towers()
    start = towers.recall_at_1()
    towers.load_state_dict(weights)
    towers.eval()
    assert towers.recall_at_1() == pytest.approx(max(scores), abs=1e-4)
    assert max(scores) > start + 0.1


def test_a_killed_run_ends_with_the_same_weights(
    straight: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    killed = run(tmp_path / "run", tmp_path / "weights", "--die-at", 13)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "weights").exists()
    resumed = Towers()
    train(resumed, tmp_path / "run", replace(OPTIONS, resume=True))
    assert same({k: v.detach() for k, v in resumed.trained().items()}, straight[1])
    assert lines(tmp_path / "run") == lines(straight[0])


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    alone = Towers()
    alone.encode = lambda images, texts: (  # type: ignore[method-assign]
        torch.nn.functional.normalize(alone.image_tower(images)),
        torch.nn.functional.normalize(alone.text_tower(texts)),
    )
    train(alone, tmp_path / "one", replace(OPTIONS, average=0.0, validate_every=0))
    done = run(tmp_path / "two", tmp_path / "weights", torchrun=True)
    assert done.returncode == 0, done.stderr
    both = load_file(tmp_path / "weights")
    for name, tensor in alone.trained().items():
        torch.testing.assert_close(both[name], tensor.detach(), atol=2e-6, rtol=1e-5)
    losses = [
        [float(line["loss"]) for line in lines(tmp_path / run) if line["stage"] == "train"]
        for run in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=2e-5)


def test_ctrl_c_ends_after_the_step_and_resumes_exactly(
    straight: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    towers = Towers()
    towers.before_step = lambda step: signal.raise_signal(signal.SIGINT) if step == 6 else None
    before = signal.getsignal(signal.SIGINT)
    result = train(towers, tmp_path, OPTIONS)
    assert result.stopped
    assert result.step == 7
    assert signal.getsignal(signal.SIGINT) is before
    again = Towers()
    result = train(again, tmp_path, replace(OPTIONS, resume=True))
    assert not result.stopped
    assert same({k: v.detach() for k, v in again.trained().items()}, straight[1])


def test_resuming_a_finished_run_gives_its_weights(tmp_path: Path) -> None:
    first, again = Towers(), Towers()
    options = replace(OPTIONS, steps=6)
    train(first, tmp_path, options)
    again.before_step = lambda step: pytest.fail("nothing is left to do")
    result = train(again, tmp_path, replace(options, resume=True))
    assert result.step == 6
    assert same(dict(again.trained()), dict(first.trained()))


def test_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    train(Towers(), tmp_path, replace(OPTIONS, steps=17))
    kept = sorted(each.name for each in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-00000015", "step-00000017"]
    (tmp_path / "checkpoints" / kept[1] / "optimizer.pt").write_bytes(b"half of it")
    found = load_checkpoint(tmp_path / "checkpoints")
    assert found is not None
    assert found.step == 15


def test_a_loss_that_is_not_a_number_stops_it_and_keeps_what_was_good(tmp_path: Path) -> None:
    towers = Towers()

    def break_pair(step: int) -> None:
        if step == 7:
            towers.images[towers.batch(7, 0)[0]] = math.nan

    towers.before_step = break_pair
    with (
        MetricsLog(tmp_path / "metrics.jsonl") as log,
        pytest.raises(InputError, match=r"the loss is nan in step 8 \(pair 7\)") as caught,
    ):
        run_loop(
            towers,
            towers.recall_at_1,
            OPTIONS,
            folder=tmp_path,
            log=log,
            progress=NullProgress(),
            describe=lambda step: f"pair {step}",
        )
    assert str(tmp_path / "checkpoints") in str(caught.value)
    found = load_checkpoint(tmp_path / "checkpoints")
    assert found is not None
    assert found.step == 7
    assert all(tensor.isfinite().all() for tensor in found.tensors["weights"].values())


def test_patience_ends_it_with_the_best_weights(tmp_path: Path) -> None:
    towers = Towers()
    scores = iter([0.1, 0.5, 0.3, 0.4, 0.9])
    seen: list[Tensor] = []

    def validate() -> float:
        seen.append(towers.scale.detach().clone())
        return next(scores)

    options = replace(OPTIONS, validate_every=4, patience=2)
    result = run_loop(towers, validate, options, progress=NullProgress())
    assert not list(tmp_path.iterdir()), "without a folder nothing is written"
    assert result.ended_early
    assert result.step == 12
    assert (result.best_step, result.best_score) == (4, 0.5)
    assert torch.equal(towers.scale.detach(), seen[1])


def test_other_settings_or_another_model_are_refused(tmp_path: Path) -> None:
    train(Towers(), tmp_path, replace(OPTIONS, steps=3))
    with pytest.raises(InputError, match=r"learning_rate was 0.05, is 0.02"):
        train(Towers(), tmp_path, replace(OPTIONS, steps=3, learning_rate=0.02, resume=True))
    other = Towers()
    other.text_tower[2] = torch.nn.Linear(8, 7)
    with pytest.raises(InputError, match=r"'text_tower.2.bias' is \(6,\) there and \(7,\) here"):
        train(other, tmp_path, replace(OPTIONS, steps=3, resume=True))


def test_a_disk_without_room_is_one_clear_error(tmp_path: Path) -> None:
    state = Checkpoint(1, {"weights": {"a": torch.zeros(1000)}}, {"state": {}}, {"result": {}})
    save_checkpoint(tmp_path, state)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        with pytest.raises(InputError, match=r"step 2 cannot be written .* free some space"):
            save_checkpoint(tmp_path, replace(state, step=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [each.name for each in tmp_path.iterdir()] == ["step-00000001"]


def test_a_pickle_in_place_of_the_optimizer_is_not_read(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, Checkpoint(1, {"weights": {}}, {"state": {}}, {"result": {}}))
    torch.save({"code": Path("x")}, tmp_path / "step-00000001" / "optimizer.pt")
    with pytest.raises(InputError, match="could execute code"):
        load_checkpoint(tmp_path)


def test_micro_batches_add_up_to_their_mean(tmp_path: Path) -> None:
    """Two micro-batches in a step move the weights as one loss that is the mean of both."""

    class Whole(Towers):
        def backward(self, step: int, micro: int) -> dict[str, float]:
            parts = [super(Whole, self).backward(step, each)["loss"] for each in (0, 1)]
            for parameter in self.parameters():
                parameter.grad = None if parameter.grad is None else parameter.grad / 2
            return {"loss": sum(parts) / 2}

    options = replace(OPTIONS, steps=4, average=0.0)
    parts, whole = Towers(), Whole()
    train(parts, tmp_path / "parts", replace(options, accumulate=2))
    train(whole, tmp_path / "whole", options)
    for name, tensor in parts.trained().items():
        torch.testing.assert_close(tensor, whole.trained()[name])


@given(
    values=st.lists(st.floats(-5, 5), min_size=1, max_size=30), keep=st.sampled_from([0.5, 0.99])
)
def test_the_average_follows_its_formula(values: list[float], keep: float) -> None:
    weight = torch.zeros(1, dtype=torch.float64)
    average, wanted = WeightAverage({"w": weight}, keep), 0.0
    for step, value in enumerate(values):
        weight.fill_(value)
        average.update(step)
        share = min(keep, (1 + step) / (10 + step))
        wanted = share * wanted + (1 - share) * value
    with average.in_use():
        assert weight.item() == pytest.approx(wanted)
    assert weight.item() == values[-1]


@given(steps=st.integers(2, 500), data=st.data())
def test_the_rate_rises_then_falls(steps: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(0, steps - 1))
    factors = [warmup_cosine_factor(step, steps=steps, warmup=warmup) for step in range(steps)]
    assert all(0 < each <= 1 for each in factors)
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert factors[warmup] == 1


def test_tensorboard_gets_the_curves(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(Towers(), tmp_path, LoopOptions(steps=4, learning_rate=1e-2, tensorboard=True))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [each.step for each in events.Scalars("loss")] == [1, 2, 3, 4]
    assert len(events.Scalars("score")) == 2
