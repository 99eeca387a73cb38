"""mmsearch search: words or a picture in, the nearest items out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mmsearch.cli import options
from mmsearch.cli.render import (
    hits_csv,
    hits_json,
    hits_paths,
    hits_table,
    stderr_console,
    stdout_console,
    write_bytes,
    write_text,
)
from mmsearch.query import QueryParts
from mmsearch.records import Hit, TargetChoice

# What --json repeats of the question.
QUERY_NAMES = ("text", "image", "like", "without", "where", "keyword")


def search(
    text: Annotated[
        str | None, typer.Argument(help="What to look for, in words.", show_default=False)
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="What to look for, as a picture.", metavar="FILE")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="Items like this one, by its key.", metavar="KEY")
    ] = None,
    without: Annotated[
        str | None, typer.Option(help="Words to keep away from.", metavar="TEXT")
    ] = None,
    keyword: Annotated[
        str | None,
        typer.Option(help="Words that texts, names and tags should hold (BM25).", metavar="TEXT"),
    ] = None,
    hybrid: Annotated[
        bool, typer.Option("--hybrid", help="Look for the words themselves as well.")
    ] = False,
    where: Annotated[
        str | None,
        typer.Option(help="Only rows that match, in SQL: \"category = 'food' AND price < 5\"."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many hits.", min=1)] = 10,
    target: Annotated[
        TargetChoice,
        typer.Option(help="What to compare with; auto: products where items have both."),
    ] = "auto",
    image_weight: Annotated[
        float, typer.Option(help="The picture's share when words are given too.", min=0, max=1)
    ] = 0.5,
    store: options.Store = None,
    model: options.Model = None,
    device: options.Device = None,
    as_json: options.AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_paths: Annotated[
        bool, typer.Option("--paths", help="Print the files' paths, one a line, for pipes.")
    ] = False,
    null: Annotated[
        bool, typer.Option("-0", "--null", help="With --paths: end each with a NUL byte.")
    ] = False,
    gallery: Annotated[
        Path | None, typer.Option(help="Write the hits as one HTML page.", metavar="FILE")
    ] = None,
    thumbnails: Annotated[
        bool | None,
        typer.Option(help="Show small pictures. Default: where the terminal can.", show_default=""),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Find images, documents and products by words, by a picture, or by both together."""
    from mmsearch.catalog import open_catalog

    parts: QueryParts = {
        "image": image, "image_weight": image_weight, "like": like, "without": without,
        "keyword": keyword, "hybrid": hybrid, "where": where, "k": k, "target": target,
    }  # fmt: skip
    catalog = open_catalog(store, model=model, device=device)
    page = catalog.page(text, **parts)
    hits = page.hits
    given = {"text": text, **parts}
    asked = {name: given[name] for name in QUERY_NAMES if given[name] is not None}
    if gallery is not None:
        write_page(hits, gallery, asked)
        stderr_console(quiet=quiet).print(f"wrote {gallery}", soft_wrap=True)
    if as_json:
        write_text(hits_json(hits, {**asked, "k": k, "target": target}))
    elif as_csv:
        write_text(hits_csv(hits))
    elif as_paths:
        write_bytes(hits_paths(hits, null_separated=null))
    elif gallery is None:
        show(hits, thumbnails)


def write_page(hits: Sequence[Hit], path: Path, asked: Mapping[str, Any]) -> None:
    from mmsearch.report.gallery import write_gallery

    words = asked.get("text") or asked.get("keyword") or asked.get("like")
    write_gallery(
        hits,
        path,
        title=str(words or "Search results"),
        query_text=words,
        query_image=asked.get("image"),
        details={
            name: str(asked[name]) for name in ("keyword", "without", "where") if name in asked
        },
    )


def show(hits: Sequence[Hit], thumbnails: bool | None) -> None:
    from mmsearch.cli.thumbnails import show_thumbnails, terminal_shows_pictures

    if not hits:
        stderr_console().print("no hits: nothing in the store matches, or the filter leaves none")
    elif thumbnails or (thumbnails is None and terminal_shows_pictures()):
        show_thumbnails(hits, stdout_console())
    else:
        stdout_console().print(hits_table(hits))
