"""Generations: built or brought up to date from the table, named atomically, old ones removed."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.errors import CorruptIndex
from mmsearch.generations import CURRENT, GenerationInfo, live_generation, refresh_generation
from mmsearch.indexes import IndexMeta, IndexOptions
from mmsearch.progress import NullProgress
from mmsearch.records import Floats, SpaceId, Target
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest
from mmsearch.store.rows import items_schema

DIM = 16
OPTIONS = IndexOptions(kind="hnsw")


def vectors(count: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(8, DIM))
    rows = centres[generator.integers(8, size=count)] + 0.3 * generator.normal(size=(count, DIM))
    return unit(rows.astype(np.float32))


def write(store: Store, start: int, count: int, seed: int) -> None:
    images, texts = vectors(count, seed), vectors(count, seed + 1)
    rows = []
    for position in range(count):
        row = dict.fromkeys(items_schema(DIM).names)
        key = f"a/{start + position}"
        row |= {"key": key, "source": "a", "uri": key, "metadata": {}}
        row |= {"_image_vector": images[position], "_text_vector": texts[position]}
        rows.append(row)
    store.write_rows(rows)


def empty_store(tmp_path: Path) -> Store:
    space = SpaceId("tiny", "a", DIM, "b")
    return Store.create(tmp_path / "store", Manifest("tiny", space))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = empty_store(tmp_path)
    write(store, 0, 400, 1)
    return store


def refresh(store: Store, live: GenerationInfo | None) -> GenerationInfo:
    return refresh_generation(store, live, OPTIONS, NullProgress())


def live_metas(store: Store) -> dict[Target, IndexMeta]:
    live = live_generation(store.folder)
    assert live is not None
    return live.metas()


def found(store: Store, query: Floats) -> set[int]:
    generation = live_generation(store.folder)
    assert generation is not None
    return set(generation.index("image").search(query[None], 20)[1][0].tolist())


def test_few_changes_update_the_live_generation_under_its_means(store: Store) -> None:
    first = refresh(store, None)
    write(store, 395, 20, 50)
    second = refresh(store, first)
    assert second.number == first.number + 1
    assert second.counts == {"image": 415, "text": 415, "product": 415}
    assert second.fusion is first.fusion
    live = set(store.uids().tolist())
    for query in vectors(5, 50):
        assert found(store, query) <= live
    newest = max(live)
    row = store.rows([newest], ["_image_vector"]).column(0)[0].as_py()
    assert newest in found(store, unit(np.asarray([row], dtype=np.float32))[0])


def test_rows_can_be_taken_out_again_and_again(store: Store) -> None:
    info = refresh(store, None)
    for start in (10, 20):
        store.mark_missing([f"a/{start + place}" for place in range(5)], datetime.now(UTC))
        info = refresh(store, info)
        assert found(store, vectors(1, 1)[0]) <= set(store.uids().tolist())
    assert info.number == 3
    assert info.counts["image"] == 390


def test_rows_added_to_cells_leave_their_file_as_it_is(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    options = IndexOptions(kind="ivf-flat", recall=0.8)
    folder = store.folder / "faiss" / "image"
    write_apart(store, 900, 0, seed=1)
    info = refresh_generation(store, None, options, NullProgress())
    for number in (2, 3):
        write_apart(store, 10, 0, seed=5_000 * number)
        info = refresh_generation(store, info, options, NullProgress())
        live = live_generation(store.folder)
        assert live is not None
        live.verify()
        assert len(live.index("image")) == 900 + 10 * (number - 1)
        files = [folder / f"{one:06d}" / "index.faiss" for one in (number - 1, number)]
        assert files[0].samefile(files[1])
        newest = int(store.uids().max())
        row = store.rows([newest], ["_image_vector"]).column(0)[0].as_py()
        assert newest in found(store, unit(np.asarray([row], dtype=np.float32))[0])
    store.mark_missing(["b/1/3"], datetime.now(UTC))
    refresh_generation(store, info, options, NullProgress())
    live = live_generation(store.folder)
    assert live is not None
    live.verify()
    assert len(live.index("image")) == 919
    assert not (folder / "000004" / "late.faiss").exists()


def test_many_changes_build_it_anew(store: Store) -> None:
    first = refresh(store, None)
    write(store, 300, 200, 50)
    second = refresh(store, first)
    assert second.fusion is not first.fusion
    assert second.counts["image"] == 500


def write_apart(store: Store, images: int, texts: int, seed: int) -> None:
    """Rows that have a picture or a text, never both."""
    rows = []
    for position in range(images + texts):
        row = dict.fromkeys(items_schema(DIM).names)
        key = f"b/{seed}/{position}"
        row |= {"key": key, "source": "b", "uri": key, "metadata": {}}
        vector = vectors(1, seed + position)[0]
        row["_image_vector" if position < images else "_text_vector"] = vector
        rows.append(row)
    store.write_rows(rows)


def test_a_small_exact_target_does_not_make_a_large_one_be_built_anew(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    write_apart(store, 900, 90, seed=1)
    options = IndexOptions(kind="ivf-flat", recall=0.8)
    first = refresh_generation(store, None, options, NullProgress())
    metas = live_metas(store)
    assert {target: meta.kind for target, meta in metas.items()} == {
        "image": "ivf-flat",
        "text": "flat",
    }
    # The few texts are asked for nevertheless, every one of them.
    assert metas["image"].tuning is not None
    assert set(metas["image"].tuning.queries) == {"image", "text"}
    write_apart(store, 10, 5, seed=5_000)
    second = refresh_generation(store, first, options, NullProgress())
    assert second.counts == {"image": 910, "text": 95}
    metas = live_metas(store)
    assert (metas["image"].built, metas["image"].changes) == (900, 10)
    assert (metas["text"].count, metas["text"].changes) == (95, 5)
    assert metas["text"].reason.startswith("95 rows")


def test_an_exact_index_that_has_grown_too_large_is_built_anew(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    # Cells need 624 rows to train on.
    write_apart(store, 900, 620, seed=1)
    options = IndexOptions(kind="ivf-flat", recall=0.8)
    first = refresh_generation(store, None, options, NullProgress())
    assert live_metas(store)["text"].kind == "flat"
    write_apart(store, 0, 10, seed=5_000)
    refresh_generation(store, first, options, NullProgress())
    metas = live_metas(store)
    assert {target: meta.kind for target, meta in metas.items()} == {
        "image": "ivf-flat",
        "text": "ivf-flat",
    }
    assert metas["image"].built == 900


def test_a_handful_of_texts_cannot_make_a_trained_index_look_everywhere(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    write_apart(store, 900, 8, seed=1)
    refresh_generation(store, None, IndexOptions(kind="ivf-flat"), NullProgress())
    tuning = live_metas(store)["image"].tuning
    assert tuning is not None
    assert tuning.reached
    assert set(tuning.queries) == {"image"}


def test_the_live_generation_and_the_one_before_are_kept(store: Store) -> None:
    info = None
    for _ in range(4):
        info = refresh(store, info)
    kept = sorted(path.name for path in (store.folder / "faiss" / "image").iterdir())
    assert kept == ["000003", "000004"]
    assert (store.folder / CURRENT).read_text() == "4\n"


def test_a_generation_that_was_not_finished_is_never_seen(store: Store) -> None:
    refresh(store, None)
    (store.folder / "faiss" / "image" / "000002").mkdir()
    generation = live_generation(store.folder)
    assert generation is not None
    assert generation.info.number == 1
    assert refresh(store, generation.info).number == 3


@pytest.mark.parametrize("content", ["", "x", "../1"])
def test_a_damaged_pointer_is_told(store: Store, content: str) -> None:
    refresh(store, None)
    (store.folder / CURRENT).write_text(content)
    with pytest.raises(CorruptIndex, match="rebuild=True"):
        live_generation(store.folder)


def test_a_damaged_index_is_told_by_verify(store: Store) -> None:
    refresh(store, None)
    file = store.folder / "faiss" / "text" / "000001" / "index.faiss"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    generation = live_generation(store.folder)
    assert generation is not None
    with pytest.raises(CorruptIndex):
        generation.verify()


def test_another_recall_or_memory_builds_it_anew_and_is_kept(store: Store) -> None:
    first = refresh(store, None)
    write(store, 395, 10, 50)
    wanted = IndexOptions(kind="hnsw", recall=0.8, memory_bytes=10**9)
    refresh_generation(store, first, wanted, NullProgress())
    live = live_generation(store.folder)
    assert live is not None
    assert live.info.options == wanted
    assert {meta.changes for meta in live.metas().values()} == {0}
