"""Wrong options: the message names the option, what it takes and what was got."""

import pytest
from typer.testing import CliRunner

from mmsearch.cli.app import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "x", "-k", "many"), "--top-k': must be a whole number, got 'many'"),
        (("search", "x", "-k", "0"), "--top-k': must be at least 1, got"),
        (("search", "x", "--image-weight", "7"), "--image-weight': must be at most 1, got"),
        (("index", "--recall", "high"), "--recall': must be a number, got 'high'"),
        (("finetune", "--method", "haed"), "--method': unknown value 'haed'; did you mean 'head'?"),
        (
            ("dedup", "apply", "plan", "--action", "delete"),
            "--action': unknown value 'delete'; use hide, move, hardlink, symlink, trash",
        ),
        (("search", "x", "--limmit", "3"), "no option --limmit; did you mean --limit?"),
        (("serch", "x"), "Did you mean 'search'?"),
        (("dedup", "apply"), "Missing argument 'PLAN'"),
    ],
)
def test_a_wrong_option_is_explained(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert "Value error" not in done.output
    assert "Input should" not in done.output
