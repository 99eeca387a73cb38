"""The parts of a store in a new space, and the vectors of their items."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmsearch.ingest.item_images import combined_hash
from mmsearch.ingest.reembedding import Embedded
from mmsearch.ingest.text_vectors import mean_vector
from mmsearch.store import Store
from mmsearch.store.parts import parts_schema
from mmsearch.store.rewriting import FACTS
from mmsearch.store.rows import numpy_to_vectors, vectors_to_numpy

# What the columns of `vectors_schema` are called in `parts_schema`.
_NAMES = {"_image_hash": "_hash", "_image_vector": "_vector"}
_PLACE = ("item", "kind", "number", "uri")


def new_parts(store: Store, embedded: Embedded, dim: int) -> pa.Table:
    """Returns the parts in the new space, by `parts_schema`; passages get uids from `next_uid`.

    An image that could not be read is left out.
    """
    schema = parts_schema(dim)
    images = embedded.images.filter(pc.is_valid(embedded.images.column("_image_vector")))
    images = images.rename_columns([_NAMES.get(name, name) for name in images.schema.names])
    known = store.known_images(["_uid", *_PLACE])
    if known is not None:
        known = known.filter(pc.is_in(known.column("_uid"), images.column("_uid").combine_chunks()))
        places = known.sort_by("_uid")
        images = images.sort_by("_uid")
        for name in _PLACE:
            images = images.append_column(name, places.column(name))
    columns = [
        images.column(field.name)
        if field.name in images.schema.names
        else pa.nulls(images.num_rows, field.type)
        for field in schema
    ]
    first = store.manifest.next_uid
    uids = pa.array(range(first, first + embedded.passages.num_rows), pa.int64())
    passages = embedded.passages.set_column(0, "_uid", uids)
    return pa.concat_tables([pa.table(columns, schema=schema), passages])


def items_with_means(items: pa.Table, parts: pa.Table, dim: int) -> pa.Table:
    """Returns the items' vectors; items with several images have the mean of theirs, and its hash.

    items: by `vectors_schema`. parts: by `parts_schema`.
    """
    images = parts.filter(pc.equal(parts.column("kind"), "image"))
    if not images.num_rows:
        return items
    images = images.sort_by([("item", "ascending"), ("number", "ascending")])
    vectors = vectors_to_numpy(images.column("_vector").combine_chunks(), dim)
    owners, starts = np.unique(images.column("item").to_numpy(), return_index=True)
    facts = images.select(["number", "width", "height", "format", "_hash"]).to_pylist()
    ends = [*starts[1:].tolist(), len(facts)]
    means, rows = [], []
    for start, end in zip(starts.tolist(), ends, strict=True):
        means.append(mean_vector(list(vectors[start:end])))
        rows.append(_facts(facts[start:end]))
    place = np.searchsorted(owners, items.column("_uid").to_numpy())
    inside = np.minimum(place, len(owners) - 1)
    several = owners[inside] == items.column("_uid").to_numpy()
    take = pa.array(np.where(several, items.num_rows + inside, np.arange(items.num_rows)))
    kind = items.schema.field("_image_vector").type
    new = {"_image_vector": numpy_to_vectors(means, kind)}
    new |= {n: pa.array([row[n] for row in rows], items.schema.field(n).type) for n in FACTS}
    columns = {name: items.column(name) for name in items.schema.names}
    for name, values in new.items():
        columns[name] = pa.concat_arrays([*columns[name].chunks, values]).take(take)
    return pa.table(columns, schema=items.schema)


def _facts(images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the facts of an item with these images, as `index` records them."""
    first = images[0] if images[0]["number"] == 1 else {}
    facts = {name: first.get(name) for name in FACTS}
    combined = combined_hash(image["_hash"] for image in images)
    return {**facts, "_size": None, "_mtime": None, "_ctime": None, "_image_hash": combined}
