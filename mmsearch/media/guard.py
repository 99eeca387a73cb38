"""Keeps codecs strict and silent: no truncated images, no warnings, no output on stderr.

This is process-wide state, so it is changed only while an image is decoded.
"""

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from PIL import Image, ImageFile

# Without any handler, Python prints Pillow's log messages of level WARNING to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Shared:
    """A process-wide change that the first thread to need it makes and the last one undoes.

    If each thread made and undid it, the order would be arbitrary.
    """

    def __init__(self, change: Callable[[], AbstractContextManager[None]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._users = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                self._held.enter_context(self._change())
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._held.close()


@contextmanager
def _strict_without_warnings() -> Iterator[None]:
    # Another library in the process may have set Pillow to accept truncated images.
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\b")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


@contextmanager
def _no_native_stderr() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # the process has no stderr
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


_strict = _Shared(_strict_without_warnings)
_native_stderr = _Shared(_no_native_stderr)


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Keeps codecs strict and silent while format `name` is decoded.

    Only libtiff writes to the process's stderr.
    """
    with _strict.hold(), _native_stderr.hold() if name == "tiff" else ExitStack():
        yield


def let_pillow_open(max_pixels: int) -> None:
    """Raises Pillow's process-wide limit if need be; Pillow refuses at twice its limit."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and 2 * limit < max_pixels:
        Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2
