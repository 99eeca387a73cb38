"""Which kind to build: exact where small, as compact as memory asks for where large.

`auto`, by rows, from what was seen with text queries against images on one core: below EXACT_ROWS
a scan takes a millisecond or two, and nothing can be missed; from there cells (IVF), with whole
vectors up to WHOLE_ROWS and 8 bits a value beyond, which is a quarter of the memory at one to three
hundredths of the recall; product codes where memory is short, and bits where it is shorter still.
HNSW is built only when asked for: text queries lie away from the images, where its walk goes
astray. Over 30,000 embeddings of 512 dimensions it found 0.96 of their neighbours in 1.5 ms and was
built in 19 s; cells found as many in 0.4 ms and were built in 4 s. They also forget what is removed
and move to a GPU.
"""

import os
from dataclasses import dataclass

import numpy as np

from mmsearch.errors import InputError
from mmsearch.indexes.base import IndexOptions

EXACT_ROWS = 20_000
WHOLE_ROWS = 200_000

# FAISS warns below 39 training points per cell; fewer cells than this are not worth walking.
POINTS_PER_CELL = 39
FEWEST_CELLS = 16
MOST_CELLS = 8_192

# From the most exact to the most compact.
_BY_SIZE = ("flat", "ivf-flat", "ivf-sq8", "ivf-pq", "binary")
# What needs no sample to learn cells, codes or a rotation from.
_UNTRAINED = ("flat", "hnsw")
_ID_BYTES = 8
_HNSW_LINK_BYTES = 4 * 2 * 24


@dataclass(frozen=True, slots=True)
class Plan:
    """A kind to build and, for people, why."""

    kind: str
    why: str


def choose(rows: int, dim: int, options: IndexOptions) -> tuple[Plan, ...]:
    """What to build; each further plan is for when the one before missed the recall."""
    if options.kind != "auto":
        return (_asked(rows, dim, options),)
    memory = options.memory_bytes or machine_memory() // 2
    fitting = [kind for kind in _BY_SIZE if bytes_needed(kind, rows, dim) <= memory]
    wanted = "flat" if rows < EXACT_ROWS else "ivf-flat" if rows <= WHOLE_ROWS else "ivf-sq8"
    if wanted not in fitting:
        return (_compact(rows, dim, memory, [kind for kind in fitting if _trains(kind, rows)]),)
    first = Plan(wanted, _why(wanted, rows))
    exacter = reversed(fitting[: fitting.index(wanted)])
    return first, *(Plan(kind, f"{wanted} missed the recall") for kind in exacter)


def _why(kind: str, rows: int) -> str:
    return {
        "flat": f"{rows:,} rows are few enough to compare every one",
        "ivf-flat": f"cells spare comparing most of {rows:,} rows",
        "ivf-sq8": f"8 bits a value keep {rows:,} rows small",
    }[kind]


def _compact(rows: int, dim: int, memory: int, fitting: list[str]) -> Plan:
    if not fitting:
        smallest = min(bytes_needed(kind, rows, dim) for kind in _BY_SIZE)
        raise InputError(
            f"{rows:,} rows of {dim} values take at least {_size(smallest)}, memory allows "
            f"{_size(memory)}; allow more"
        )
    needed = bytes_needed(fitting[0], rows, dim)
    return Plan(fitting[0], f"it takes {_size(needed)} of the {_size(memory)} allowed")


def _asked(rows: int, dim: int, options: IndexOptions) -> Plan:
    kind, memory = options.kind, options.memory_bytes
    if not _trains(kind, rows):
        least = FEWEST_CELLS * POINTS_PER_CELL
        return Plan("flat", f"{rows:,} rows are too few to train {kind}, which needs {least:,}")
    needed = bytes_needed(kind, rows, dim)
    if memory is not None and needed > memory:
        raise InputError(
            f"{kind} takes {_size(needed)} for {rows:,} rows of {dim} values, memory allows "
            f"{_size(memory)}; allow more, or let 'auto' choose"
        )
    return Plan(kind, "asked for")


def _trains(kind: str, rows: int) -> bool:
    return kind in _UNTRAINED or rows >= FEWEST_CELLS * POINTS_PER_CELL


def bytes_needed(kind: str, rows: int, dim: int) -> int:
    """Memory while searching, rows × (vector or code, and id); cells add a few percent."""
    per_row = {
        "flat": 4 * dim,
        "hnsw": 4 * dim + _HNSW_LINK_BYTES,
        "ivf-flat": 4 * dim,
        "ivf-sq8": dim,
        "ivf-pq": dim // 4 + _ID_BYTES,
        "binary": dim // 8,
        # The vectors stay in the table; Lance reads codes through its cache.
        "lance": 0,
    }
    return rows * (per_row[kind] + _ID_BYTES)


def cell_count(rows: int) -> int:
    """About 4·√rows, a power of two, never so many that training points run short."""
    ideal = 2 ** round(np.log2(4 * np.sqrt(max(rows, 1))))
    return int(max(1, min(ideal, MOST_CELLS, rows // POINTS_PER_CELL)))


def machine_memory() -> int:
    """Bytes of physical memory; 8 GiB where the system does not tell."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 8 * 2**30


def _size(size_bytes: int) -> str:
    if size_bytes < 2**30:
        return f"{size_bytes / 2**20:.1f} MiB"
    return f"{size_bytes / 2**30:.1f} GiB"
