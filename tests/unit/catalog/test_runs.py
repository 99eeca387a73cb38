"""What a run of index leaves in the manifest when it ends, is refused, or is interrupted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mmsearch
from mmsearch.errors import InputError
from mmsearch.progress import NullProgress
from mmsearch.store.manifest import Manifest, read_manifest


class Interrupting(NullProgress):
    """Ctrl-C once the first item is done."""

    def advance(self, count: int) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def goods(tmp_path: Path) -> Path:
    folder = tmp_path / "goods"
    folder.mkdir()
    chance = np.random.default_rng(3)
    for number in range(4):
        pixels = chance.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def opened(goods: Path, model: Path, **settings: Any) -> mmsearch.Catalog:
    return mmsearch.open(
        goods.parent / "store", model=str(model), device="cpu", workers=1, batch_size=1, **settings
    )


def manifest(goods: Path) -> Manifest:
    return read_manifest(goods.parent / "store")


def test_a_run_that_ends_remembers_its_settings(goods: Path, tiny_model: Path) -> None:
    report = opened(goods, tiny_model, recall=0.9, image_weight=0.3).index(goods)
    written = manifest(goods)
    assert (written.recall, written.image_weight, written.running) == (0.9, 0.3, None)
    assert written.last_run is not None
    assert written.last_run["added"] == report.added == 4
    opened(goods, tiny_model).index()
    assert (manifest(goods).recall, manifest(goods).image_weight) == (0.9, 0.3)


def test_skipped_formats_are_kept_until_their_source_is_read_again(
    goods: Path, tiny_model: Path
) -> None:
    (goods / "plan.pdf").write_bytes(b"%PDF")
    (goods / "film.mov").write_bytes(b"film")
    catalog = opened(goods, tiny_model)
    report = catalog.index(goods)
    assert report.skipped == {"goods": {".pdf": 1, ".mov": 1}}
    notes = goods.parent / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("a note")
    catalog.index(notes)
    last_run = catalog.info().last_run
    assert last_run is not None
    assert last_run["skipped"] == {"goods": {".pdf": 1, ".mov": 1}}
    (goods / "plan.pdf").unlink()
    (goods / "film.mov").unlink()
    catalog.index()
    assert opened(goods, tiny_model).info().last_run["skipped"] == {}  # type: ignore[index]


def test_an_interrupted_run_is_completed_with_its_settings(goods: Path, tiny_model: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        opened(goods, tiny_model, recall=0.9).index(goods, progress=Interrupting())
    stopped = manifest(goods)
    assert stopped.recall == 0.95
    assert stopped.running is not None
    assert opened(goods, tiny_model).info().interrupted
    report = opened(goods, tiny_model).index()
    assert report.resumed + report.added == 4
    assert (manifest(goods).recall, manifest(goods).running) == (0.9, None)


def test_a_refused_request_is_not_asked_of_the_next_run(goods: Path, tiny_model: Path) -> None:
    with pytest.raises(InputError, match="memory"):
        opened(goods, tiny_model, index="flat", memory=10).index(goods)
    assert opened(goods, tiny_model).index().added == 4
    assert (manifest(goods).index, manifest(goods).memory) == ("auto", 0)


def test_a_dry_run_leaves_nothing(goods: Path, tiny_model: Path) -> None:
    assert opened(goods, tiny_model, recall=0.9).index(goods, dry_run=True).added == 4
    assert not (goods.parent / "store").exists()
