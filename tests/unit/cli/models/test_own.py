"""mmsearch models add and remove."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mmsearch.cli.app import app
from mmsearch.encoders.registry import resolve
from mmsearch.errors import InputError, RecordNotFound


@pytest.fixture(autouse=True)
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


def test_a_name_is_added_listed_and_removed(tiny_model: Path) -> None:
    added = run("add", "mine", str(tiny_model))
    assert added.exit_code == 0
    assert f"'mine' is {tiny_model}, 24 dimensions" in " ".join(added.output.split())
    assert resolve("mine").name == str(tiny_model)
    assert json.loads(run("--json").stdout)["own"] == {"mine": str(tiny_model)}
    assert run("remove", "mine").exit_code == 0
    with pytest.raises(InputError, match="there is no model 'mine'"):
        resolve("mine")
    assert isinstance(run("remove", "mine").exception, RecordNotFound)


@pytest.mark.parametrize("name", ["base", "builtin", "ViT-B-32", "a:b", "a/b", ""])
def test_a_name_that_stands_for_something_else_is_refused(name: str, tiny_model: Path) -> None:
    refused = run("add", name, str(tiny_model))
    assert isinstance(refused.exception, InputError)
    assert json.loads(run("--json").stdout)["own"] == {}


def test_a_path_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert isinstance(run("add", "mine", str(tmp_path / "empty")).exception, InputError)
