"""mmsearch same: two pictures compared; the exit code is the answer."""

from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.render import to_json, write_text

DIFFERENT = 10


def same(
    first: Annotated[Path, typer.Argument(help="A picture.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another.", show_default=False)],
    threshold: Annotated[
        float | None,
        typer.Option(help="Agreement from which one is an edited copy.", min=0.0, max=1.0),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Tell whether two files are one picture: bytes, pixels, edited (also turned) or different.

    Exit code 0 if they are the same, 10 if they differ.
    """
    from mmsearch.dedup.compare import compare_files
    from mmsearch.dedup.edited import EDITED_AGREEMENT

    result = compare_files(
        first, second, threshold=EDITED_AGREEMENT if threshold is None else threshold
    )
    if as_json:
        write_text(to_json({"same": result.same, "comparison": result}))
    else:
        write_text(f"{result.tier}: {result.evidence}")
    if not result.same:
        raise typer.Exit(DIFFERENT)
