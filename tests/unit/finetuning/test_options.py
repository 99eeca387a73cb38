"""Settings: all faults at once, and what is left open is chosen by catalog, method and device."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.errors import ConfigError
from mmsearch.finetuning.options import FinetuneOptions, settled

CPU = DeviceChoice("cpu", "no CUDA device")
GPU = DeviceChoice("cuda", "a card")


def test_all_faults_are_told_at_once() -> None:
    wrong: dict[str, Any] = {
        "method": "hed",
        "learning_rate": -1.0,
        "batch_size": 1,
        "word_dropout": 1.5,
        "patience": -2,
        "templates": ("a photo",),
    }
    with pytest.raises(ConfigError) as caught:
        FinetuneOptions(**wrong, epochs=2, steps=10)
    message = str(caught.value)
    for words in (
        "method must be one of auto, head, lora, last-n, full, got 'hed'",
        "learning_rate must be above 0, got -1",
        "batch_size must be 2 or more, got 1",
        "word_dropout must lie between 0 and 1, got 1.5",
        "patience must be 0 or more, got -2",
        "a template needs one {} where the text goes, got 'a photo'",
        "epochs and steps are two ways to say one thing",
    ):
        assert words in message


def test_nan_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="learning_rate"):
        FinetuneOptions(learning_rate=float("nan"))


def test_two_views_are_needed_to_agree() -> None:
    with pytest.raises(ConfigError, match="two views"):
        FinetuneOptions(consistency_weight=0.1, views=1)


def test_auto_is_a_head_on_a_cpu_and_lora_on_a_gpu() -> None:
    options = FinetuneOptions()
    assert settled(options, train_items=1000, device=CPU).method == "head"
    assert settled(options, train_items=1000, device=GPU).method == "lora"


def test_adapters_are_trained_twice_on_more_views_unless_told_otherwise() -> None:
    lora, head = (
        settled(FinetuneOptions(method=method), train_items=1000, device=CPU)
        for method in ("lora", "head")
    )
    assert (lora.runs, lora.views, lora.augmentation) == (2, 12, "strong")
    assert (head.runs, head.views, head.augmentation) == (1, 3, "mild")
    asked = FinetuneOptions(method="lora", runs=1, views=0, augmentation="mild")
    given = settled(asked, train_items=1000, device=CPU)
    assert (given.runs, given.views, given.augmentation) == (1, 0, "mild")


@pytest.mark.parametrize("method", ["head", "lora", "full"])
def test_pictures_are_mixed_only_if_it_is_asked_for(method: Any) -> None:
    asked = FinetuneOptions(method=method, mixup=0.2)
    assert settled(asked, train_items=16, device=CPU).mixup == 0.2
    assert settled(FinetuneOptions(method=method), train_items=16, device=CPU).mixup == 0


def test_epochs_become_steps() -> None:
    options = FinetuneOptions(method="lora", epochs=3, batch_size=50)
    assert settled(options, train_items=1000, device=CPU).steps == 60


def test_what_is_given_stays() -> None:
    options = FinetuneOptions(
        method="full", steps=7, batch_size=6, micro_batch=3, learning_rate=0.5, validate_every=2
    )
    chosen = settled(options, train_items=1000, device=CPU)
    assert chosen.steps == 7
    assert chosen.batch_size == 6
    assert chosen.micro_batch == 3
    assert chosen.learning_rate == 0.5
    assert chosen.validate_every == 2
    assert chosen.method == "full"


@given(count=st.integers(2, 100_000), method=st.sampled_from(["head", "lora", "last-n", "full"]))
def test_no_catalog_is_too_small_for_the_batch_chosen(count: int, method: Any) -> None:
    chosen = settled(FinetuneOptions(method=method), train_items=count, device=CPU)
    assert 2 <= chosen.batch_size <= count
    assert chosen.steps >= 1
    assert 1 <= chosen.validate_every <= chosen.steps
