"""A store moves to another model and back: real models, real tables, a kill in the middle."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import mmsearch
from mmsearch.catalog import Catalog
from mmsearch.cli.app import app
from mmsearch.errors import InputError, StoreLocked
from mmsearch.finetuning.report.results import Change, Comparison
from mmsearch.records import Hit
from mmsearch.sample import write_sample
from mmsearch.store import Store
from mmsearch.store.hidden import change_hidden, read_hidden
from mmsearch.store.spaces import read_spaces
from tests.conftest import MakeModel

ITEMS = 24


@pytest.fixture(scope="module")
def other_model(make_model: MakeModel) -> Path:
    """Of another dimension, so that no vector of the first model can be taken for one of it."""
    return make_model(embed_dim=32)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A shop folder: part of the sample, a source that was dropped, a failure, hidden rows."""
    folder = tmp_path_factory.mktemp("shop")
    write_sample(folder / "goods")
    table = folder / "goods" / "products.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))[:ITEMS]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "loose").mkdir()
    (folder / "loose" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    (folder / "loose" / "note.txt").write_text("a note about red apples")
    (folder / "old").mkdir()
    Image.new("RGB", (40, 40), "red").save(folder / "old" / "red.png")
    catalog = _open(folder, model=str(tiny_model))
    catalog.index(table, folder / "loose", folder / "old")
    catalog.drop_source("old")
    change_hidden(catalog.folder, hide=[3])
    return folder


@pytest.fixture
def shop(indexed: Path, tmp_path: Path) -> Path:
    """A store of one's own over the same catalog."""
    folder = tmp_path / "shop"
    folder.mkdir()
    shutil.copytree(indexed / "store", folder / "store")
    return folder


def _open(folder: Path, **settings: Any) -> Catalog:
    return mmsearch.open(folder / "store", device="cpu", workers=1, **settings)


def _hits(catalog: Catalog) -> list[Hit]:
    return catalog.search("red apple", k=8) + catalog.search(like="products/red-apple", k=4)


def _rows(store: Store, *left_out: str) -> list[dict[str, Any]]:
    table = store.scan([name for name in store.metadata_columns if name not in left_out])
    names = [*table.column_names, "_uid", "key", "source", "uri", "text", "width", "_image_hash",
             "_text_hash", "_row_hash", "_missing", "_indexed"]  # fmt: skip
    return sorted(store.scan(names).to_pylist(), key=lambda row: int(row["_uid"]))


def test_everything_but_the_vectors_goes_over_and_back(shop: Path, other_model: Path) -> None:
    catalog = _open(shop)
    before, rows = _hits(catalog), _rows(Store.open(catalog.folder))
    ledger = catalog.failures()
    done = catalog.promote(str(other_model))
    assert (done.items, done.images, done.texts) == (ITEMS + 1, ITEMS, ITEMS + 1)
    with pytest.warns(DeprecationWarning, match=r"Promotion\.pictures is now Promotion\.images"):
        assert done.pictures == done.images
    assert done.failures == ()

    live = Store.open(catalog.folder)
    assert live.manifest.model == str(other_model)
    assert live.dim == 32
    assert _rows(live) == rows
    assert read_hidden(catalog.folder) == {3}
    assert catalog.failures() == ledger
    assert [f["key"] for f in ledger] == ["loose/torn.png"]
    assert [source.name for source in live.manifest.sources] == ["products", "loose"]
    after = _hits(catalog)
    assert catalog.search(keyword="tomatoes")[0].key == "products/two-tomatoes"
    assert {hit.similarity for hit in after} != {hit.similarity for hit in before}
    assert catalog.index().unchanged == ITEMS + 1, "nothing is encoded again"
    assert catalog.undo_prune() == 1, "what was pruned before can still be brought back"

    back = catalog.rollback()
    assert (back.model, back.items) == (rows and Store.open(catalog.folder).manifest.model, 25)
    assert _hits(catalog) == before, "bit by bit"
    assert catalog.rollback().model == str(other_model)
    assert [hit.key for hit in _hits(catalog)] == [hit.key for hit in after]


def test_a_reader_keeps_the_space_that_it_opened(shop: Path, other_model: Path) -> None:
    reader, writer = _open(shop), _open(shop)
    before = _hits(reader)
    writer.promote(str(other_model))
    assert _hits(reader) == before
    assert _hits(writer) != before
    reader.reload()
    assert _hits(reader) == _hits(writer)


def test_nobody_writes_into_a_space_that_is_no_longer_live(shop: Path, other_model: Path) -> None:
    catalog = _open(shop)
    late = Store.open(catalog.folder)
    catalog.promote(str(other_model))
    changed = pytest.raises(StoreLocked, match=r"the model of .* has changed")
    with changed, late.writing():
        pass


def test_the_space_before_the_last_one_is_taken_out(
    shop: Path, other_model: Path, make_model: MakeModel
) -> None:
    catalog = _open(shop)
    catalog.promote(str(other_model))
    catalog.promote(str(make_model(embed_dim=16)))
    spaces = read_spaces(catalog.root)
    assert (spaces.live, spaces.previous) == ("spaces/000002", "spaces/000001")
    assert not (catalog.root / "lance").exists()
    assert len(_hits(_open(shop))) == 12
    catalog.rollback()
    assert Store.open(catalog.folder).manifest.model == str(other_model)


def test_what_came_since_is_indexed_after_going_back(
    shop: Path, other_model: Path, tmp_path: Path
) -> None:
    catalog = _open(shop)
    catalog.promote(str(other_model))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "note.txt").write_text("something new")
    catalog.index(tmp_path / "new")
    back = catalog.rollback(dry_run=True)
    assert (back.lacking, back.gone, back.dry_run) == (1, 0, True)
    assert catalog.search("x", k=30)[0].similarity, "a dry run changes nothing"
    assert Store.open(catalog.folder).dim == 32
    catalog.rollback()
    assert catalog.index().added == 1


