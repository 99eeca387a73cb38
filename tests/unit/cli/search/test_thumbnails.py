"""Thumbnails in a real pseudo-terminal, whose other end answers like one terminal or another."""

import os
import select
import sys
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.cli.output.render import stdout_console
from mmsearch.cli.search.thumbnails import (
    captions,
    show_thumbnails,
    strip,
    terminal_shows_images,
    tile_of,
)
from mmsearch.errors import InputError
from mmsearch.records import Hit

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX pseudo-terminal")

ATTRIBUTES_QUERY = b"\x1b[c"
SIXEL_ANSWER, PLAIN_ANSWER = b"\x1b[?62;4;22c", b"\x1b[?62;22c"
SIXEL_START, HALF_BLOCK = b"\x1bP", "▀".encode()
PROGRAM = """
import sys
from mmsearch.cli.output.render import stdout_console
from mmsearch.cli.search.thumbnails import show_thumbnails, terminal_shows_images
from mmsearch.records import Hit
print("pictures:", terminal_shows_images())
show_thumbnails([Hit(1, "k", sys.argv[1], 0.5, "image", {"title": "Red"})], stdout_console())
"""


def hit(uri: object, title: str = "Red", rank: int = 1) -> Hit:
    return Hit(rank, "k", str(uri), 0.5, "image", {"title": title})


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def in_terminal(picture: Path, answer: bytes | None, *, columns: int = 90, **env: str) -> bytes:
    """What PROGRAM writes to a terminal of that many columns that gives that answer, or none."""
    import fcntl
    import pty
    import struct
    import termios

    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 30, columns, 0, 0))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SSH_", "COLUMNS"))}
        arguments = [sys.executable, "-c", PROGRAM, str(picture)]
        os.execve(sys.executable, arguments, {**kept, "TERM": "xterm-256color", **env})
    written = b""
    while select.select([terminal], [], [], 30)[0]:
        try:
            written += os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if answer is not None and ATTRIBUTES_QUERY in written:
            os.write(terminal, answer)
            answer = None
    os.close(terminal)
    assert os.waitpid(child, 0)[1] == 0, written
    return written


def test_a_sixel_terminal_gets_sixels_the_caption_and_the_table(picture: Path) -> None:
    written = in_terminal(picture, SIXEL_ANSWER)
    assert b"pictures: True" in written
    assert SIXEL_START in written
    assert b"similarity" in written


@pytest.mark.parametrize("answer", [PLAIN_ANSWER, None], ids=["no sixel", "no answer"])
def test_another_terminal_gets_half_blocks_if_it_insists(
    picture: Path, answer: bytes | None
) -> None:
    written = in_terminal(picture, answer)
    assert b"pictures: False" in written
    assert HALF_BLOCK in written
    assert SIXEL_START not in written


def test_a_remote_terminal_is_asked_only_by_request(picture: Path) -> None:
    written = in_terminal(picture, SIXEL_ANSWER, SSH_CONNECTION="1.2.3.4 5 6.7.8.9 22")
    asked_at = written.index(ATTRIBUTES_QUERY)
    assert written.index(b"pictures: False") < asked_at < written.index(SIXEL_START)


def test_without_a_terminal_the_table_is_the_default_and_pictures_an_error(picture: Path) -> None:
    assert not terminal_shows_images()
    with pytest.raises(InputError, match="needs a terminal"):
        show_thumbnails([hit(picture)], stdout_console())


def test_hits_without_a_picture_have_no_tile(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    assert tile_of(hit("")) is None
    assert tile_of(hit(tmp_path / "a.txt")) is None
    assert tile_of(hit(tmp_path / "gone.png")) is None


def test_tiles_of_any_shape_stand_side_by_side(tmp_path: Path) -> None:
    shapes = [(10, 400), (400, 10), (300, 300)]
    tiles = []
    for number, shape in enumerate(shapes):
        Image.linear_gradient("L").resize(shape).save(tmp_path / f"{number}.png")
        tile = tile_of(hit(tmp_path / f"{number}.png"))
        assert tile is not None
        tiles.append(tile)
    (size,) = {tile.size for tile in tiles}
    assert strip(tiles).size == (3 * size[0], size[1])


def test_captions_stand_below_their_tiles() -> None:
    line = captions([hit("", "A" * 50), hit("", "苹果" * 9, 2), hit("", "c", 3)])
    assert line.cell_len == 3 * 22
    assert line.plain.index("3 c") - line.plain.index("2 ") <= 22
