"""Thumbnails of the hits in terminals that support images (kitty graphics or sixel).

Thumbnails are joined into one strip per row, since terminals place one image at a time. Ranks and
titles are printed below each strip, and the table follows.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.text import Text

from mmsearch.cli.output.render import middle_cut
from mmsearch.cli.search.hits_table import HIT_COLUMNS, hits_table
from mmsearch.errors import InputError, MissingDependency
from mmsearch.extras import require
from mmsearch.records import Hit, real_path
from mmsearch.report.titles import title_of

if TYPE_CHECKING:
    from PIL.Image import Image

# In terminal cells, which are about twice as high as wide, so a tile is about square.
_TILE_COLUMNS, _TILE_ROWS = 22, 11
# Pixels per column and row, near those of most terminals; the renderer scales to the real ones.
_CELL_WIDTH, _CELL_HEIGHT = 16, 32
_MOST_TILES = 24
_GAP = 2


def terminal_shows_images() -> bool:
    """Whether the terminal supports images; False for remote sessions.

    Detection sends an escape sequence, and the reply arrives as typed input: over a slow connection
    it would end up on the user's prompt.
    """
    remote = os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY")
    if remote or not _can_query_terminal():
        return False
    with contextlib.suppress(MissingDependency):
        from_module = _drawing().__module__
        return from_module.endswith((".tgp", ".sixel"))
    return False


def show_thumbnails(
    hits: Sequence[Hit], console: Console, columns: Sequence[str] = HIT_COLUMNS
) -> None:
    """Prints thumbnails (in half blocks where the terminal has no images), then the table.

    Raises InputError if stdout is not a terminal, MissingDependency without the drawing library.
    """
    if not _can_query_terminal():
        raise InputError(
            "--thumbnails needs a terminal for input and output; "
            "leave it out, or write an HTML page with --gallery FILE"
        )
    drawing = _drawing()
    shown = [(hit, tile) for hit in hits[:_MOST_TILES] if (tile := tile_of(hit)) is not None]
    per_row = max(console.width // _TILE_COLUMNS, 1)
    for start in range(0, len(shown), per_row):
        row = shown[start : start + per_row]
        image = strip([tile for _, tile in row])
        console.print(drawing(image, width=_TILE_COLUMNS * len(row), height=_TILE_ROWS))
        console.print(captions([hit for hit, _ in row]))
        console.print()
    table = hits_table(hits, columns=columns, base=Path.cwd(), width=console.width)
    console.print(table)


def tile_of(hit: Hit) -> "Image | None":
    """Returns the image of a hit as an RGB tile; None for a document or an unreadable file."""
    import numpy as np
    from PIL import ImageOps

    from mmsearch.media import decode
    from mmsearch.report.images import frame_colour, is_long

    size = (_TILE_COLUMNS * _CELL_WIDTH, _TILE_ROWS * _CELL_HEIGHT)
    if not hit.path:
        return None
    try:
        image = decode(real_path(hit.path), draft=size).image
    except InputError:
        return None
    colour, plain = frame_colour(np.asarray(image))
    if plain or is_long(image.size):
        return ImageOps.pad(image, size, color=colour)
    return ImageOps.fit(image, size)


def strip(tiles: "Sequence[Image]") -> "Image":
    """Joins RGB tiles of one size side by side."""
    from PIL import Image

    width, height = tiles[0].size
    image = Image.new("RGB", (width * len(tiles), height))
    for place, tile in enumerate(tiles):
        image.paste(tile, (place * width, 0))
    return image


def captions(hits: Sequence[Hit]) -> Text:
    """Returns rank and title below each tile, as one line."""
    line = Text(no_wrap=True, overflow="crop")
    for hit in hits:
        rank = f"{hit.rank} "
        room = _TILE_COLUMNS - _GAP - len(rank)
        cell = Text.assemble((rank, "cyan"), middle_cut(title_of(hit), room))
        cell.pad_right(_TILE_COLUMNS - cell.cell_len)
        line.append_text(cell)
    return line


def _can_query_terminal() -> bool:
    """Whether stdin and stdout are this job's terminal: a query would stop a background job."""
    answers, asks = sys.__stdin__, sys.__stdout__
    if os.environ.get("TERM") == "dumb" or answers is None or asks is None:
        return False
    if not (answers.isatty() and asks.isatty()):
        return False
    try:
        # A pseudo-terminal without a size has no columns to place images in.
        sized = os.get_terminal_size(asks.fileno()).columns > 0
        return sized and (os.name == "nt" or os.tcgetpgrp(answers.fileno()) == os.getpgrp())
    except OSError:
        return False


def _drawing() -> Callable[..., RenderableType]:
    """Returns the renderable that suits the terminal; importing it queries the terminal."""
    # It warns on the screen when a terminal does not report the size of its cells.
    logging.getLogger("textual_image").addHandler(logging.NullHandler())
    require("textual_image", extra="thumbnails", purpose="--thumbnails")
    from textual_image.renderable import Image

    return Image
