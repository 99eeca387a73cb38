"""A copy of the public columns in one Arrow file beside the index, for searches without LanceDB.

Importing LanceDB takes longer than the rest of a cold search, and reading ten rows from it longer
than finding them. The file is written under the write lock, and is valid only while the table's
folder lists the versions that it listed then: any commit adds one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmsearch.files import replaced_file

VERSIONS = Path("lance") / "items.lance" / "_versions"
FAILURE_VERSIONS = Path("lance") / "failures.lance" / "_versions"
# Beyond this, writing the file would take longer than updating the index.
MAX_ROWS, MAX_BYTES = 2_000_000, 2**29
_META = b"mmsearch"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The live rows at a table version, by ascending _uid, memory-mapped.

    counts: as `Store.counts`. parts_version: of the table of their parts, None without one.
    """

    version: int
    counts: Mapping[str, int]
    rows: pa.Table
    parts_version: int | None = None

    def rows_of(self, uids: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Returns the live rows among these uids."""
        known = self.rows.column("_uid").to_numpy()
        requested = np.unique(np.asarray(uids, dtype=np.int64))
        places = np.searchsorted(known, requested)
        places, requested = places[places < len(known)], requested[places < len(known)]
        return self.rows.select(list(columns)).take(places[known[places] == requested])


def write_snapshot(path: Path, folder: Path, snapshot: Snapshot) -> None:
    """Writes a snapshot. Call it under the write lock, after the last commit of the run."""
    about = {
        "version": snapshot.version,
        "counts": dict(snapshot.counts),
        "parts_version": snapshot.parts_version,
        "versions": _versions(folder / VERSIONS),
        "failure_versions": _versions(folder / FAILURE_VERSIONS),
    }
    # As one chunk, since taking rows from several makes Arrow concatenate them first.
    rows = snapshot.rows.sort_by("_uid").combine_chunks()
    rows = rows.replace_schema_metadata({_META: json.dumps(about)})
    with replaced_file(path) as stream, pa.ipc.new_file(stream, rows.schema) as writer:
        writer.write_table(rows)


def read_snapshot(path: Path, folder: Path, *, with_failures: bool = False) -> Snapshot | None:
    """Reads a snapshot; returns None where it is missing, unreadable or out of date.

    with_failures: also where failures have been recorded since, which only `counts` tells.
    """
    try:
        rows = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        about = json.loads(rows.schema.metadata[_META])
        fresh = about["versions"] == _versions(folder / VERSIONS)
        if with_failures:
            fresh &= about["failure_versions"] == _versions(folder / FAILURE_VERSIONS)
        if not fresh:
            return None
        return Snapshot(about["version"], about["counts"], rows, about.get("parts_version"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _versions(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
