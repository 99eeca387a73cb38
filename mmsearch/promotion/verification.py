"""Verifies a new space against the old one before it goes live."""

import pyarrow as pa
import pyarrow.compute as pc

from mmsearch.errors import CorruptIndex
from mmsearch.generations import live_generation, stored_parts, target_counts
from mmsearch.store import Store
from mmsearch.store.rewriting import VECTORS

_SAMPLE = 256


def verify(store: Store, written: Store, vectors: pa.Table) -> None:
    """Compares the new space with the old one. Raises CorruptIndex."""
    faults = []
    ours, theirs = (
        set(each.scan(["_uid"]).column("_uid").to_pylist()) for each in (store, written)
    )
    if ours != theirs:
        faults.append(f"it has {len(theirs):,} rows of {len(ours):,}")
    lost = pc.and_(*(pc.is_null(vectors.column(name)) for name in VECTORS))
    embedded = vectors.num_rows - int(pc.sum(lost).as_py() or 0)
    if len(written) != embedded:
        faults.append(f"{len(written):,} of {embedded:,} items are live in it")
    generation = live_generation(written.folder)
    if generation is None:
        faults.append("it has no index")
    else:
        generation.verify()
        expected = target_counts(written.counts(), stored_parts(written))
        faults += [
            f"its {target} index holds {count:,} vectors of {expected.get(target, 0):,}"
            for target, count in generation.info.counts.items()
            if count != expected.get(target, 0)
        ]
        faults += _vector_faults(written, vectors)
    if faults:
        raise CorruptIndex(
            f"the new space in {written.folder} is invalid: {'; '.join(faults)}; the store was "
            "not changed. Promote again; if that fails too, report it"
        )


def _vector_faults(written: Store, vectors: pa.Table) -> list[str]:
    """Compares the vectors of sampled rows with those computed for them."""
    step = max(1, vectors.num_rows // _SAMPLE)
    sample = vectors.take(pa.array(range(0, vectors.num_rows, step))).sort_by("_uid")
    names = ["_uid", *VECTORS]
    rows = written.rows(sample.column("_uid").to_pylist(), names).sort_by("_uid")
    same = rows.to_pylist() == sample.select(names).to_pylist()
    return [] if same else ["rows have the vectors of others"]
