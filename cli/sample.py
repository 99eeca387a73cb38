"""mmsearch sample: writes a small catalog to try things on."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.output.render import counted, stderr_console, to_json, write_text


def sample(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder to write; created if it does not exist.", metavar="FOLDER"),
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same name in the folder.")
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a sample catalog: some 370 public-domain images and a table that describes them."""
    from mmsearch.sample import write_sample

    report = write_sample(folder, overwrite=overwrite)
    next_command = f"mmsearch index {shlex.quote(str(report.table))}"
    if as_json:
        # The old name of `images` is kept for one version.
        document = {**asdict(report), "pictures": report.images}
        write_text(to_json({"sample": document, "next": next_command}))
        return
    verb = "written to" if report.written else "already in"
    write_text(
        f"{counted(report.images, 'image')}, products.csv and LICENSE.txt "
        f"({report.bytes / 1e6:,.1f} MB) {verb} {report.folder}"
    )
    stderr_console(quiet=quiet).print(f"next: {next_command}", markup=False, soft_wrap=True)
