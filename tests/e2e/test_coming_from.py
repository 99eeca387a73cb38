"""The commands on the page for users of other tools run, on the sample catalog."""

import re
import shlex
from pathlib import Path

import pytest

from tests.support.command_line import Call

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"
COMMANDS = [
    shlex.split(command)[1:]
    for command in dict.fromkeys(re.findall(r"`(mmsearch [^`]+)`", PAGE.read_text("utf-8")))
]
# `apply --dry-run` needs a plan, and `undo` something that was applied.
AFTER = {"undo": 3}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, call: Call) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    for command in (["sample", "demo"], ["index", "demo/products.csv"]):
        assert call(folder, *command).returncode == 0
    (folder / "many.jsonl").write_text('"red apple"\n')
    (folder / "raw").mkdir()
    return folder


def test_there_are_commands_for_every_tool() -> None:
    assert len(COMMANDS) > 30


@pytest.mark.slow
def test_the_commands_run_in_their_order(shop: Path, call: Call) -> None:
    failed = []
    for command in COMMANDS:
        if command[:1] == ["sample"]:
            continue
        done = call(shop, *command)
        expected = AFTER.get(command[-1], 10 if command[0] == "same" else 0)
        if done.returncode != expected:
            failed.append((command, done.returncode, done.stderr[-300:]))
    assert failed == []
