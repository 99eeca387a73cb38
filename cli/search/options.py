"""The options of mmsearch search."""

from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli.completion import complete_columns, complete_keys
from mmsearch.cli.options import OUTPUT
from mmsearch.query import Fuse
from mmsearch.records import TargetChoice

_QUERY, _RANKING = "Query", "Ranking"

Text = Annotated[
    str | None,
    typer.Argument(help="Text to search for.", metavar="TEXT", show_default=False),
]
Image = Annotated[
    Path | None, typer.Option(help="Image to search for; '-' reads it from stdin.", metavar="FILE")
]
Like = Annotated[
    str | None,
    typer.Option(
        help="Search for items like this one, by its key; 'KEY#image=2' takes its second image "
        "alone.",
        metavar="KEY",
        autocompletion=complete_keys,
    ),
]
K = Annotated[
    int,
    typer.Option("-k", "--limit", "--top-k", help="Number of hits.", metavar="N", min=1),
]
Where = Annotated[
    str | None,
    typer.Option(
        help="Only items that match this SQL condition: \"category = 'food' AND price < 5\".",
        metavar="SQL",
    ),
]
Hybrid = Annotated[
    bool, typer.Option("--hybrid", help="Combine vector search with keyword search (BM25).")
]
Without = Annotated[
    str | None,
    typer.Option(
        help="Text to steer the results away from.", metavar="TEXT", rich_help_panel=_QUERY
    ),
]
Keyword = Annotated[
    str | None,
    typer.Option(
        help="Words that must occur in texts, names or tags (BM25).",
        metavar="WORDS",
        rich_help_panel=_QUERY,
    ),
]
ImageWeight = Annotated[
    float,
    typer.Option(
        help="Weight of the image, 0 to 1, when a text is given too.",
        metavar="WEIGHT",
        min=0,
        max=1,
        rich_help_panel=_QUERY,
    ),
]
Target = Annotated[
    TargetChoice,
    typer.Option(
        help="Vectors to compare the query with. auto searches products where most items have "
        "an image and a text, else images and texts.",
        metavar="auto|image|text|product",
        rich_help_panel=_QUERY,
    ),
]
Queries = Annotated[
    str | None,
    typer.Option(
        help="Run many queries from a JSON Lines file, or from stdin ('-'); prints JSON Lines.",
        metavar="FILE",
        rich_help_panel=_QUERY,
    ),
]
FuseBy = Annotated[
    Fuse,
    typer.Option(
        help="Merge keyword and vector hits by rank (rrf) or by calibrated score (weighted).",
        metavar="rrf|weighted",
        rich_help_panel=_RANKING,
    ),
]
KeywordWeight = Annotated[
    float,
    typer.Option(
        help="Weight of the keyword score, 0 to 1, with --fuse weighted.",
        metavar="WEIGHT",
        min=0,
        max=1,
        rich_help_panel=_RANKING,
    ),
]
Unique = Annotated[
    bool,
    typer.Option(
        "--unique", help="Leave out near-duplicates of better hits.", rich_help_panel=_RANKING
    ),
]
Parts = Annotated[
    bool,
    typer.Option(
        "--parts",
        help="List each matching image or passage, not only the best one of an item.",
        rich_help_panel=_RANKING,
    ),
]
Diverse = Annotated[
    float | None,
    typer.Option(
        help="Re-rank by MMR: LAMBDA 1 = relevance only, 0 = diversity only.",
        metavar="LAMBDA",
        rich_help_panel=_RANKING,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Lowest similarity of a hit, -1 to 1.", metavar="SIM", rich_help_panel=_RANKING
    ),
]
After = Annotated[
    str | None,
    typer.Option(
        help="Next page: the cursor that --json printed as 'next'.",
        metavar="CURSOR",
        rich_help_panel=_RANKING,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Columns to show, separated by commas. Default: those in --where, and price, brand "
        "and category.",
        metavar="COLUMNS",
        autocompletion=complete_columns,
        rich_help_panel=OUTPUT,
    ),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.", rich_help_panel=OUTPUT)]
AsPaths = Annotated[
    bool,
    typer.Option(
        "--paths",
        help="Print file paths, one a line; of several images, the best.",
        rich_help_panel=OUTPUT,
    ),
]
Null = Annotated[
    bool,
    typer.Option(
        "-0", "--null", help="With --paths, end each path with a NUL byte.", rich_help_panel=OUTPUT
    ),
]
Gallery = Annotated[
    Path | None,
    typer.Option(help="Write the hits to an HTML page.", metavar="FILE", rich_help_panel=OUTPUT),
]
Open = Annotated[
    bool,
    typer.Option("--open", help="Open the gallery in a browser.", rich_help_panel=OUTPUT),
]
Thumbnails = Annotated[
    bool | None,
    typer.Option(
        help="Show thumbnails. Default: if the terminal supports images.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
