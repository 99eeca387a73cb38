"""Shelves: stores with real vectors, one a test or one for the tests of a module."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mmsearch.records import SpaceId
from tests.shelves import SPACE, Item, Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "store")


@pytest.fixture(scope="module")
def make_shelf(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Shelf]:
    """make_shelf(items, kind="auto"): a shelf that tests of a module share and only read."""

    def make(items: Sequence[Item], kind: str = "auto", space: SpaceId = SPACE) -> Shelf:
        shelf = Shelf(tmp_path_factory.mktemp("shelf") / "store", space)
        shelf.write(items)
        shelf.build(kind)
        return shelf

    return make
