"""What is in a store: its model, rows, sources, columns and indexes."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmsearch.errors import RecordNotFound
from mmsearch.records import ImageFile, Record, printable_path
from mmsearch.store import Store
from mmsearch.store.filters import LIVE, quoted
from mmsearch.store.images import stored_image
from mmsearch.store.parts import parts_by_uid
from mmsearch.store.spaces import live_folder

_RECORD_FIELDS = ("key", "uri", "text")


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """The state of a store, as `Catalog.info` returns it.

    counts: rows by modality. columns: names and types to filter by. indexes: kind, count and bytes
    by target. fusion: the kind that products are made with, and late fusion's weight; None before
    an index. index_behind: rows were written since the index was built; they are searched exactly.
    bytes, free_bytes: of the store, and left on its disk.

    >>> info = catalog.info()
    >>> info.model, info.counts["items"], info.columns["price"]
    ('builtin', 372, 'double')
    """

    folder: str
    model: str
    space: Mapping[str, Any]
    counts: Mapping[str, int]
    sources: tuple[Mapping[str, Any], ...]
    columns: Mapping[str, str]
    indexes: Mapping[str, Mapping[str, Any]]
    fusion: Mapping[str, Any] | None
    index_behind: bool
    bytes: int
    free_bytes: int
    last_run: Mapping[str, Any] | None
    interrupted: bool


def store_info(root: Path) -> StoreInfo:
    """Collects the state of the store. Raises StoreNotFound, CorruptIndex."""
    from mmsearch.generations import folder_size, live_generation

    folder = live_folder(root)
    generation = live_generation(folder)
    store = Store.open(
        folder, snapshot=generation.snapshot(with_failures=True) if generation else None
    )
    manifest = store.manifest
    return StoreInfo(
        folder=printable_path(root),
        model=manifest.model,
        space=asdict(manifest.space),
        counts=store.counts(),
        sources=tuple(
            {"name": e.name, "location": e.location, "items": store.count_source(e.name)}
            for e in manifest.sources
        ),
        columns={name: str(kind) for name, kind in store.column_types().items()},
        indexes={str(t): d for t, d in generation.describe().items()} if generation else {},
        fusion=generation.describe_fusion() if generation else None,
        index_behind=generation is not None and generation.info.lance_version != store.version,
        bytes=folder_size(root),
        free_bytes=shutil.disk_usage(root).free,
        last_run=manifest.last_run,
        interrupted=manifest.running is not None,
    )


def find_record(store: Store, key: str) -> Record:
    """Returns the record of an item whose file is there. Raises RecordNotFound."""
    columns = [*store.public_columns, "_uid", "_image_hash"]
    rows = store.scan(columns, f"{LIVE} AND key = {quoted([key])}").to_pylist()
    if not rows:
        raise RecordNotFound(f"no item {key!r} in {store.folder}; {store.key_hint(key)}")
    row = store.public_record(rows[0])
    uri = str(row.get("uri", ""))
    table = store.parts_of([rows[0]["_uid"]], extra=["_hash"])
    images = [
        ImageFile(part["uri"], stored_image(store.folder, part["uri"], part["_hash"]))
        for part in table.to_pylist()
        if part["kind"] == "image"
    ]
    if uri and "format" in row and not images:
        images = [ImageFile(uri, stored_image(store.folder, uri, rows[0]["_image_hash"]))]
    return Record(
        key=key,
        uri=uri,
        image=images[0].path if images else None,
        text=str(row["text"]) if "text" in row else None,
        metadata={name: value for name, value in row.items() if name not in _RECORD_FIELDS},
        more_images=tuple(images[1:]),
        parts=tuple(parts_by_uid(table).values()),
    )
