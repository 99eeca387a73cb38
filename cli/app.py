"""The command line: registers every command, and turns errors into messages and exit codes."""

import codecs
import os
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from mmsearch.cli.dedup.acting import apply, undo
from mmsearch.cli.dedup.command import dedup
from mmsearch.cli.dedup.ignore import ignore
from mmsearch.cli.dedup.same import same
from mmsearch.cli.dedup.similar import DedupGroup
from mmsearch.cli.doctor.command import doctor
from mmsearch.cli.evaluation.command import evaluate
from mmsearch.cli.exit_codes import DIFFERENT, exit_codes
from mmsearch.cli.export.command import export, vectors
from mmsearch.cli.help import Command, Group
from mmsearch.cli.models.command import models
from mmsearch.cli.models.own import add, remove
from mmsearch.cli.output.render import encode_readably, stderr_console
from mmsearch.cli.parameters import with_options
from mmsearch.cli.sample import sample
from mmsearch.cli.search.command import search
from mmsearch.cli.store.index import index
from mmsearch.cli.store.info import info
from mmsearch.cli.training.finetune import finetune
from mmsearch.cli.training.train import train
from mmsearch.errors import Interrupted, MMSearchError
from mmsearch.system_errors import refused_by_system

# Commands as the help groups them, each with its exit codes beside the common ones.
COMMANDS: dict[str, dict[Callable[..., None], str]] = {
    "Search": {
        sample: exit_codes(),
        index: exit_codes(3, 4, 5, 6),
        search: exit_codes(3, 4, 5),
        info: exit_codes(3, 4, 5),
    },
    "Models": {
        models: exit_codes(3, 4, 5),
        evaluate: exit_codes(3, 4, 5, 6),
        finetune: exit_codes(3, 4, 5),
        train: exit_codes(5),
    },
    "Duplicates": {same: exit_codes(DIFFERENT), dedup: exit_codes(3, 4, 5)},
    "Maintenance": {
        export: exit_codes(),
        doctor: exit_codes(failed="a check failed (warnings do not count)"),
    },
}
# Commands that have others below them.
SUBCOMMANDS: dict[Callable[..., None], tuple[Callable[..., None], ...]] = {
    dedup: (apply, undo, ignore),
    models: (add, remove),
    export: (vectors,),
}
# What libraries would print to stderr in words of their own; errors reach the user as ours.
_LIBRARY_LOGS = {"LANCE_LOG": "error", "HF_HUB_VERBOSITY": "error"}

app = typer.Typer(
    name="mmsearch",
    cls=Group,
    help="Search images, documents and product tables by text or by image.",
    epilog="First steps: mmsearch sample demo; mmsearch index demo; mmsearch search 'red apple'. "
    "'mmsearch COMMAND --help' lists the options and exit codes of a command.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """Raises Interrupted for Ctrl-C, which Typer would end without a message."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted; what was written is kept; run the same command to resume"
            ) from None

    return run


for panel, commands in COMMANDS.items():
    for command, epilog in commands.items():
        if command not in SUBCOMMANDS:
            app.command(cls=Command, epilog=epilog, rich_help_panel=panel)(interruptible(command))
            continue
        group = typer.Typer(cls=DedupGroup if command is dedup else Group)
        group.callback(invoke_without_command=True, epilog=epilog)(interruptible(command))
        for step in SUBCOMMANDS[command]:
            group.command(cls=Command, epilog=exit_codes(3, 4))(interruptible(step))
        app.add_typer(group, name=command.__name__, rich_help_panel=panel)


def print_version(requested: bool) -> None:
    """Prints the version and exits, if that is what --version requests."""
    if requested:
        from importlib.metadata import version

        typer.echo(f"mmsearch {version('mmsearch')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Options before the name of a command apply to every command."""


def main() -> None:
    """Runs the app. Exit codes are those of the errors in `mmsearch.errors`, 1 for any other."""
    verbose = "--verbose" in sys.argv
    if not verbose:
        for variable, level in _LIBRARY_LOGS.items():
            os.environ.setdefault(variable, level)
    codecs.register_error("mmsearch.readable", encode_readably)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that is not UTF-8 gets similar signs or escapes, not a traceback.
            stream.reconfigure(errors="mmsearch.readable")
    try:
        app()
    except MMSearchError as error:
        if verbose:
            traceback.print_exc()
        fail(with_options(str(error)), error.exit_code)
    except Exception as error:
        if verbose:
            raise
        refused = None if isinstance(error, BrokenPipeError) else refused_by_system(error)
        if refused is not None:
            fail(with_options(str(refused)), refused.exit_code)
        fail(
            f"unexpected {type(error).__name__}: {error}; "
            "run again with 'mmsearch --verbose …' for the traceback, and report it",
            MMSearchError.exit_code,
        )


def fail(message: str, code: int) -> None:
    """Prints an error to stderr and exits with this code."""
    stderr_console().print(f"error: {message}", style="bold red", markup=False, soft_wrap=True)
    sys.exit(code)
