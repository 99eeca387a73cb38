"""mmsearch same: two pictures compared; the exit code is the answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.render import to_json, write_text

if TYPE_CHECKING:
    from mmsearch.dedup.compare import Comparison
    from mmsearch.dedup.results import Box

DIFFERENT = 10


def same(
    first: Annotated[Path, typer.Argument(help="A picture.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another.", show_default=False)],
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Similarity below which even an edited version counts as different.",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit code 10 for edited versions as well."),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Tell whether two files show one picture: exact, same image, edited version or different.

    Exit code 0 if they do, 10 if they differ. With --strict 0 for exact and same image only.
    """
    from mmsearch.dedup.compare import compare_files
    from mmsearch.dedup.results import SAME_PICTURE

    result = compare_files(first, second, threshold=threshold or 0.0)
    if as_json:
        write_text(to_json({"same": result.same, "comparison": result}))
    else:
        write_text("\n".join(lines(result)))
    if not result.same or (strict and result.relation not in SAME_PICTURE):
        raise typer.Exit(DIFFERENT)


def lines(result: "Comparison") -> list[str]:
    """The relation with the evidence, then where the two differ."""
    said = [f"{result.relation or 'different'}: {result.evidence}"]
    return said + [f"differs in {box_text(box)}" for box in result.changes]


def box_text(box: "Box") -> str:
    """'12-30% from the left, 40-55% from the top', of the first file."""
    left, top, right, bottom = (
        f"{100 * side:.0f}" for side in (box.left, box.top, box.right, box.bottom)
    )
    return f"{left}-{right}% from the left, {top}-{bottom}% from the top"
