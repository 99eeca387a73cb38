"""A store of format 1 is searched as it is, and migrated by the next run of index.

`tests/golden/stores/v1` was written by version 1: four images with captions and two texts.
"""

import json
import shutil
from pathlib import Path

import pytest

import mmsearch
from mmsearch.errors import CorruptIndex
from mmsearch.store import Store, read_manifest
from mmsearch.store.manifest import FORMAT, OLDEST_FORMAT
from mmsearch.store.migrations import BACKUP, STEPS, migrate
from mmsearch.store.word_forms import COLUMN

GOLDEN = Path(__file__).parents[2] / "golden" / "stores" / "v1"
HITS: dict[str, list[tuple[str, float]]] = json.loads((GOLDEN / "hits.json").read_text("utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the store, whose source is beside it."""
    shutil.copytree(GOLDEN / "catalog", tmp_path / "catalog")
    store = shutil.copytree(GOLDEN / "store", tmp_path / "store")
    manifest = json.loads((store / "manifest.json").read_text("utf-8"))
    manifest["sources"][0]["location"] = str(tmp_path / "catalog")
    (store / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return store


def require_same_hits(folder: Path) -> None:
    catalog = mmsearch.open(folder, device="cpu")
    assert len(HITS) == 2
    for query, expected in HITS.items():
        hits = catalog.search(query, k=len(expected))
        assert [hit.key for hit in hits] == [key for key, _ in expected]
        for hit, (_, similarity) in zip(hits, expected, strict=True):
            assert hit.similarity == pytest.approx(similarity, abs=2e-3)


def test_there_is_a_step_from_every_format() -> None:
    assert list(STEPS) == list(range(OLDEST_FORMAT, FORMAT))


def test_a_store_of_format_1_is_searched_and_left_as_it_is(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    require_same_hits(folder)
    assert (folder / "manifest.json").read_bytes() == before
    assert not (folder / BACKUP).exists()


def test_indexing_migrates_and_encodes_nothing(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    vectors = Store.open(folder).scan(["_uid", "_image_vector", "_text_vector"]).sort_by("_uid")
    catalog = mmsearch.open(folder, device="cpu")
    report = catalog.index()
    assert (report.added, report.missing, report.failures) == (0, 0, ())
    assert (report.decoded, report.passages, report.image_parts) == (0, 0, 0)
    store = Store.open(folder)
    assert store.manifest.format == FORMAT
    assert (folder / BACKUP / "format-1" / "manifest.json").read_bytes() == before
    assert store.scan(["_uid"], f"{COLUMN} IS NULL").num_rows == 0
    after = store.scan(["_uid", "_image_vector", "_text_vector"]).sort_by("_uid")
    assert after.equals(vectors)
    require_same_hits(folder)
    assert catalog.search(keyword="yell", k=1)[0].key == "catalog/yellow-square.png"


def test_a_retry_splits_the_texts_that_were_cut(folder: Path) -> None:
    catalog = mmsearch.open(folder, device="cpu")
    report = catalog.index(retry=True)
    assert report.decoded == 0
    assert report.passages > 2
    store = Store.open(folder)
    owners = set(store.part_items("passage")[1].tolist())
    keys = store.rows(sorted(owners), ["key"]).column("key").to_pylist()
    assert keys == ["catalog/long.txt"]
    assert catalog.index(retry=True).unchanged == 6


def test_an_interrupted_migration_is_done_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(folder)

    def killed(**changes: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, store.writing():
        patch.setattr(store, "update_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            migrate(store, print)
    assert read_manifest(folder).format == 1
    require_same_hits(folder)
    notes: list[str] = []
    with store.writing():
        migrate(store, notes.append)
        migrate(store, notes.append)
    assert len(notes) == 1
    assert "format 1 to 2" in notes[0]
    require_same_hits(folder)


def test_a_newer_format_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": FORMAT + 1}), "utf-8")
    with pytest.raises(CorruptIndex, match=f"has format {FORMAT + 1}, .* formats 1 to {FORMAT}"):
        mmsearch.open(folder).search("a red circle")
