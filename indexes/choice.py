"""Chooses the kind of index: exact for few rows, as compact as memory requires for many.

`auto` goes by the number of rows, from measurements with text queries against images on one core.
Below EXACT_ROWS an exact scan takes a millisecond or two. From there IVF, with whole vectors up to
WHOLE_ROWS and 8 bits per value beyond, which is a quarter of the memory for 0.01 to 0.03 of recall;
product codes where memory is short, binary codes where it is shorter still. HNSW is built only on
request: text queries lie far from the images, where graph search is inefficient. Over 30,000
embeddings of 512 dimensions it reached recall 0.96 in 1.5 ms and was built in 19 s; IVF reached as
much in 0.4 ms, was built in 4 s, can delete rows and can move to a GPU.
"""

import os
from dataclasses import dataclass

import numpy as np

from mmsearch.errors import InputError
from mmsearch.indexes.base import IndexOptions

EXACT_ROWS = 20_000
WHOLE_ROWS = 200_000

# FAISS warns below 39 training points per cell; with fewer cells than this, probing gains nothing.
POINTS_PER_CELL = 39
FEWEST_CELLS = 16
MOST_CELLS = 8_192

# From the most exact to the most compact.
_BY_SIZE = ("flat", "ivf-flat", "ivf-sq8", "ivf-pq", "binary")
# The kinds without cells, codes or a rotation to train.
_UNTRAINED = ("flat", "hnsw")
_ID_BYTES = 8
_HNSW_LINK_BYTES = 4 * 2 * 24


@dataclass(frozen=True, slots=True)
class Plan:
    """A kind to build and why, in words."""

    kind: str
    why: str


def choose(rows: int, dim: int, options: IndexOptions) -> tuple[Plan, ...]:
    """Returns what to build; each further plan is for when the one before misses the recall.

    Raises InputError where no kind fits in memory.
    """
    if options.kind != "auto":
        return (_requested(rows, dim, options),)
    memory = options.memory_bytes or machine_memory() // 2
    fitting = [kind for kind in _BY_SIZE if bytes_needed(kind, rows, dim) <= memory]
    preferred = "flat" if rows < EXACT_ROWS else "ivf-flat" if rows <= WHOLE_ROWS else "ivf-sq8"
    if preferred not in fitting:
        return (_compact(rows, dim, memory, [kind for kind in fitting if _trains(kind, rows)]),)
    first = Plan(preferred, _why(preferred, rows))
    exacter = reversed(fitting[: fitting.index(preferred)])
    return first, *(Plan(kind, f"{preferred} missed the recall") for kind in exacter)


def _why(kind: str, rows: int) -> str:
    return {
        "flat": f"few rows ({rows:,}) are scanned exactly",
        "ivf-flat": f"IVF avoids scanning all {rows:,} rows",
        "ivf-sq8": f"{rows:,} rows are stored in 8 bits per value",
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


def _requested(rows: int, dim: int, options: IndexOptions) -> Plan:
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
    return Plan(kind, "requested")


def _trains(kind: str, rows: int) -> bool:
    return kind in _UNTRAINED or rows >= FEWEST_CELLS * POINTS_PER_CELL


def bytes_needed(kind: str, rows: int, dim: int) -> int:
    """Returns the memory of a search: rows × (vector or code, and id); cells add a few percent."""
    per_row = {
        "flat": 4 * dim,
        "hnsw": 4 * dim + _HNSW_LINK_BYTES,
        "ivf-flat": 4 * dim,
        "ivf-sq8": dim,
        "ivf-pq": dim // 4 + _ID_BYTES,
        "binary": dim // 8,
        # The vectors stay in the table, and Lance reads codes through its cache.
        "lance": 0,
    }
    return rows * (per_row[kind] + _ID_BYTES)


def cell_count(rows: int) -> int:
    """Returns the number of cells: about 4·√rows, a power of two, with enough training points."""
    ideal = 2 ** round(np.log2(4 * np.sqrt(max(rows, 1))))
    return int(max(1, min(ideal, MOST_CELLS, rows // POINTS_PER_CELL)))


def machine_memory() -> int:
    """Returns the bytes of physical memory; 8 GiB where the system does not report it."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 8 * 2**30


def _size(size_bytes: int) -> str:
    if size_bytes < 2**30:
        return f"{size_bytes / 2**20:.1f} MiB"
    return f"{size_bytes / 2**30:.1f} GiB"
