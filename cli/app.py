"""The command line: every command registered, and the only place where errors become exit codes."""

import sys
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from mmsearch.cli.dedup import dedup
from mmsearch.cli.dedup_acting import apply, undo
from mmsearch.cli.dedup_ignore import ignore
from mmsearch.cli.dedup_similar import DedupGroup
from mmsearch.cli.doctor import doctor
from mmsearch.cli.evaluate import evaluate
from mmsearch.cli.finetune import finetune
from mmsearch.cli.index import index
from mmsearch.cli.info import info
from mmsearch.cli.models import models
from mmsearch.cli.render import stderr_console
from mmsearch.cli.same import same
from mmsearch.cli.sample import sample
from mmsearch.cli.search import search
from mmsearch.cli.train import train
from mmsearch.errors import Interrupted, MMSearchError

app = typer.Typer(
    name="mmsearch",
    help="Search pictures, documents and product tables by words or by pictures.",
    epilog="First steps: mmsearch sample demo, mmsearch index demo, mmsearch search 'red apple'",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """Ctrl-C as an error of ours: Typer would end the command without a word."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped; what was written is kept, run the same command to go on"
            ) from None

    return run


for command in (index, search, info, sample, models, doctor, finetune, train, evaluate, same):
    app.command()(interruptible(command))


dedup_app = typer.Typer(cls=DedupGroup)
dedup_app.callback(invoke_without_command=True)(interruptible(dedup))
for step in (apply, undo, ignore):
    dedup_app.command()(interruptible(step))
app.add_typer(dedup_app, name="dedup")


def print_version(wanted: bool) -> None:
    if wanted:
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
    """Options before the command's name hold for all commands."""


def main() -> None:
    """Runs the app; 0 done, others as the error tree says, 1 for what nobody foresaw."""
    verbose = "--verbose" in sys.argv
    try:
        app()
    except MMSearchError as error:
        if verbose:
            traceback.print_exc()
        fail(str(error), error.exit_code)
    except Exception as error:
        if verbose:
            raise
        fail(
            f"unexpected {type(error).__name__}: {error}; "
            "run again with 'mmsearch --verbose …' for the traceback and report it",
            MMSearchError.exit_code,
        )


def fail(message: str, code: int) -> None:
    stderr_console().print(f"error: {message}", style="bold red", markup=False, soft_wrap=True)
    sys.exit(code)
