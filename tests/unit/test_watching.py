"""A watcher in a thread of this process: what happens to files is in the store a moment later."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mmsearch
from mmsearch.config import Settings, read_settings
from mmsearch.watching import Update, Watcher
from tests.unit.fetching.test_client import png

DEADLINE_SECONDS = 300


class Running:
    """A watcher's updates and notes so far."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root, self.updates, self.notes = root, list[Update](), list[str]()
        self.watcher = Watcher(root, settings, self.notes.append)

    def keys(self) -> set[str]:
        """The keys of the store's items, without what is missing."""
        try:
            return set(mmsearch.open(self.root))
        except mmsearch.MMSearchError:
            return set()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.updates, self.notes, self.keys())
            time.sleep(0.1)


@pytest.fixture
def watching(tiny_model: Path, tmp_path: Path) -> Callable[..., object]:
    @contextmanager
    def run(*locations: Path, **settings: float) -> Iterator[Running]:
        given = {"model": str(tiny_model), "device": "cpu", "watch_delay": 0.3, **settings}
        running = Running(tmp_path / "store", read_settings(**given))

        def collect() -> None:
            for update in running.watcher.run(locations):
                running.updates.append(update)

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.watcher.stop()
            thread.join(timeout=60)
        assert not thread.is_alive()

    return run


def names(*files: str) -> set[str]:
    return {f"photos/{file}" for file in files}


def fill(folder: Path, *files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for file in files:
        (folder / file).write_bytes(png((sum(file.encode()) % 256, len(file), 7)))
    return folder


def test_a_folder(watching: Callable[..., object], tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", "a.png", "b.png")
    with watching(photos) as running:  # type: ignore[attr-defined]
        running.wait_for(lambda: running.keys() == names("a.png", "b.png"))
        fill(photos, "c.png")
        running.wait_for(lambda: running.keys() == names("a.png", "b.png", "c.png"))
        (photos / "a.png").rename(photos / "moved.png")
        running.wait_for(lambda: running.keys() == names("moved.png", "b.png", "c.png"))
        running.wait_for(lambda: sum(update.report.moved for update in running.updates) == 1)
        (photos / "b.png").write_bytes(png((1, 2, 3)))
        running.wait_for(lambda: sum(each.report.updated for each in running.updates) == 1)
        (photos / "c.png").unlink()
        running.wait_for(lambda: running.keys() == names("moved.png", "b.png"))
        before = len(running.updates)
        burst = [f"burst-{number}.png" for number in range(200)]
        fill(photos, *burst)
        running.wait_for(lambda: running.keys() == names("moved.png", "b.png", *burst))
        # A burst is few updates.
        assert len(running.updates) - before < 20


def test_a_folder_that_is_replaced_or_goes_and_returns(
    watching: Callable[..., object], tmp_path: Path
) -> None:
    photos = fill(tmp_path / "photos", "a.png", "b.png")
    with watching(photos) as running:  # type: ignore[attr-defined]
        running.wait_for(lambda: len(running.keys()) == 2)
        photos.rename(tmp_path / "aside")
        running.wait_for(lambda: any("does not exist" in note for note in running.notes))
        # Its items are left as they are.
        assert len(running.keys()) == 2
        fill(tmp_path / "new", "b.png", "c.png").rename(photos)
        running.wait_for(lambda: running.keys() == names("b.png", "c.png"))
        fill(photos, "d.png")
        running.wait_for(lambda: running.keys() == names("b.png", "c.png", "d.png"))
        shutil.rmtree(photos)
        fill(photos, "e.png")
        running.wait_for(lambda: running.keys() == names("e.png"))


def test_a_table(watching: Callable[..., object], tmp_path: Path) -> None:
    table = tmp_path / "shop.csv"
    table.write_text("id,title\n1,Red apple\n2,Green pear\n", encoding="utf-8")
    with watching(tmp_path / "shop.csv") as running:  # type: ignore[attr-defined]
        running.wait_for(lambda: running.keys() == {"shop/1", "shop/2"})
        # As editors save: a new file takes the place of the old one.
        other = tmp_path / "other.csv"
        other.write_text("id,title\n1,Red apple\n3,Blue plum\n", encoding="utf-8")
        other.replace(table)
        running.wait_for(lambda: running.keys() == {"shop/1", "shop/3"})
        running.wait_for(lambda: running.updates[-1].sources == ("shop",))


def test_every_source_is_looked_at_from_time_to_time(
    watching: Callable[..., object], tmp_path: Path
) -> None:
    photos = fill(tmp_path / "photos", "a.png")
    with watching(photos, watch_interval=1.5) as running:  # type: ignore[attr-defined]
        running.wait_for(lambda: len(running.updates) >= 4)
        assert {update.report.unchanged for update in running.updates[1:]} == {1}
