"""mmsearch models: the list, and the trial of one model."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mmsearch.cli.models.command import models
from mmsearch.encoders.model_zoo import MODELS

app = typer.Typer()
app.command()(models)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_list_names_every_model_with_its_licence() -> None:
    lines = run().splitlines()
    for model in MODELS:
        (line,) = [line for line in lines if line.split()[:1] == [model.name]]
        assert model.licence in line


def test_the_list_in_json_has_every_fact() -> None:
    document = json.loads(run("--json"))
    assert document["version"] == 1
    assert [row["name"] for row in document["models"]] == [model.name for model in MODELS]
    builtin = document["models"][0]
    assert builtin["on_this_machine"] is True
    assert builtin["imagenet_top1"] is None


def test_a_check_loads_the_model_and_shows_its_space(tiny_model: Path) -> None:
    document = json.loads(run("--check", str(tiny_model), "--device", "cpu", "--json"))
    assert document["space"]["model"] == str(tiny_model)
    assert document["space"]["dim"] == 24
    assert document["preprocessing"]["size"] == 32
    assert document["device"]["name"] == "cpu"


def test_a_check_in_words(tiny_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = run("--check", str(tiny_model), "--device", "cpu", "--quiet")
    assert ["dim", "24"] in [line.split() for line in table.splitlines()]
