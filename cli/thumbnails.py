"""Small pictures of the hits in terminals that can draw them (kitty graphics or sixel).

The pictures become one strip per row of the screen, since terminals place one picture at a time;
ranks and titles stand below it, and the table follows.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.text import Text

from mmsearch.cli.render import hits_table, middle_cut
from mmsearch.errors import InputError, MissingDependency
from mmsearch.extras import require
from mmsearch.records import Hit, real_path
from mmsearch.report.titles import title_of

if TYPE_CHECKING:
    from PIL.Image import Image

# In terminal cells. Cells are about twice as high as wide, so a tile is about square.
_TILE_COLUMNS, _TILE_ROWS = 22, 11
# Pixels per column and row; the terminal's own are near, and the renderer scales to them.
_CELL_WIDTH, _CELL_HEIGHT = 16, 32
_MOST_TILES = 24
_GAP = 2


def terminal_shows_pictures() -> bool:
    """Whether real pictures can be drawn, without asking a terminal that may answer too late.

    The question is an escape sequence whose answer comes as typed input: over a slow line it
    would land on the user's prompt. A remote session therefore counts as one that cannot.
    """
    remote = os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY")
    if remote or not _may_ask_terminal():
        return False
    with contextlib.suppress(MissingDependency):
        from_module = _drawing().__module__
        return from_module.endswith((".tgp", ".sixel"))
    return False


def show_thumbnails(hits: Sequence[Hit], console: Console) -> None:
    """The pictures of the hits in strips, in half blocks where nothing better is drawn; the table.

    Raises InputError if stdout is no terminal, MissingDependency without the drawing library.
    """
    if not _may_ask_terminal():
        raise InputError(
            "thumbnails need a terminal for input and output; "
            "leave --thumbnails out, or write a page with --gallery FILE"
        )
    drawing = _drawing()
    shown = [(hit, tile) for hit in hits[:_MOST_TILES] if (tile := tile_of(hit)) is not None]
    per_row = max(console.width // _TILE_COLUMNS, 1)
    for start in range(0, len(shown), per_row):
        row = shown[start : start + per_row]
        picture = strip([tile for _, tile in row])
        console.print(drawing(picture, width=_TILE_COLUMNS * len(row), height=_TILE_ROWS))
        console.print(captions([hit for hit, _ in row]))
        console.print()
    console.print(hits_table(hits))


def tile_of(hit: Hit) -> "Image | None":
    """The hit's picture as an RGB tile; None for a document or a file that does not open."""
    import numpy as np
    from PIL import ImageOps

    from mmsearch.media import decode
    from mmsearch.report.images import frame_colour, is_long

    size = (_TILE_COLUMNS * _CELL_WIDTH, _TILE_ROWS * _CELL_HEIGHT)
    if not hit.uri:
        return None
    try:
        image = decode(real_path(hit.uri), draft=size).image
    except InputError:
        return None
    colour, plain = frame_colour(np.asarray(image))
    if plain or is_long(image.size):
        return ImageOps.pad(image, size, color=colour)
    return ImageOps.fit(image, size)


def strip(tiles: "Sequence[Image]") -> "Image":
    """RGB tiles of one size, side by side."""
    from PIL import Image

    width, height = tiles[0].size
    picture = Image.new("RGB", (width * len(tiles), height))
    for place, tile in enumerate(tiles):
        picture.paste(tile, (place * width, 0))
    return picture


def captions(hits: Sequence[Hit]) -> Text:
    """Rank and title below each tile, one line."""
    line = Text(no_wrap=True, overflow="crop")
    for hit in hits:
        rank = f"{hit.rank} "
        room = _TILE_COLUMNS - _GAP - len(rank)
        cell = Text.assemble((rank, "cyan"), middle_cut(title_of(hit), room))
        cell.pad_right(_TILE_COLUMNS - cell.cell_len)
        line.append_text(cell)
    return line


def _may_ask_terminal() -> bool:
    """Whether both ends are a terminal of ours: asking would stop a background job."""
    answers, asks = sys.__stdin__, sys.__stdout__
    if os.environ.get("TERM") == "dumb" or answers is None or asks is None:
        return False
    if not (answers.isatty() and asks.isatty()):
        return False
    try:
        # A pseudo-terminal that nobody has sized has no columns to divide pictures among.
        sized = os.get_terminal_size(asks.fileno()).columns > 0
        return sized and (os.name == "nt" or os.tcgetpgrp(answers.fileno()) == os.getpgrp())
    except OSError:
        return False


def _drawing() -> Callable[..., RenderableType]:
    """The renderable that suits the terminal; importing it is what asks the terminal."""
    # It warns on the screen when a terminal does not say how large its cells are.
    logging.getLogger("textual_image").addHandler(logging.NullHandler())
    require("textual_image", extra="thumbnails", purpose="--thumbnails")
    from textual_image.renderable import Image

    return Image
