"""Whole exports of shops and data sets are read right without any option."""

from pathlib import Path

import pytest

from mmsearch.records import Failure, Record
from mmsearch.sources import SourceOptions, open_source
from mmsearch.sources.first_rows import require_images
from tests.support.exports import EXPORTS, Export, Maker
from tests.support.table_layouts import LAYOUTS, Layout, write_layout


def check(export: Export) -> None:
    """Holds the items of an export against what was written."""
    options = SourceOptions(**export.options)  # type: ignore[arg-type]
    source = open_source(export.location, name="s", options=options)
    require_images(source)
    found = list(source)
    assert [item for item in found if isinstance(item, Failure)] == []
    read = {}
    for item in found:
        assert isinstance(item, Record)
        key = item.key.removeprefix("s/")
        assert item.image is not None, f"{key} has no image"
        paths = [item.image, *(image.path for image in item.more_images)]
        assert all(path.is_file() for path in paths)
        text, names = export.items[key]
        assert text in (item.text or "")
        read[key] = (text, names if names == ["?"] else [path.stem for path in paths])
    assert read == export.items


@pytest.mark.parametrize("make", EXPORTS, ids=lambda make: make.__name__)
def test_exports_are_read_without_options(make: Maker, tmp_path: Path) -> None:
    check(make(tmp_path / "export"))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_tables_of_other_languages_and_orders(layout: Layout, tmp_path: Path) -> None:
    check(write_layout(tmp_path / "export", layout))
