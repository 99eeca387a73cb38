"""Hits as a self-contained HTML page: with inline images and without requests, safe to share.

Hits become cards, cards become a page through the templates, the page replaces the file at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsearch.media.metadata import POSITION_COLUMNS
from mmsearch.records import Hit, Scalar, real_path
from mmsearch.report.images import InlineImage, inline_image, inline_images
from mmsearch.report.page import render_page, write_page
from mmsearch.report.titles import (
    PRODUCT_COLUMNS,
    TITLE_COLUMNS,
    part_text,
    text_of,
    title_of,
    value_text,
)
from mmsearch.text import one_line, visible

_QUERY_EDGE = 320
_QUERY_BYTES = 2**18
_MOST_CHIPS = 3
_CHIP_CHARACTERS = 28
_TEXT_CHARACTERS = 4_000
_EXCERPT_CHARACTERS = 420
_VALUE_CHARACTERS = 400
# The number of hits from which the page has a filter box.
_FILTER_FROM_HITS = 24
# Columns that are not shown as metadata; the path is shown separately.
# Neither is where an image was taken, since pages are passed on.
_NOT_METADATA = {*TITLE_COLUMNS, "text", "key", "uri", *POSITION_COLUMNS}
# Facts about the file: shown in the details of a hit, not on its card.
_FILE_FACTS = {
    *("source", "folder", "filename", "format", "width", "height"),
    *("bytes", "modified", "duration", "seconds", "frames", "pages"),
}


@dataclass(frozen=True, slots=True)
class _Card:
    """A hit for the template.

    share: its similarity in percent of the best one's. part: what is shown of an item with several
    images or passages; '' of others.
    """

    rank: int
    title: str
    similarity: str
    share: int
    matched: str
    part: str
    image: InlineImage | None
    text: str
    excerpt: str
    chips: Sequence[tuple[str, str]]
    metadata: Sequence[tuple[str, str]]
    path: str
    has_file: bool


def write_gallery(
    hits: Sequence[Hit],
    path: Path,
    *,
    title: str,
    query_text: str | None,
    query_image: Path | None,
    details: Mapping[str, str],
) -> None:
    """Writes the page to `path` atomically. Raises InputError.

    details: what the reader should know about the search, by name, as 'model': 'builtin'.
    """
    page = render_gallery(
        hits, title=title, query_text=query_text, query_image=query_image, details=details
    )
    write_page(page, path, what="gallery")


def render_gallery(
    hits: Sequence[Hit],
    *,
    title: str,
    query_text: str | None,
    query_image: Path | None,
    details: Mapping[str, str],
) -> str:
    """Renders the page; hits whose image can no longer be read are shown without it."""
    return render_page(
        "gallery",
        styles=["gallery"],
        script="gallery",
        title=one_line(title),
        query_text=one_line(query_text) if query_text else "",
        query_image=query_image and inline_image(query_image, _QUERY_EDGE, _QUERY_BYTES),
        details={one_line(name): one_line(value) for name, value in details.items()},
        cards=_cards(hits),
        with_filter=len(hits) >= _FILTER_FROM_HITS,
    )


def _cards(hits: Sequence[Hit]) -> list[_Card]:
    images = inline_images([real_path(hit.path) if hit.path else None for hit in hits])
    best = max((hit.similarity for hit in hits), default=0.0)
    return [_card(hit, image, best) for hit, image in zip(hits, images, strict=True)]


def _card(hit: Hit, image: InlineImage | None, best: float) -> _Card:
    metadata = {
        visible(name): value
        for name, value in sorted(hit.record.items(), key=lambda item: _place(item[0]))
        if name.lower() not in _NOT_METADATA and value_text(value)
    }
    chips = [
        (name, chip)
        for name, value in metadata.items()
        if name not in _FILE_FACTS and not _is_said(hit, value) and (chip := _chip(name, value))
    ]
    text = _document(hit.record)
    return _Card(
        rank=hit.rank,
        title=title_of(hit),
        similarity=f"{hit.similarity:.3f}",
        share=round(100 * max(hit.similarity, 0.0) / best) if best > 0 else 0,
        matched=hit.matched,
        part=part_text(hit.part) if hit.part else "",
        image=image,
        text=text,
        excerpt=_cut(one_line(hit.excerpt), _EXCERPT_CHARACTERS) if hit.excerpt else _excerpt(text),
        chips=chips[:_MOST_CHIPS],
        metadata=[(name, _shown(value)) for name, value in metadata.items()],
        path=visible(hit.path or hit.key),
        has_file=bool(hit.path),
    )


def _place(name: str) -> int:
    """Puts what a product is chosen by first, and facts about the file last."""
    lowered = name.lower()
    if lowered in PRODUCT_COLUMNS:
        return PRODUCT_COLUMNS.index(lowered)
    return len(PRODUCT_COLUMNS) + (name in _FILE_FACTS)


def _is_said(hit: Hit, value: Scalar) -> bool:
    """Whether the value is the row's id, the image's path or the title."""
    said = value_text(value)
    return said in (hit.key.rpartition("/")[2], title_of(hit)) or hit.uri.endswith(f"/{said}")


def _chip(name: str, value: Scalar) -> str:
    """Formats a value for a card, numbers and dates with their name; '' if empty or too long."""
    if isinstance(value, bool):
        shown = name if value else ""
    elif isinstance(value, str):
        shown = one_line(value)
    else:
        shown = f"{name} {value_text(value)}"
    return shown if len(shown) <= _CHIP_CHARACTERS else ""


def _shown(value: Scalar) -> str:
    return _cut(one_line(value_text(value)), _VALUE_CHARACTERS)


def _excerpt(text: str) -> str:
    """Returns the beginning of a document without its heading, which is shown as the title."""
    heading, _, rest = text.partition("\n")
    return _cut(
        rest.strip() if heading.startswith("#") and rest.strip() else text, _EXCERPT_CHARACTERS
    )


def _document(record: Mapping[str, Scalar]) -> str:
    text = _cut(text_of(record).strip(), _TEXT_CHARACTERS)
    return "\n".join(visible(line) for line in text.splitlines())


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"
