"""The folder of a run: taken ones are refused, a stopped one is found again, nothing is lost."""

from pathlib import Path

import pytest

from mmsearch.errors import ConfigError, InputError
from mmsearch.finetuning.options import FinetuneOptions, read_options
from mmsearch.finetuning.scoring import GeneralScore
from mmsearch.finetuning.workspace import TrainingResult, Workspace, default_out
from mmsearch.training.weight_interpolation import SweepPoint, SweepScore, choose

SHOP = [Path("shop.csv")]


def test_folders_are_numbered_and_the_last_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_out(SHOP[0]) == Path("shop-model")
    first = Workspace.claim(FinetuneOptions(), SHOP)
    second = Workspace.claim(FinetuneOptions(), SHOP)
    assert (first.out, second.out) == (Path("shop-model"), Path("shop-model-2"))
    assert Workspace.claim(FinetuneOptions.of(resume=True), SHOP).out == Path("shop-model-2")


def test_a_run_resumes_with_its_own_settings_alone(tmp_path: Path) -> None:
    options = FinetuneOptions.of(out=tmp_path / "out", learning_rate=1e-3, classes="kind")
    Workspace.claim(options, SHOP)
    again = options.with_settings(resume=True)
    Workspace.claim(again.with_settings(device="cpu", tensorboard=True), SHOP)
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.001, is 0\.002"):
        Workspace.claim(again.with_settings(learning_rate=2e-3), SHOP)
    with pytest.raises(ConfigError, match="sources was"):
        Workspace.claim(again, [Path("other.csv")])


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        Workspace.claim(FinetuneOptions.of(out=tmp_path), SHOP)
    with pytest.raises(InputError, match="already exists"):
        Workspace.claim(FinetuneOptions.of(out=tmp_path / "notes.txt"), SHOP)


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot create .*out: Not a directory"):
        Workspace.claim(FinetuneOptions.of(out=tmp_path / "file" / "out"), SHOP)


def test_what_was_found_comes_back_as_it_was(tmp_path: Path) -> None:
    space = Workspace.claim(FinetuneOptions.of(out=tmp_path / "out"), SHOP)
    assert space.result() is None
    points = [
        SweepPoint(alpha, SweepScore(0.2 + alpha, 0.5 - alpha / 1000)) for alpha in (0.0, 0.5, 1.0)
    ]
    general = GeneralScore({"text → image recall@1": 0.5})
    result = TrainingResult(
        steps=40,
        best_step=30,
        seconds=1.5,
        sweep=choose(points),
        general_start=general,
        general_tuned=general,
    )
    space.save(result)
    assert space.result() == result


def test_settings_are_read_by_name() -> None:
    options = read_options(
        ["rank=16", "keep_weight=0.25", "augment=false", "templates={} here|there {}"],
        method="lora",
        shares="80:10:10",
        epochs=None,
    )
    assert (options.model.rank, options.loss.keep_weight, options.data.augment) == (16, 0.25, False)
    assert options.data.templates == ("{} here", "there {}")
    assert options.data.shares == (80.0, 10.0, 10.0)
    assert options.model.method == "lora"


def test_all_bad_settings_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_options(["rank=many", "colour=red", "dropout"], shares="80:10")
    message = str(caught.value)
    assert "rank: " in message
    assert "unknown setting 'colour'" in message
    assert "got 'dropout'" in message
    assert "shares: " in message
