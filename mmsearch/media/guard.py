"""Keeps codecs strict, and out of the progress bar: no half images, no warnings, no stray lines.

All of it is state of the whole process, so it is changed only while an image is decoded.
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
    """A change to the whole process, made by the first thread that needs it, undone by the last.

    Entered and left by each thread on its own, such a change would end in whatever order.
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
    # Other libraries in the process may have told Pillow to fill cut images with grey.
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
    except OSError:  # a process without a stderr has nothing to keep quiet
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
    """While format `name` is decoded; only libtiff writes to the process's stderr by itself."""
    with _strict.hold(), _native_stderr.hold() if name == "tiff" else ExitStack():
        yield


def let_pillow_open(max_pixels: int) -> None:
    """Pillow refuses at twice its limit, for the whole process: only ever raised, never lowered."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and 2 * limit < max_pixels:
        Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2
