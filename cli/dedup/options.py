"""The options of mmsearch dedup and mmsearch same."""

from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli.options import OUTPUT

_DETECTION, _SCOPE = "Detection", "Scope"

Plan = Annotated[
    Path | None,
    typer.Option(
        help="Write the files that can be removed to a plan for 'mmsearch dedup apply'.",
        metavar="FILE",
    ),
]
Keep = Annotated[
    str,
    typer.Option(
        help="Rules that choose the file to keep, in order: original, largest, smallest, "
        "sharpest, oldest, newest, metadata:complete, path:GLOB.",
        metavar="RULES",
    ),
]
Versions = Annotated[
    bool,
    typer.Option(
        "--versions", help="Plan edited versions too, such as crops and captioned copies."
    ),
]
Html = Annotated[
    Path | None,
    typer.Option("--html", help="Write the groups side by side to an HTML page.", metavar="FILE"),
]
ShowAll = Annotated[bool, typer.Option("--all", help="Print every group, not only the largest.")]
Tiers = Annotated[
    str | None,
    typer.Option(
        help="Tiers to detect, separated by commas: bytes, pixels, edited, similar, text-same, "
        "text-near. Default: all but similar.",
        metavar="TIERS",
        rich_help_panel=_DETECTION,
    ),
]
Similar = Annotated[
    str | None,
    typer.Option(
        help="Also show similar images, with at least this cosine. Default: 0.92, or calibrated.",
        metavar="[COSINE]",
        rich_help_panel=_DETECTION,
    ),
]
Edited = Annotated[
    float | None,
    typer.Option(
        help="Lowest agreement of an edited copy, 0 to 1. Default: 0.72, or calibrated.",
        metavar="SHARE",
        min=0,
        max=1,
        rich_help_panel=_DETECTION,
    ),
]
Fpr = Annotated[
    float | None,
    typer.Option(
        help="Calibrate the thresholds on this catalog for this false-positive rate among nearest "
        "neighbours, such as 0.001; later runs use them too.",
        metavar="RATE",
        min=1e-6,
        max=0.5,
        rich_help_panel=_DETECTION,
    ),
]
Suspicions = Annotated[
    bool,
    typer.Option(
        "--suspicions",
        help="Also list texts that may belong to another image, with their probability.",
        rich_help_panel=_DETECTION,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        help="Only items that match this SQL condition, as in 'mmsearch search'.",
        metavar="SQL",
        rich_help_panel=_SCOPE,
    ),
]
Across = Annotated[
    tuple[str, str] | None,
    typer.Option(
        help="Only groups that span these two sources.",
        metavar="SOURCE SOURCE",
        rich_help_panel=_SCOPE,
    ),
]
Reference = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder whose items are always kept; repeatable.",
        metavar="DIR",
        rich_help_panel=_SCOPE,
    ),
]
WithinFolder = Annotated[
    bool,
    typer.Option(
        "--within-folder", help="Only compare items of the same folder.", rich_help_panel=_SCOPE
    ),
]
AsCsv = Annotated[
    bool, typer.Option("--csv", help="Print CSV, one line per item.", rich_help_panel=OUTPUT)
]
