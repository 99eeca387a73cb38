"""Memory that encoders free is kept for their next batch, while many batches are encoded.

glibc gives freed arrays of more than 128 kB to 32 MB back to the system at once and takes them
anew, page by page, each page zeroed: over a convolutional tower on a CPU that is half of the time.
"""

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

# mallopt's parameters, see mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MIB = 2**20
# So much freed memory may wait at the heap's end.
_KEPT = 512 * _MIB
# Where glibc's own thresholds end up once a program has freed large arrays, and its default count.
_USUAL: Mapping[int, int] = {
    _MMAP_THRESHOLD: 32 * _MIB,
    _TRIM_THRESHOLD: 64 * _MIB,
    _MMAP_MAX: 65_536,
}
_REUSING: Mapping[int, int] = {_TRIM_THRESHOLD: _KEPT, _MMAP_MAX: 0}

_lock = Lock()
_inside = 0


@contextmanager
def reused_memory() -> Iterator[None]:
    """Inside, the process keeps up to 512 MiB of what it frees; after it, that is given back.

    May be entered by several threads at once, and again inside. Does nothing where malloc is not
    glibc's, or where the environment has settings for it.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    _enter(libc)
    try:
        yield
    finally:
        _leave(libc)


def _enter(libc: Any) -> None:
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _set(libc, _REUSING)


def _leave(libc: Any) -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0:
            _set(libc, _USUAL)
            libc.malloc_trim(0)


def _set(libc: Any, values: Mapping[int, int]) -> None:
    for parameter, value in values.items():
        libc.mallopt(parameter, value)


def _glibc() -> Any:
    if any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return None
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None
