"""Embeds the live rows of a store with another model, into files that survive a kill.

Images are read from the paths in the rows; texts come from the rows, and long ones are split into
passages for the new model. Each file of vectors is written atomically, and the image and text of a
uid never change, so existing vectors are kept.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmsearch.config import Settings
from mmsearch.encoders.base import Encoder
from mmsearch.errors import InputError
from mmsearch.files import replaced_file
from mmsearch.ingest.decoding import ImageOrError, ImageReader
from mmsearch.ingest.known import FileState
from mmsearch.ingest.text_vectors import encode_texts
from mmsearch.malloc_tuning import reused_memory
from mmsearch.media import MediaBounds, PreparedImage
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats
from mmsearch.store import Store
from mmsearch.store.filters import LIVE
from mmsearch.store.images import stored_image
from mmsearch.store.parts import parts_schema, parts_to_arrow
from mmsearch.store.rewriting import vectors_schema
from mmsearch.store.rows import rows_to_arrow

ROWS_PER_FILE = 4096
_BATCHES_AHEAD = 4
# The end of the names of files of passages, beside the '.arrow' of the rows that they belong to.
_PASSAGES = ".passages"
_COLUMNS = ["_uid", "uri", "text", "_image_hash", "_text_hash"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of a store in another space.

    items: of the live rows, by `vectors_schema`. images: of the images of items with several, by
    the same schema, with the uids of these parts. passages: by `parts_schema`, without uids.
    """

    items: pa.Table
    images: pa.Table
    passages: pa.Table


@dataclass(frozen=True, slots=True)
class _Row:
    """A live row, or an image of an item with several.

    image: its path, None without one. text: None without one.
    """

    uid: int
    image: Path | None
    text: str | None = None


def _rows(store: Store) -> Iterator[_Row]:
    """Yields the live rows, then the images of those with several."""
    items, parts = store.scan(_COLUMNS, LIVE), store.known_images(["_uid", "item", "uri", "_hash"])
    several = set() if parts is None else set(parts.column("item").to_pylist())
    live = set()
    for row in items.to_pylist():
        live.add(row["_uid"])
        has_image = row["_image_hash"] and row["uri"] and row["_uid"] not in several
        image = stored_image(store.folder, row["uri"], row["_image_hash"]) if has_image else None
        yield _Row(row["_uid"], image, row["text"] if row["_text_hash"] else None)
    for part in [] if parts is None else parts.to_pylist():
        if part["item"] in live:
            yield _Row(part["_uid"], stored_image(store.folder, part["uri"], part["_hash"]))


@reused_memory()
def embed_rows(
    store: Store,
    encoder: Encoder,
    folder: Path,
    settings: Settings,
    *,
    batch_size: int,
    device: str,
    progress: ProgressListener,
) -> Embedded:
    """Completes the files in `folder`; returns the vectors of all live rows and their parts.

    Images that could not be read in an interrupted run are tried again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _read(folder, encoder.space.dim)
    done = set(known.filter(pc.is_null(known.column("reason"))).column("_uid").to_pylist())
    rows = list(_rows(store))
    left = [row for row in rows if row.uid not in done]
    if len(left) < len(rows):
        progress.note(f"resuming: {len(rows) - len(left):,} of {len(rows):,} items are done")
    progress.start("embedding with the new model", len(left), device=device)
    writer = _Writer(folder, encoder.space.dim, settings.commit_seconds)
    bounds = MediaBounds.of(settings)
    states: dict[int, FileState] = {}
    spec = encoder.preprocessing
    with ImageReader(bounds=bounds, spec=spec, workers=settings.workers) as reader:
        pairs = reader.read_ahead(left, partial(_watched, states), _BATCHES_AHEAD * batch_size)
        try:
            while batch := list(islice(pairs, batch_size)):
                writer.add(*_encoded(batch, encoder, states, most=settings.max_passages))
                progress.advance(len(batch))
        finally:
            # Also on Ctrl-C, so that encoded rows are kept.
            writer.flush()
    vectors = _read(folder, encoder.space.dim)
    # Rows may have been removed since an interrupted run.
    images = store.part_items("image")[0]
    of_image = pc.is_in(vectors.column("_uid"), pa.array(images))
    live = pa.array(store.uids())
    passages = _read_passages(folder, encoder.space.dim)
    return Embedded(
        vectors.filter(pc.is_in(vectors.column("_uid"), live)),
        vectors.filter(of_image),
        passages.filter(pc.is_in(passages.column("item"), live)),
    )


def _watched(states: dict[int, FileState], row: _Row) -> Path | None:
    """Returns the path of the row's image, after recording its state.

    An edit while the image is read is thus detected by the next run.
    """
    with suppress(OSError):
        if row.image is not None:
            states[row.uid] = FileState.of(row.image)
    return row.image


def _encoded(
    batch: Sequence[tuple[_Row, ImageOrError | None]],
    encoder: Encoder,
    states: dict[int, FileState],
    *,
    most: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns the vectors of the rows, by `vectors_schema`, and the passages of long texts."""
    pixels = [found.pixels for _, found in batch if isinstance(found, PreparedImage)]
    images = iter(encoder.encode_pixels(np.stack(pixels)) if pixels else ())
    distinct = list(dict.fromkeys(row.text for row, _ in batch if row.text is not None))
    texts = encode_texts(distinct, encoder, known={}, most=most)
    rows, passages = [], []
    for row, found in batch:
        image = next(images) if isinstance(found, PreparedImage) else None
        text = texts[row.text] if row.text is not None else None
        vector = text.vector if text is not None else None
        rows.append(_vectors(row, found, image, vector, state=states.pop(row.uid, None)))
        passages += [{**each, "item": row.uid} for each in (text.passages if text else ())]
    return rows, passages


