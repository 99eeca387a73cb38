"""mmsearch export and its commands: they write what a store holds to files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mmsearch.cli import options
from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.progress import ProgressDisplay
from mmsearch.cli.output.render import counted, stderr_console
from mmsearch.text import visible

if TYPE_CHECKING:
    from mmsearch.records import Target

Out = Annotated[
    Path,
    typer.Argument(
        help="File to write: .parquet, .lance (a dataset), or .npy with the rows in a .jsonl and "
        "the space in a .json beside it.",
        metavar="FILE",
    ),
]
Where = Annotated[
    str | None, typer.Option(help="Only items that match this SQL filter.", metavar="SQL")
]
TargetNames = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="Vectors to write: image, text, product, separated by commas; items without any of "
        "them are left out. Default: those that the store has.",
        metavar="TARGETS",
    ),
]
Float16 = Annotated[
    bool,
    typer.Option("--float16", help="Write 16-bit vectors, as the store has them, not 32-bit ones."),
]
Position = Annotated[
    bool, typer.Option("--position", help="Write latitude, longitude and altitude, too.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]


def export(context: typer.Context) -> None:
    """Write what a store holds to files that other programs read."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def vectors(
    out: Out,
    *,
    where: Where = None,
    target: TargetNames = None,
    float16: Float16 = False,
    position: Position = False,
    force: Force = False,
    store: options.Store = None,
    quiet: options.Quiet = False,
) -> None:
    """Export the vectors of a store, with keys, paths, texts and metadata.

    The file names the model and the space of the vectors.
    """
    catalog = open_store(store, quiet=quiet)
    with ProgressDisplay(quiet=quiet) as progress:
        count = catalog.export_vectors(
            out,
            where=where,
            target=cast("tuple[Target, ...]", options.names(target)) or None,
            precision="float16" if float16 else "float32",
            position=position,
            force=force,
            progress=progress,
        )
    stderr_console(quiet=quiet).print(
        f"wrote the vectors of {counted(count, 'item')} to {visible(str(out))}",
        markup=False,
        soft_wrap=True,
    )
