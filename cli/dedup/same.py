"""mmsearch same: compares two image files; the exit code is the answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.exit_codes import DIFFERENT
from mmsearch.cli.output.render import to_json, write_text

if TYPE_CHECKING:
    from mmsearch.dedup.compare import Comparison
    from mmsearch.dedup.results import Box


def same(
    *,
    first: Annotated[
        Path, typer.Argument(help="An image file.", metavar="FIRST", show_default=False)
    ],
    second: Annotated[
        Path,
        typer.Argument(help="The image file to compare it with.", metavar="SECOND"),
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Count edited versions as different images.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Lowest agreement of an edited version, 0 to 1. Default: as the comparison "
            "decides.",
            metavar="SHARE",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare two image files: exact match, same image, edited version or different.

    With --strict, only exact matches and the same image count as equal.
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
    """Returns the relation with its evidence, then where the two differ."""
    relation = f"{result.relation or 'different'}: {result.evidence}"
    return [relation, *(f"differs in {box_text(box)}" for box in result.changes)]


def box_text(box: "Box") -> str:
    """'12-30% from the left, 40-55% from the top', of the first file."""
    left, top, right, bottom = (
        f"{100 * side:.0f}" for side in (box.left, box.top, box.right, box.bottom)
    )
    return f"{left}-{right}% from the left, {top}-{bottom}% from the top"
