"""mmsearch search: text or an image in, the most similar items out."""

import re
import shlex
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmsearch.cli import options
from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.render import (
    hits_csv,
    hits_json,
    hits_paths,
    stderr_console,
    stdout_console,
    write_bytes,
    write_text,
)
from mmsearch.cli.parameters import with_options
from mmsearch.cli.search import options as search_options
from mmsearch.cli.search.hits_table import hits_table
from mmsearch.cli.search.no_hits import why_no_hits
from mmsearch.cli.search.queries import answer_all
from mmsearch.cli.search.shown_columns import known_columns, shown_columns
from mmsearch.errors import BadQuery
from mmsearch.query import QueryParts
from mmsearch.records import Hit

# The parts of the query that --json repeats.
QUERY_NAMES = (
    "text", "image", "like", "without", "where", "keyword", "diverse", "threshold", "after",
)  # fmt: skip
# A text that ends like this and exists as a file is a forgotten --image.
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".jxl",
)  # fmt: skip
STDIN = Path("-")
# 'apple -banana', 'fruit without a banana', 'fruit, not banana'.
NEGATION = re.compile(
    r"(?:^|\s)-([^\W\d]\w*)"
    r"|(?:\b(?:without|except|excluding|but not)|,\s*not)\s+(?:an?\s|the\s)?(\w+)",
    re.IGNORECASE,
)


def search(
    *,
    text: search_options.Text = None,
    image: search_options.Image = None,
    like: search_options.Like = None,
    k: search_options.K = 10,
    where: search_options.Where = None,
    hybrid: search_options.Hybrid = False,
    without: search_options.Without = None,
    keyword: search_options.Keyword = None,
    image_weight: search_options.ImageWeight = 0.5,
    target: search_options.Target = "auto",
    queries: search_options.Queries = None,
    fuse: search_options.FuseBy = "rrf",
    keyword_weight: search_options.KeywordWeight = 0.5,
    unique: search_options.Unique = False,
    parts: search_options.Parts = False,
    diverse: search_options.Diverse = None,
    threshold: search_options.Threshold = None,
    after: search_options.After = None,
    store: options.Store = None,
    model: options.Model = None,
    device: options.Device = None,
    columns: search_options.Columns = None,
    as_json: options.AsJson = False,
    as_csv: search_options.AsCsv = False,
    as_paths: search_options.AsPaths = False,
    null: search_options.Null = False,
    gallery: search_options.Gallery = None,
    open_gallery: search_options.Open = False,
    thumbnails: search_options.Thumbnails = None,
    quiet: options.Quiet = False,
) -> None:
    """Find images, documents and products by text, by image, or by both together."""
    asked: QueryParts = {
        "image": image_input(image), "image_weight": image_weight, "like": like, "without": without,
        "keyword": keyword, "hybrid": hybrid, "fuse": fuse, "keyword_weight": keyword_weight,
        "where": where, "k": k, "target": target,
        "unique": unique, "diverse": diverse, "threshold": threshold, "after": after,
        "parts": parts,
    }  # fmt: skip
    if text is not None and image is None and is_image_file(text):
        raise BadQuery(f"'{text}' is an image file; search for it with --image {shlex.quote(text)}")
    catalog = open_store(store, quiet=quiet, model=model, device=device)
    if queries is not None:
        answer_all(catalog, queries, asked, quiet=quiet)
        return
    if columns is not None:
        known_columns(catalog, (), columns)
    hits, console = catalog.search(text, **asked), stderr_console(quiet=quiet)
    for name, searched_on in catalog.search_devices().items():
        if searched_on != "cpu":
            console.print(f"searched {name} vectors on {searched_on}", soft_wrap=True)
    for note in (*catalog.engine.text_notes([text] if text else []), *negation_notes(text)):
        console.print(with_options(note), markup=False, soft_wrap=True)
    if not hits:
        console.print(why_no_hits(catalog, text, asked), markup=False, soft_wrap=True)
    given = {"text": text, **asked, "image": image}
    query = {name: given[name] for name in QUERY_NAMES if given[name] is not None}
    if gallery is not None:
        write_page(hits, gallery, query)
        console.print(f"wrote {gallery}", markup=False, soft_wrap=True)
        if open_gallery:
            webbrowser.open(gallery.absolute().as_uri())
    if as_json:
        write_text(hits_json(hits, {**query, "k": k, "target": target}, cursor=hits.next))
    elif as_csv:
        chosen = known_columns(catalog, hits, columns) if columns else None
        write_text(hits_csv(hits, chosen))
    elif as_paths:
        write_bytes(hits_paths(hits, null_separated=null))
    elif hits and gallery is None:
        show(hits, shown_columns(catalog, hits, columns, where=where), thumbnails)


def write_page(hits: Sequence[Hit], path: Path, query: Mapping[str, Any]) -> None:
    """Writes the hits as an HTML gallery that names the query."""
    from mmsearch.report.gallery import write_gallery

    words = query.get("text") or query.get("keyword") or query.get("like")
    write_gallery(
        hits,
        path,
        title=str(words or "Search results"),
        query_text=words,
        query_image=image if (image := query.get("image")) != STDIN else None,
        details={
            name: str(query[name]) for name in ("keyword", "without", "where") if name in query
        },
    )


def image_input(path: Path | None) -> Path | bytes | None:
    """Returns what --image names: a file, or what stdin brings. Raises BadQuery for an address."""
    if path is not None and re.match(r"https?:/", str(path)):
        raise BadQuery("--image takes a file, not an address; download it first, or pipe it: '-'")
    return sys.stdin.buffer.read() if path == STDIN else path


def negation_notes(text: str | None) -> list[str]:
    """Returns a hint where the text negates a word, which embeddings take for the word itself."""
    found = NEGATION.search(text or "")
    if found is None:
        return []
    word = found[1] or found[2]
    return [f"models do not understand {found[0].strip()!r}; leave it out and add --without {word}"]


def is_image_file(text: str) -> bool:
    """Whether this text is the path of an image rather than words to search for."""
    return text.lower().endswith(IMAGE_SUFFIXES) and Path(text).is_file()


def show(hits: Sequence[Hit], columns: Sequence[str], thumbnails: bool | None) -> None:
    """Prints the hits as thumbnails where the terminal has images, else as a table."""
    from mmsearch.cli.search.thumbnails import show_thumbnails, terminal_shows_images

    console = stdout_console()
    if thumbnails or (thumbnails is None and terminal_shows_images()):
        show_thumbnails(hits, console, columns)
    else:
        table = hits_table(hits, columns=columns, base=Path.cwd(), width=console.width)
        console.print(table)