def _vectors(
    row: _Row,
    found: ImageOrError | None,
    image: Floats | None,
    text: Floats | None,
    *,
    state: FileState | None,
) -> dict[str, Any]:
    reason = str(found) if isinstance(found, InputError) else None
    if image is not None and not np.isfinite(image).all():
        image, reason = None, "the new model gave a vector that is not finite; use another device"
    decoded = found if isinstance(found, PreparedImage) and image is not None else None
    return {
        "_uid": row.uid,
        "width": decoded.width if decoded else None,
        "height": decoded.height if decoded else None,
        "format": decoded.format if decoded else None,
        **FileState.columns(state),
        "_image_hash": decoded.content_hash if decoded else None,
        "_image_vector": image,
        "_text_vector": text,
        "reason": reason,
        "metadata": {},
    }


class _Writer:
    """Collects rows and writes them as Arrow files, each atomically."""

    def __init__(self, folder: Path, dim: int, commit_seconds: float) -> None:
        self._folder, self._dim, self._seconds = folder, dim, commit_seconds
        self._rows: list[dict[str, Any]] = []
        self._passages: list[dict[str, Any]] = []
        self._last = time.monotonic()

    def add(self, rows: Sequence[dict[str, Any]], passages: Sequence[dict[str, Any]]) -> None:
        self._rows += rows
        self._passages += passages
        many = len(self._rows) + len(self._passages) >= ROWS_PER_FILE
        if many or time.monotonic() - self._last >= self._seconds:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            number = len(list(self._folder.glob("*.arrow")))
            # First, as a text is done when its row is written.
            self._write(f"{number:06d}{_PASSAGES}", parts_to_arrow(self._passages, self._dim))
            table = rows_to_arrow(self._rows, vectors_schema(self._dim))
            self._write(f"{number:06d}.arrow", table)
        self._rows, self._passages, self._last = [], [], time.monotonic()

    def _write(self, name: str, table: pa.Table) -> None:
        try:
            with (
                replaced_file(self._folder / name) as stream,
                pa.ipc.new_file(stream, table.schema) as file,
            ):
                file.write_table(table)
        except OSError as error:
            raise InputError(
                f"cannot write vectors to {self._folder}: {error.strerror or error}; make "
                "room, and run the same command again to continue"
            ) from error


def _read_passages(folder: Path, dim: int) -> pa.Table:
    """Reads the passages of all texts that are done, as one memory-mapped table."""
    tables = [
        pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        for path in sorted(folder.glob(f"*{_PASSAGES}"))
        if path.with_suffix(".arrow").exists()
    ]
    if not tables:
        return parts_schema(dim).empty_table()
    table = pa.concat_tables(tables)
    # A text is encoded again if its image could not be read; its last file counts.
    files = np.repeat(np.arange(len(tables)), [each.num_rows for each in tables])
    distinct, last = np.unique(items := table.column("item").to_numpy()[::-1], return_index=True)
    newest = files[::-1][last][np.searchsorted(distinct, items[::-1])]
    return table.filter(pa.array(files == newest))


def _read(folder: Path, dim: int) -> pa.Table:
    """Reads all files as one memory-mapped table, with the last row of each uid."""
    parts = [
        pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        for path in sorted(folder.glob("*.arrow"))
    ]
    if not parts:
        return vectors_schema(dim).empty_table()
    table = pa.concat_tables(parts)
    distinct, last = np.unique(table.column("_uid").to_numpy()[::-1], return_index=True)
    again = len(distinct) < table.num_rows
    return table.take(np.sort(table.num_rows - 1 - last)) if again else table
