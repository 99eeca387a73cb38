"""Duplicates among the images of items with several: found between items, never planned."""

from pathlib import Path

import pytest

from mmsearch.dedup.actions.plan import make_plan
from mmsearch.dedup.find import find_duplicates
from mmsearch.dedup.options import DedupOptions
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress
from mmsearch.store import Store
from tests.support.part_stores import Bench


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return load_encoder(str(tiny_model), device="cpu")


@pytest.fixture
def bench(tmp_path: Path, encoder: Encoder) -> Bench:
    """Two products that share an image, one of them with that image twice, and a copy of it."""
    bench = Bench(tmp_path, encoder)
    bench.draw(2, "2-again.png")
    bench.draw(2, "2-alone.png")
    bench.draw(2, "2-twice.png")
    bench.shop.sells("boot", "1.png", "2.png", "2-twice.png", text="A boot")
    bench.shop.sells("shoe", "3.png", "2-again.png", text="A shoe")
    bench.shop.sells("photo", "2-alone.png")
    bench.shop.sells("hat", "4.png", text="A hat")
    bench.index()
    return bench


@pytest.mark.parametrize("tiers", [("bytes", "text-same"), ("bytes", "pixels", "similar")])
def test_the_same_image_in_two_products_is_reported(bench: Bench, tiers: tuple[str, ...]) -> None:
    options = DedupOptions(tiers=tiers, similar=0.9)  # type: ignore[arg-type]
    report = find_duplicates(bench.store.folder, options, MediaBounds(), NullProgress())
    assert report.items == 4
    (group,) = [group for group in report.groups if group.family == "picture"]
    keys = {item.key for item in group.items}
    assert {"shop/shoe#image=2", "shop/photo"} <= keys
    assert keys & {"shop/boot#image=2", "shop/boot#image=3"}
    store = Store.open(bench.store.folder)
    assert [entry.remove.key for entry in make_plan(report.groups, store)] == []


def test_images_of_one_item_are_no_duplicates(bench: Bench) -> None:
    bench.shop.records = [each for each in bench.shop.records if each.key == "shop/boot"]
    bench.index()
    options = DedupOptions(tiers=("bytes", "pixels"))
    report = find_duplicates(bench.store.folder, options, MediaBounds(), NullProgress())
    assert (report.items, report.groups) == (1, ())
