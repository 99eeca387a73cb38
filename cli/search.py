"""mmsearch search: words or a picture in, the nearest items out."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmsearch.cli import options
from mmsearch.cli.render import (
    hits_csv,
    hits_json,
    hits_paths,
    hits_table,
    stderr_console,
    stdout_console,
    to_json,
    write_bytes,
    write_text,
)
from mmsearch.errors import BadQuery
from mmsearch.query import Fuse, QueryParts
from mmsearch.records import Hit, TargetChoice

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog

# What --json repeats of the question.
QUERY_NAMES = (
    "text", "image", "like", "without", "where", "keyword", "diverse", "threshold", "after",
)  # fmt: skip


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
    fuse: Annotated[
        Fuse,
        typer.Option(
            help="How words and vectors are merged: by ranks (rrf) or by calibrated scores "
            "(weighted)."
        ),
    ] = "rrf",
    keyword_weight: Annotated[
        float, typer.Option(help="With weighted: the share of the words' score.", min=0, max=1)
    ] = 0.5,
    where: Annotated[
        str | None,
        typer.Option(help="Only rows that match, in SQL: \"category = 'food' AND price < 5\"."),
    ] = None,
    unique: Annotated[
        bool, typer.Option("--unique", help="Leave out near-duplicates of better hits.")
    ] = False,
    diverse: Annotated[
        float | None,
        typer.Option(
            help="Mix kinds: 1 looks at relevance alone, 0 at variety alone; try 0.5.",
            metavar="LAMBDA",
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="The least similarity of a hit.", metavar="SIM")
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(help="The next page: the 'next' that --json printed.", metavar="CURSOR"),
    ] = None,
    queries: Annotated[
        str | None,
        typer.Option(
            help="Many queries at once: a file with a JSON object a line, '-' for stdin. "
            "Answers come as JSON, one a line.",
            metavar="FILE",
        ),
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
        "keyword": keyword, "hybrid": hybrid, "fuse": fuse, "keyword_weight": keyword_weight,
        "where": where, "k": k, "target": target,
        "unique": unique, "diverse": diverse, "threshold": threshold, "after": after,
    }  # fmt: skip
    catalog = open_catalog(store, model=model, device=device)
    if queries is not None:
        if text is not None or as_csv or as_paths or gallery is not None:
            raise BadQuery("--queries takes its words from the file and prints JSON lines")
        answer_all(catalog, queries, parts)
        return
    hits = catalog.search(text, **parts)
    for name, where_searched in catalog.search_devices().items():
        if where_searched != "cpu":
            note = f"searched the {name} vectors on: {where_searched}"
            stderr_console(quiet=quiet).print(note, soft_wrap=True)
    given = {"text": text, **parts}
    asked = {name: given[name] for name in QUERY_NAMES if given[name] is not None}
    if gallery is not None:
        write_page(hits, gallery, asked)
        stderr_console(quiet=quiet).print(f"wrote {gallery}", soft_wrap=True)
    if as_json:
        write_text(hits_json(hits, {**asked, "k": k, "target": target}, cursor=hits.next))
    elif as_csv:
        write_text(hits_csv(hits))
    elif as_paths:
        write_bytes(hits_paths(hits, null_separated=null))
    elif gallery is None:
        show(hits, thumbnails)


def answer_all(catalog: "Catalog", queries: str, defaults: QueryParts) -> None:
    from mmsearch.cli.queries import answers

    try:
        with (
            nullcontext(sys.stdin)
            if queries == "-"
            else Path(queries).open(encoding="utf-8") as file
        ):
            for asked, hits in answers(catalog, file, queries, defaults):
                write_text(to_json({"query": asked, "hits": hits}, indent=None))
    except (OSError, UnicodeDecodeError) as error:
        raise BadQuery(f"{queries} cannot be read: {error}") from error


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
