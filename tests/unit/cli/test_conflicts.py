"""Options that contradict each other are refused before anything is done."""

import pytest

from mmsearch.cli.app import app
from mmsearch.cli.conflicts import EXCLUDED, NEEDED, ONCE, refuse_conflicts
from mmsearch.errors import InputError


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("search x --json --csv", "--json and --csv exclude each other"),
        ("search x --queries q.jsonl", "--queries and TEXT exclude each other"),
        ("search x --json --columns price", "--json and --columns exclude each other"),
        ("search x --hybrid --keyword y", "--hybrid and --keyword exclude each other"),
        ("search x -0", "--null has an effect only with --paths"),
        ("search x --open", "--open has an effect only with --gallery"),
        ("search x --fuse rrf", "--fuse has an effect only with --hybrid or --keyword"),
        ("search --image a.jpg --image=b.jpg", "--image was given more than once"),
        ("index --drop goods --dry-run", "--drop and --dry-run exclude each other"),
        ("index goods --undo-prune", "--undo-prune and SOURCE exclude each other"),
        ("info --failures --index", "--failures and --index exclude each other"),
        ("models --dry-run", "--dry-run has an effect only with --promote or --rollback"),
        ("finetune x --force", "--force has an effect only with --promote"),
    ],
)
def test_options_that_contradict_each_other(arguments: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        app(arguments.split(), standalone_mode=False)
    assert says in str(caught.value)


def test_every_name_in_the_rules_is_one_of_its_command() -> None:
    from typer.main import get_command

    commands = get_command(app).commands  # type: ignore[attr-defined]
    named = {
        (command, name)
        for rules in (EXCLUDED, NEEDED)
        for command, by_option in rules.items()
        for option, others in by_option.items()
        for name in (option, *others)
    } | {(command, name) for command, options in ONCE.items() for name in options}
    assert len(named) > 30
    for command, name in named:
        parameters = commands[command].params
        assert name in {
            each for parameter in parameters for each in (*parameter.opts, parameter.metavar)
        }, (command, name)


def test_what_does_not_contradict_is_accepted() -> None:
    refuse_conflicts("search", {"TEXT", "--csv", "--columns"}, ["x", "--csv", "--columns", "a"])
    refuse_conflicts("search", {"--queries", "--image-weight"}, [])
    refuse_conflicts("sample", {"--json"}, ["--json", "--json"])
