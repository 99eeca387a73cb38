"""The vectors of a store as rows: key, path, text and metadata, and a vector per target.

Rows are streamed from the store in batches, and the file becomes complete at once or not at all.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from mmsearch.errors import InputError
from mmsearch.export.writers import ExportedRows, files_of, write_rows
from mmsearch.fusion import Fusion
from mmsearch.generations import IMAGE, TEXT
from mmsearch.generations.vectors import HAS
from mmsearch.media.metadata import POSITION_COLUMNS
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, SpaceId, Target, printable_path
from mmsearch.store import Store
from mmsearch.store.filters import live_and
from mmsearch.store.reading import SCAN_ROWS
from mmsearch.store.rows import vectors_to_numpy

TARGETS: tuple[Target, ...] = ("image", "text", "product")
Precision = Literal["float32", "float16"]
# Under this name the space of the vectors is in the metadata of the file's schema, as JSON.
SPACE = b"mmsearch.space"


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorExport:
    """What is exported, and how.

    targets: the vectors of each row; None: those that the store has. where: a filter, as in a
    search. precision: of the vectors. position: with the columns of POSITION_COLUMNS. force:
    replace a file that exists.
    """

    targets: Sequence[Target] | None = None
    where: str | None = None
    precision: Precision = "float32"
    position: bool = False
    force: bool = False


def export_vectors(
    store: Store,
    fusion: Fusion | None,
    path: Path,
    options: VectorExport,
    *,
    progress: ProgressListener,
) -> int:
    """Writes the vectors of the rows that match to a Parquet, Lance or NumPy file.

    fusion: of the product vectors; None where the store has none yet. Returns the number of rows.
    Raises InputError, BadFilter.
    """
    for file in files_of(path):
        if file.exists() and not options.force:
            raise InputError(f"{printable_path(file)} exists; pass `force=True` to replace it")
    targets = _targets(store, fusion, options.targets)
    where = live_and(store.sql_of(options.where))
    where = f"{where} AND ({' OR '.join(HAS[target] for target in targets)})"
    hidden = [
        name for name in store.public_columns if name in POSITION_COLUMNS and not options.position
    ]
    if hidden:
        progress.note(f"left out: {', '.join(hidden)}; `position=True` writes them too")
    types = {name: kind for name, kind in store.column_types().items() if name not in hidden}
    number = pa.float16() if options.precision == "float16" else pa.float32()
    schema = pa.schema(
        [
            *(pa.field(name, kind) for name, kind in types.items()),
            *(pa.field(f"{target}_vector", pa.list_(number, store.dim)) for target in targets),
        ],
        metadata={SPACE: json.dumps(asdict(store.manifest.space))},
    )
    query = store.items.search().where(where).select([*types, IMAGE, TEXT])
    batches = query.to_batches(batch_size=SCAN_ROWS)
    count = int(store.items.count_rows(where))
    progress.start("exporting vectors", count)
    write_rows(
        ExportedRows(schema, _with_vectors(batches, schema, fusion), count, targets),
        path,
        advance=progress.advance,
    )
    return count


def space_of_schema(schema: pa.Schema) -> SpaceId | None:
    """Returns the space that an exported file names in its schema; None if it names none."""
    named = (schema.metadata or {}).get(SPACE)
    return SpaceId(**json.loads(named)) if named else None


def _targets(
    store: Store, fusion: Fusion | None, requested: Sequence[Target] | None
) -> tuple[Target, ...]:
    """Returns the requested targets, or those that the store has vectors for."""
    unknown = set(requested or ()) - set(TARGETS)
    if unknown:
        raise InputError(
            f"unknown target '{unknown.pop()}'; `target` is one of {', '.join(TARGETS)}"
        )
    if fusion is None and "product" in (requested or ()):
        raise InputError("the store has no product vectors yet; run `catalog.index()` once")
    counts = store.counts()
    held: dict[Target, int] = {
        "image": counts["image"],
        "text": counts["text"],
        "product": counts["both"] if fusion is not None else 0,
    }
    return tuple(
        target
        for target in TARGETS
        if target in (requested or ()) or (not requested and held[target])
    ) or ("image",)


def _with_vectors(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, fusion: Fusion | None
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        dim = schema.field(schema.names[-1]).type.list_size
        images, texts = (vectors_to_numpy(batch.column(name), dim) for name in (IMAGE, TEXT))
        vectors: dict[str, Floats] = {"image_vector": images, "text_vector": texts}
        if fusion is not None and "product_vector" in schema.names:
            vectors["product_vector"] = fusion.products(images, texts)
        columns = [
            _fixed_size_lists(vectors[field.name], field.type)
            if field.name in vectors and pa.types.is_fixed_size_list(field.type)
            else batch.column(field.name)
            for field in schema
        ]
        yield pa.record_batch(columns, schema=schema)


def _fixed_size_lists(vectors: Floats, kind: Any) -> pa.Array:
    """Converts float32 (n, dim) to an array of lists; rows of zeros become null."""
    flat = vectors.astype(kind.value_type.to_pandas_dtype()).reshape(-1)
    missing = pa.array(~vectors.any(axis=1))
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), kind.list_size, mask=missing)
