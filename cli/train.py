"""mmsearch train: makes a dual encoder from a recipe and the data that it names."""

from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli.progress import ProgressDisplay
from mmsearch.cli.render import stderr_console, to_json, write_text
from mmsearch.errors import InputError


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe: a TOML file.", show_default=False)],
    data: Annotated[
        list[str],
        typer.Option(help="A source that the recipe names; repeatable.", metavar="NAME=PATH"),
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.", show_default=False)],
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's own.")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Keeps features for the next run; default: OUT/work.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a dual encoder from a recipe; the folder it writes works as --model FOLDER."""
    from dataclasses import replace

    from mmsearch.pretraining.pipeline import train_recipe
    from mmsearch.pretraining.recipe import read_recipe

    wanted = read_recipe(recipe)
    if seed is not None:
        wanted = replace(wanted, seed=seed)
    with ProgressDisplay(quiet=quiet) as progress:
        report = train_recipe(
            wanted, parse_data(data), out, work=work or out / "work", progress=progress
        )
    if json:
        write_text(to_json(report.as_json()))
        return
    stderr_console(quiet=quiet).print(
        f"trained on {report.pictures:,} pictures in {report.seconds:.0f} s; "
        f"loss {report.first_loss:.2f} → {report.last_loss:.2f}; "
        f"held-out recall@10 {report.measures.recall_at_10:.3f}"
    )
    write_text(f"{report.folder}\n")


def parse_data(pairs: list[str]) -> dict[str, Path]:
    """`grocery=/data/grocery` → {"grocery": Path("/data/grocery")}."""
    bad = [pair for pair in pairs if not all(pair.partition("="))]
    if bad:
        raise InputError(f"--data takes NAME=PATH, got {', '.join(map(repr, bad))}")
    return {name: Path(path) for name, _, path in (pair.partition("=") for pair in pairs)}
