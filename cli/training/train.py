"""mmsearch train: trains a dual encoder from a recipe and the data that it names."""

import warnings
from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.output.progress import ProgressDisplay
from mmsearch.cli.output.render import counted, stderr_console, to_json, write_text
from mmsearch.errors import InputError


def train(
    *,
    recipe: Annotated[
        Path,
        typer.Argument(
            help="Recipe: a folder with recipe.toml, or the file.",
            metavar="RECIPE",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            help="Folder of a source that the recipe names; repeatable.", metavar="NAME=PATH"
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Model folder to write.", metavar="DIR", show_default=False)
    ],
    seed: Annotated[
        int | None, typer.Option(help="Random seed. Default: the recipe's.", metavar="N")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="Folder of caches and checkpoints. Default: OUT/work.", metavar="DIR"),
    ] = None,
    json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a dual encoder from a recipe; the folder it writes can be used as --model DIR.

    Python functions in the recipe's folder read its data: train only recipes that you trust.
    """
    from mmsearch.pretraining.pipeline import train_recipe
    from mmsearch.pretraining.recipe import read_recipe

    with warnings.catch_warnings(record=True) as renamed:
        warnings.simplefilter("always", FutureWarning)
        settings = read_recipe(recipe)
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    with ProgressDisplay(quiet=quiet) as progress:
        for warning in renamed:
            progress.note(str(warning.message))
        report = train_recipe(
            settings, parse_data(data), out, work=work or out / "work", progress=progress
        )
    if json:
        write_text(to_json(report.as_json()))
        return
    stderr_console(quiet=quiet).print(
        f"trained on {counted(report.images, 'image')} in {report.seconds:,.0f} s; "
        f"loss {report.first_loss:.2f} → {report.last_loss:.2f}; "
        f"held-out recall@10 {report.measures.recall_at_10:.3f}",
        soft_wrap=True,
    )
    write_text(f"{report.folder}\n")


def parse_data(pairs: list[str]) -> dict[str, Path]:
    """`grocery=/data/grocery` → {"grocery": Path("/data/grocery")}."""
    bad = [pair for pair in pairs if not all(pair.partition("="))]
    if bad:
        raise InputError(f"--data takes NAME=PATH, got {', '.join(map(repr, bad))}")
    return {name: Path(path) for name, _, path in (pair.partition("=") for pair in pairs)}
