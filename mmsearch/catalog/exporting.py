"""Exports of a catalog: opens the store and what its product vectors are computed with."""

from pathlib import Path

from mmsearch.export import VectorExport, export_vectors
from mmsearch.progress import ProgressListener
from mmsearch.store import Store


def write_vectors(
    folder: Path, path: Path, options: VectorExport, *, progress: ProgressListener
) -> int:
    """Writes the vectors of the store in `folder` to `path`; returns the number of rows."""
    from mmsearch.generations import live_generation

    store = Store.open(folder)
    generation = live_generation(folder)
    fusion = generation.info.fusion if generation is not None else None
    return export_vectors(store, fusion, path, options, progress=progress)
