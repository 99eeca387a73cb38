"""Stores with real vectors, one a test or one for the tests of a module."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mmsearch.records import SpaceId
from tests.support.vector_stores import SPACE, ItemRow, StoreBuilder


@pytest.fixture
def builder(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path / "store")


@pytest.fixture(scope="module")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., StoreBuilder]:
    """make_store(items, kind="auto"): a builder that tests of a module share and only read."""

    def make(items: Sequence[ItemRow], kind: str = "auto", space: SpaceId = SPACE) -> StoreBuilder:
        builder = StoreBuilder(tmp_path_factory.mktemp("builder") / "store", space)
        builder.write(items)
        builder.build(kind)
        return builder

    return make
