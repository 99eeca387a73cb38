"""WiSE-FT: mixes of start and tuned weights, and which of them is chosen."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mmsearch.errors import InputError
from mmsearch.training.weight_interpolation import (
    SweepPoint,
    SweepScore,
    Weights,
    average,
    choose,
    interpolate,
    sweep,
)

START: dict[str, Tensor] = {
    "weight": torch.tensor([[1.0, -2.0], [0.5, 4.0]]),
    "half": torch.tensor([1.0, 2.0], dtype=torch.float16),
    "batches": torch.tensor(3),
}
TUNED: dict[str, Tensor] = {
    "weight": torch.tensor([[2.0, -2.0], [-0.5, 8.0]]),
    "half": torch.tensor([3.0, -2.0], dtype=torch.float16),
    "batches": torch.tensor(7),
}
SHARES = st.floats(0, 1)


def test_the_ends_are_taken_bit_by_bit() -> None:
    assert interpolate(START, TUNED, 0.0)["batches"] == 3
    for ends, alpha in ((START, 0.0), (TUNED, 1.0)):
        mixed = interpolate(START, TUNED, alpha)
        assert mixed.keys() == START.keys()
        assert all(torch.equal(mixed[name], ends[name]) for name in ends)


def test_floating_tensors_are_mixed_in_their_type_and_counters_taken_over() -> None:
    mixed = interpolate(START, TUNED, 0.25)
    torch.testing.assert_close(mixed["weight"], torch.tensor([[1.25, -2.0], [0.25, 5.0]]))
    torch.testing.assert_close(mixed["half"], torch.tensor([1.5, 1.0], dtype=torch.float16))
    assert mixed["batches"] == 7


@given(SHARES, st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1))
def test_a_mix_lies_between_its_ends(alpha: float, pairs: list[tuple[float, float]]) -> None:
    start, tuned = (torch.tensor(values) for values in zip(*pairs, strict=True))
    mixed = interpolate({"w": start}, {"w": tuned}, alpha)["w"]
    assert mixed.dtype == start.dtype
    assert (mixed >= torch.minimum(start, tuned)).all()
    assert (mixed <= torch.maximum(start, tuned)).all()


@given(SHARES)
def test_mixing_from_the_other_end_gives_the_same(alpha: float) -> None:
    one = interpolate({"w": START["weight"]}, {"w": TUNED["weight"]}, alpha)["w"]
    other = interpolate({"w": TUNED["weight"]}, {"w": START["weight"]}, 1 - alpha)["w"]
    torch.testing.assert_close(one, other)


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_mean_of_runs_is_theirs_in_any_order(rows: list[list[float]]) -> None:
    runs = [{"w": torch.tensor(row), "count": torch.tensor(at)} for at, row in enumerate(rows)]
    found, turned = average(runs), average(runs[::-1])
    expected = np.array(rows).mean(axis=0)
    np.testing.assert_allclose(found["w"].numpy(), expected, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(turned["w"], found["w"])
    assert found["count"] == 0


def test_the_mean_of_one_run_is_that_run() -> None:
    assert all(torch.equal(value, TUNED[name]) for name, value in average([TUNED]).items())


@pytest.mark.parametrize(
    ("tuned", "message"),
    [
        ({"weight": START["weight"]}, "2 names differ, the first is 'batches'"),
        ({**START, "half": torch.ones(3)}, r"'half' is \(2,\) in one and \(3,\)"),
    ],
)
def test_weights_of_another_architecture_are_refused(tuned: Weights, message: str) -> None:
    with pytest.raises(InputError, match=message):
        interpolate(START, tuned, 0.5)


def forgetting(seen: list[float]) -> Callable[[Weights], SweepScore]:
    """Learns as much as it moves, and forgets a fiftieth of that; notes each alpha."""

    def evaluate(weights: Weights) -> SweepScore:
        seen.append(float(weights["weight"][0, 0]) - 1)
        return SweepScore(in_domain=seen[-1], general=1 - 0.02 * seen[-1])

    return evaluate


def test_a_sweep_measures_each_mix_once_from_the_start_on() -> None:
    seen: list[float] = []
    found = sweep(START, TUNED, forgetting(seen), alphas=(0.5, 1.0, 0.25, 0.5), refinement=0)
    assert seen == pytest.approx([0, 0.25, 0.5, 1.0])
    assert found.chosen.alpha == 0.5
    assert found.reason == (
        "kept 50% of what was learned: your catalog 0.000 → 0.500, general 1.000 → 0.990 (99.0%); "
        "100% would reach 1.000 but keep only 98.0%"
    )


def test_between_the_best_and_its_neighbours_it_takes_smaller_steps() -> None:
    seen: list[float] = []
    found = sweep(START, TUNED, forgetting(seen), alphas=(0.4, 0.8, 1.0), refinement=1)
    assert seen == pytest.approx([0, 0.4, 0.8, 1.0, 0.2, 0.6])
    assert [point.alpha for point in found.points] == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert found.chosen.alpha == 0.4
    finer = sweep(START, TUNED, forgetting([]), alphas=(0.4, 0.8, 1.0), refinement=3)
    assert finer.chosen.alpha == 0.5


@given(st.dictionaries(st.integers(0, 100), st.tuples(SHARES, SHARES)), st.integers(0, 5))
def test_smaller_steps_never_choose_worse(
    known: dict[int, tuple[float, float]], between: int
) -> None:
    def evaluate(weights: Weights) -> SweepScore:
        place = round(100 * float(weights["w"]))
        return SweepScore(*known.get(place, (0.5, 0.5)))

    ends = {"w": torch.zeros(())}, {"w": torch.ones(())}
    rough, fine = (sweep(*ends, evaluate, refinement=count) for count in (0, between))
    assert fine.chosen.score.in_domain >= rough.chosen.score.in_domain
    assert fine.allows(fine.chosen) or fine.chosen.alpha == 0
    alphas = [point.alpha for point in fine.points]
    assert alphas == sorted(set(alphas))


def test_alphas_outside_the_line_are_refused() -> None:
    with pytest.raises(InputError, match=r"between 0 .start. and 1 .tuned., got 1\.5"):
        sweep(START, TUNED, lambda _: SweepScore(1, 1), alphas=(0, 1.5))


POINTS = st.lists(
    st.tuples(SHARES, st.builds(SweepScore, SHARES, SHARES)), min_size=1, max_size=12
).map(lambda rows: [SweepPoint(i / 12, score) for i, (_, score) in enumerate(rows)])


@given(POINTS)
def test_the_best_of_what_keeps_enough_is_chosen(points: list[SweepPoint]) -> None:
    found = choose(points)
    start = points[0].score
    assert found.chosen.alpha == 0 or found.chosen.score.general >= 0.99 * start.general - 1e-9
    assert found.chosen.score.in_domain >= start.in_domain
    for point in points:
        enough = point.score.general >= 0.99 * start.general
        assert not enough or point.score.in_domain <= found.chosen.score.in_domain
    # As a difference: of a start that knows next to nothing any share is noise.
    kept = found.general_kept * start.general
    assert kept >= 0.99 * start.general - 1e-8 or found.chosen.alpha == 0
    assert f"{start.in_domain:.3f}" in found.reason


def test_without_gain_the_start_is_kept_and_that_is_said() -> None:
    points = [
        SweepPoint(0.0, SweepScore(0.5, 0.8)),
        SweepPoint(0.5, SweepScore(0.5, 0.9)),
        SweepPoint(1.0, SweepScore(0.9, 0.7)),
    ]
    found = choose(points)
    assert found.chosen is points[0]
    assert found.reason == (
        "kept the original weights: no interpolation improves on your catalog's 0.500 and keeps "
        "99% of the general score 0.800"
    )
