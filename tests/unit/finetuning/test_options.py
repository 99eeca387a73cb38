"""Settings: all faults at once, and what is left open is chosen by catalog, method and device."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.errors import ConfigError
from mmsearch.finetuning.options import (
    FinetuneOptions,
    LossOptions,
    ModelOptions,
    ScheduleOptions,
)
from mmsearch.finetuning.resolved import resolve

CPU = DeviceChoice("cpu", "no CUDA device")
GPU = DeviceChoice("cuda", "a card")


def test_all_faults_are_reported_at_once() -> None:
    wrong: dict[str, Any] = {
        "method": "hed",
        "learning_rate": -1.0,
        "batch_size": 1,
        "word_dropout": 1.5,
        "patience": -2,
        "templates": ("a photo",),
    }
    with pytest.raises(ConfigError) as caught:
        FinetuneOptions.of(**wrong, epochs=2, steps=10)
    message = str(caught.value)
    for words in (
        "method: must be 'auto', 'head', 'lora', 'last-n' or 'full', got 'hed'",
        "learning_rate: must be greater than 0, got -1",
        "batch_size: must be at least 2, got 1",
        "word_dropout: must be at most 1, got 1.5",
        "patience: must be at least 0, got -2",
        "templates: must contain one {} for the text, got 'a photo'",
        "epochs and steps are mutually exclusive",
    ):
        assert words in message


def test_nan_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="learning_rate"):
        FinetuneOptions.of(learning_rate=float("nan"))


def test_two_views_are_needed_to_agree() -> None:
    with pytest.raises(ConfigError, match="two views"):
        FinetuneOptions.of(consistency_weight=0.1, views=1)


def test_auto_is_a_head_on_a_cpu_and_lora_on_a_gpu() -> None:
    options = FinetuneOptions()
    assert resolve(options, train_items=1000, device=CPU).model.method == "head"
    assert resolve(options, train_items=1000, device=GPU).model.method == "lora"


def test_adapters_are_trained_twice_on_more_views_by_default() -> None:
    lora, head = (
        resolve(FinetuneOptions.of(method=method), train_items=1000, device=CPU)
        for method in ("lora", "head")
    )
    assert (lora.schedule.runs, lora.data.views, lora.data.augmentation) == (2, 12, "strong")
    assert (head.schedule.runs, head.data.views, head.data.augmentation) == (1, 3, "mild")
    requested = FinetuneOptions.of(method="lora", runs=1, views=0, augmentation="mild")
    given = resolve(requested, train_items=1000, device=CPU)
    assert (given.schedule.runs, given.data.views, given.data.augmentation) == (1, 0, "mild")


@pytest.mark.parametrize("method", ["head", "lora", "full"])
def test_images_are_mixed_only_on_request(method: Any) -> None:
    requested = FinetuneOptions.of(method=method, mixup=0.2)
    assert resolve(requested, train_items=16, device=CPU).data.mixup == 0.2
    assert resolve(FinetuneOptions.of(method=method), train_items=16, device=CPU).data.mixup == 0


def test_epochs_become_steps() -> None:
    options = FinetuneOptions.of(method="lora", epochs=3, batch_size=50)
    assert resolve(options, train_items=1000, device=CPU).schedule.steps == 60


def test_what_is_given_stays() -> None:
    options = FinetuneOptions.of(
        method="full", steps=7, batch_size=6, micro_batch=3, learning_rate=0.5, validate_every=2
    )
    chosen = resolve(options, train_items=1000, device=CPU)
    assert chosen.schedule.steps == 7
    assert chosen.schedule.batch_size == 6
    assert chosen.schedule.micro_batch == 3
    assert chosen.schedule.learning_rate == 0.5
    assert chosen.schedule.validate_every == 2
    assert chosen.model.method == "full"


@given(count=st.integers(2, 100_000), method=st.sampled_from(["head", "lora", "last-n", "full"]))
def test_no_catalog_is_too_small_for_the_batch_chosen(count: int, method: Any) -> None:
    chosen = resolve(FinetuneOptions.of(method=method), train_items=count, device=CPU)
    assert 2 <= chosen.schedule.batch_size <= count
    assert chosen.schedule.steps >= 1
    assert 1 <= chosen.schedule.validate_every <= chosen.schedule.steps


def test_a_setting_of_a_group_has_the_name_of_the_command_line() -> None:
    ours = FinetuneOptions.of(model="base", method="lora", loss="sigmoid", steps=7)
    assert ours == FinetuneOptions(
        model=ModelOptions(name="base", method="lora"),
        loss=LossOptions(kind="sigmoid"),
        schedule=ScheduleOptions(steps=7),
    )
    assert ours.settings()["model"] == "base"
    assert ours.with_settings(steps=None) == ours.with_settings(steps=None, model="base")
    assert FinetuneOptions.of(**ours.settings()) == ours


def test_settings_outside_their_groups_still_work_with_a_note() -> None:
    with pytest.warns(DeprecationWarning, match="pass method, model, loss to FinetuneOptions.of"):
        old = FinetuneOptions(model="base", loss="sigmoid", method="lora")
    assert old == FinetuneOptions.of(model="base", loss="sigmoid", method="lora")


def test_a_misspelt_setting_is_an_error() -> None:
    with pytest.raises(TypeError, match="no setting 'stepps'"):
        FinetuneOptions(stepps=3)
    with pytest.raises(ConfigError, match="unknown setting 'stepps'"):
        FinetuneOptions.of(stepps=3)
