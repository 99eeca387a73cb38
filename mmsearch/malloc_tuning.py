"""Keeps memory that encoders free for their next batch, by tuning glibc's malloc.

By default glibc returns freed arrays of more than 128 kB to 32 MB to the system at once, and gets
them again page by page, each zeroed: for a convolutional tower on a CPU that is half of the time.
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
# How much freed memory is kept at the end of the heap.
_KEPT = 512 * _MIB
# The values of glibc's dynamic thresholds after large arrays were freed, and its default count.
_DEFAULTS: Mapping[int, int] = {
    _MMAP_THRESHOLD: 32 * _MIB,
    _TRIM_THRESHOLD: 64 * _MIB,
    _MMAP_MAX: 65_536,
}
_KEEPING: Mapping[int, int] = {_TRIM_THRESHOLD: _KEPT, _MMAP_MAX: 0}

_lock = Lock()
_entered = 0


@contextmanager
def reused_memory() -> Iterator[None]:
    """Keeps up to 512 MiB of freed memory inside the block, and releases it at the end.

    Several threads may enter it at once, also nested. Does nothing where malloc is not glibc's, or
    where the environment configures it.
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
    global _entered
    with _lock:
        _entered += 1
        if _entered == 1:
            _set(libc, _KEEPING)


def _leave(libc: Any) -> None:
    global _entered
    with _lock:
        _entered -= 1
        if _entered == 0:
            _set(libc, _DEFAULTS)
            libc.malloc_trim(0)


def _set(libc: Any, values: Mapping[int, int]) -> None:
    for parameter, value in values.items():
        libc.mallopt(parameter, value)


def _glibc() -> Any:
    if any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return None
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None