def test_a_run_that_was_killed_goes_on(shop: Path, other_model: Path) -> None:
    before = _hits(_open(shop))
    run = subprocess.Popen(
        [sys.executable, "-m", "mmsearch", "models", "--promote", str(other_model)],
        cwd=shop,
        env={
            **os.environ,
            "MMSEARCH_STORE": str(shop / "store"),
            "MMSEARCH_DEVICE": "cpu",
            "MMSEARCH_BATCH_SIZE": "1",
            "MMSEARCH_WORKERS": "1",
            "MMSEARCH_COMMIT_SECONDS": "0.001",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    build = shop / "store" / "spaces" / "000001" / "build"
    while len(list(build.glob("*.arrow"))) < 5:
        assert run.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    catalog = _open(shop)
    assert _hits(catalog) == before, "readers see the old space"
    done = catalog.promote(str(other_model))
    assert 5 <= done.resumed <= done.items
    assert done.failures == ()
    assert not build.exists()

    resumed = _hits(catalog)
    catalog.rollback()
    shutil.rmtree(shop / "store" / "spaces")
    (shop / "store" / "spaces.json").unlink()
    catalog.promote(str(other_model))
    straight = _hits(catalog)
    assert [hit.key for hit in resumed] == [hit.key for hit in straight], "as if never killed"
    assert [hit.similarity for hit in resumed] == pytest.approx(
        [hit.similarity for hit in straight], abs=1e-3
    )


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are POSIX")
def test_a_full_disk_is_said_and_nothing_is_lost(shop: Path, other_model: Path) -> None:
    import resource

    catalog = _open(shop)
    before = _hits(catalog)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write vectors to .*; make room, and run"):
            catalog.promote(str(other_model))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert _hits(catalog) == before
    assert catalog.promote(str(other_model)).failures == ()


def _comparison(**changes: Any) -> Comparison:
    fine = Change("text-to-image", "recall@10", 0.5, 0.6, 0.05, 0.15, 0.001)
    general = {"accuracy by title": 0.4}
    made = Comparison("tiny", "a", "b", (fine,), general, dict(general), 0.5)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("comparison", "reason"),
    [
        (
            _comparison(changes=(Change("zero-shot", "accuracy", 0.5, 0.4, -0.2, -0.02, 0.01),)),
            r"zero-shot accuracy fell from 0\.500 to 0\.400",
        ),
        (
            _comparison(general_after={"accuracy by title": 0.39}),
            r"the general score fell from 0\.400 to 0\.390, 97\.5% of before",
        ),
    ],
)
def test_a_regression_is_refused_unless_forced(
    shop: Path, other_model: Path, tmp_path: Path, comparison: Comparison, reason: str
) -> None:
    worse = tmp_path / "worse"
    shutil.copytree(other_model, worse)
    comparison.save(worse)
    catalog = _open(shop)
    with pytest.raises(InputError, match=reason):
        catalog.promote(str(worse))
    assert not (catalog.root / "spaces").exists()
    assert len(catalog.promote(str(worse), force=True, dry_run=True).overruled) == 1


def test_pictures_that_are_gone_stop_it_unless_forced(
    indexed: Path, tmp_path: Path, tiny_model: Path, other_model: Path
) -> None:
    for name in ("red", "green", "blue"):
        Image.new("RGB", (40, 40), name).save(tmp_path / f"{name}.png")
    catalog = _open(tmp_path, model=str(tiny_model))
    catalog.index(tmp_path)
    catalog = _open(tmp_path)
    (tmp_path / "red.png").unlink()
    with pytest.raises(InputError, match=r"1 images cannot be read, first: .*is a drive not"):
        catalog.promote(str(other_model))
    assert Store.open(catalog.folder).dim == 24
    done = catalog.promote(str(other_model), force=True)
    key = f"{tmp_path.name}/red.png"
    assert (done.resumed, [f.key for f in done.failures]) == (2, [key])
    assert Store.open(catalog.folder).counts()["items"] == 2
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    report = catalog.index()
    assert (report.restored, report.unchanged, report.decoded) == (1, 2, 1)


def test_the_command_says_what_it_does(
    shop: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMSEARCH_STORE", str(shop / "store"))
    monkeypatch.setenv("MMSEARCH_DEVICE", "cpu")
    monkeypatch.setenv("MMSEARCH_WORKERS", "1")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["models", *arguments])

    assert "there is nothing to go back to" in str(run("--rollback").exception)
    refused = run("--rollback", "--check", "x").exception
    assert "--check and --rollback exclude each other" in str(refused)
    dry = run("--promote", str(other_model), "--dry-run", "--json")
    assert json.loads(dry.stdout)["promotion"]["bytes_needed"] > 0
    assert not (shop / "store" / "spaces").exists()
    done = run("--promote", str(other_model))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"the store now uses '{other_model}' for 25 items\n"
    assert "MB on disk" in done.stderr
    assert "already; nothing to do" in str(run("--promote", str(other_model)).exception)
    back = run("--rollback", "--json")
    assert json.loads(back.stdout)["rollback"]["items"] == 25
