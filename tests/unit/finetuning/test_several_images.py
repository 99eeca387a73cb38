"""Further images of an item are further positives of its texts, in the same split."""

from pathlib import Path

import pytest
from PIL import Image

from mmsearch.finetuning.data.training_set import read_training_set
from mmsearch.progress import NullProgress
from tests.support.part_stores import Shop


@pytest.mark.parametrize("group", [None, "colour"])
def test_each_image_is_a_training_item_of_one_group(tmp_path: Path, group: str | None) -> None:
    shop = Shop(tmp_path)
    for number in range(6):
        for view in range(3):
            pixels = Image.new("RGB", (24, 24), (40 * number, 90 * view, 10))
            pixels.save(tmp_path / f"{number}-{view}.png")
        names = [f"{number}-{view}.png" for view in range(3)]
        shop.sells(str(number), *names, text=f"Shoe {number}", colour=f"colour {number % 3}")
    items = read_training_set(
        [shop], progress=NullProgress(), group=group, near_duplicates=False
    ).items
    assert len(items) == 18
    assert [item.key for item in items[:3]] == ["shop/0", "shop/0#image=2", "shop/0#image=3"]
    assert {item.image for item in items} == set(tmp_path.iterdir())
    assert all(item.texts == items[place // 3 * 3].texts for place, item in enumerate(items))
    for place in range(0, 18, 3):
        assert len({item.group for item in items[place : place + 3]}) == 1
    assert len({item.group for item in items}) == (3 if group else 6)
