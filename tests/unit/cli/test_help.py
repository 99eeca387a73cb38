"""The help of every command: complete, in titled panels, readable in narrow terminals."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from mmsearch.cli.app import COMMANDS, SUBCOMMANDS, app
from mmsearch.cli.exit_codes import MEANINGS
from mmsearch.cli.options import names
from mmsearch.errors import MMSearchError

TOP_LEVEL = [command.__name__ for commands in COMMANDS.values() for command in commands]
NAMES = [(name,) for name in TOP_LEVEL] + [
    (command.__name__, step.__name__) for command, steps in SUBCOMMANDS.items() for step in steps
]


def shown(*arguments: str, width: int = 100) -> str:
    done = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": str(width)})
    assert done.exit_code == 0
    return done.stdout


def parameters(path: tuple[str, ...]) -> list[Any]:
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    return [param for param in command.params if not param.hidden]


def test_the_overview_names_every_command_with_what_it_does() -> None:
    text = shown()
    assert len(NAMES) == 19
    for name in TOP_LEVEL:
        assert re.search(rf"^│ {name} +[A-Z]", text, re.MULTILINE), name
    assert [line for line in text.splitlines() if "─ Duplicates ─" in line]


@pytest.mark.parametrize("path", NAMES, ids=" ".join)
def test_every_parameter_is_described_and_says_what_it_takes(path: tuple[str, ...]) -> None:
    for param in parameters(path):
        assert param.help, param.name
        assert param.help[0].isupper(), param.help
        assert param.help.endswith((".", "?")), param.help
        if not getattr(param, "is_flag", False):
            assert param.metavar, f"{param.name} has no metavar"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("path", NAMES, ids=" ".join)
def test_help_fits_the_terminal_and_ends_with_the_exit_codes(
    path: tuple[str, ...], width: int
) -> None:
    text = shown(*path, width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert f"Exit codes: 0 {MEANINGS[0]};" in " ".join(text.split())
    for param in parameters(path):
        for option in param.opts:
            assert option.strip("-") in text.lower()


@pytest.mark.parametrize("name", ["index", "search", "finetune", "evaluate", "dedup"])
def test_long_commands_have_five_options_on_top_and_the_rest_in_panels(name: str) -> None:
    panel = re.search(r"─ Options ─+╮\n(.*?)╰", shown(name), re.DOTALL)
    assert panel is not None
    options = re.findall(r"^│ (-[\w-]+)", panel[1], re.MULTILINE)
    assert len(options) == 6  # five and --help
    assert options[-1] == "-h"
    assert len(re.findall(r"^╭─ ", shown(name), re.MULTILINE)) >= 4


def test_short_commands_have_one_panel() -> None:
    assert re.findall(r"^╭─ (.*?) ─", shown("sample"), re.MULTILINE) == ["Arguments", "Options"]


def test_the_default_comes_last() -> None:
    lines = [" ".join(line.strip("│ ").split()) for line in shown("search").splitlines()]
    assert "-k, --limit, --top-k N Number of hits. Default: 10." in lines


def test_every_error_has_an_exit_code_with_a_meaning() -> None:
    def below(kind: type[MMSearchError]) -> list[type[MMSearchError]]:
        return [kind, *(each for sub in kind.__subclasses__() for each in below(sub))]

    codes = {kind.exit_code for kind in below(MMSearchError)}
    assert len(codes) > 5
    assert codes <= set(MEANINGS)


def test_the_guide_lists_every_exit_code() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guide.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|$", guide, re.MULTILINE))
    assert {int(code) for code in rows} == set(MEANINGS)
    for code, meaning in MEANINGS.items():
        assert rows[str(code)].replace("`", "").startswith(meaning)


def test_names_are_split_at_commas() -> None:
    assert names("title, brand,") == ("title", "brand")
    assert names(None) == ()
