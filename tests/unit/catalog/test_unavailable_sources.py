"""Sources that are gone, empty or in part unreadable are reported and left as they are."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mmsearch
from mmsearch.errors import ConfigError, InputError, SourceUnavailable
from mmsearch.progress import NullProgress


class Notes(NullProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def paint(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def opened(tmp_path: Path, model: Path, **settings: Any) -> mmsearch.Catalog:
    return mmsearch.open(tmp_path / "store", model=str(model), device="cpu", workers=1, **settings)


@pytest.fixture
def catalog(tmp_path: Path, tiny_model: Path) -> mmsearch.Catalog:
    """A store of two sources: one/a.png, and two/b.png and two/c.png."""
    paint(tmp_path / "one" / "a.png", 1)
    paint(tmp_path / "two" / "b.png", 2)
    paint(tmp_path / "two" / "c.png", 3)
    catalog = opened(tmp_path, tiny_model)
    catalog.index(tmp_path / "one", tmp_path / "two")
    return catalog


@pytest.mark.parametrize("state", ["gone", "empty"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "all of the store"])
def test_one_source_is_left_alone_and_the_other_is_read(
    catalog: mmsearch.Catalog, tmp_path: Path, state: str, named: bool
) -> None:
    shutil.rmtree(tmp_path / "one")
    if state == "empty":
        (tmp_path / "one").mkdir()
    paint(tmp_path / "two" / "new.png", 4)
    notes = Notes()
    locations = [tmp_path / "one", tmp_path / "two"] if named else []
    report = catalog.index(*locations, prune=True, progress=notes)
    assert (report.added, report.unchanged, report.missing, report.pruned) == (1, 2, 0, 0)
    (failure,) = report.failures
    assert (failure.key, failure.stage) == ("one", "source")
    assert any("drop_source('one')" in line for line in notes.lines)
    assert "one/a.png" in catalog
    assert [failure.key for failure in catalog.failures()] == ["one"]
    paint(tmp_path / "one" / "a.png", 1)
    assert catalog.index().failures == ()
    assert catalog.failures() == []


def test_a_store_of_one_source_that_is_gone_is_an_error(tmp_path: Path, tiny_model: Path) -> None:
    paint(tmp_path / "one" / "a.png", 1)
    catalog = opened(tmp_path, tiny_model)
    catalog.index(tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    with pytest.raises(SourceUnavailable, match=r"one does not exist.*drop_source\('one'\)"):
        catalog.index()


def test_a_renamed_folder_is_a_move_and_the_old_source_can_be_dropped(
    catalog: mmsearch.Catalog, tmp_path: Path
) -> None:
    (tmp_path / "one").rename(tmp_path / "first")
    assert catalog.index(tmp_path / "first").moved == 1
    assert [failure.key for failure in catalog.index().failures] == ["one"]
    assert catalog.drop_source("one") == 0
    assert catalog.index().failures == ()


def test_a_new_location_that_is_mistyped_is_refused_before_anything_is_read(
    catalog: mmsearch.Catalog, tmp_path: Path
) -> None:
    paint(tmp_path / "two" / "new.png", 4)
    with pytest.raises(InputError, match="did you mean 'two'"):
        catalog.index(tmp_path / "two", tmp_path / "twoo")
    assert len(catalog) == 3


def test_an_empty_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="must name a folder"):
        mmsearch.open("")
    monkeypatch.setenv("MMSEARCH_STORE", "")
    with pytest.raises(ConfigError, match="MMSEARCH_STORE: store must name a folder"):
        mmsearch.open()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; a store is a folder"):
        mmsearch.open(tmp_path / "file")
