"""A change of model embeds the images of items again, and splits texts for the new model."""

from pathlib import Path

import numpy as np
import pytest

from mmsearch.config import read_settings
from mmsearch.encoders.registry import load_encoder
from mmsearch.ingest.index_update import update_indexes
from mmsearch.progress import NullProgress
from mmsearch.promotion import promote_store
from mmsearch.store import Store
from mmsearch.store.spaces import live_folder
from tests.conftest import MakeModel
from tests.support.part_stores import STORY, Bench


@pytest.fixture
def bench(tmp_path: Path, tiny_model: Path) -> Bench:
    """One item of three images, one of which is gone since, and a story."""
    bench = Bench(tmp_path, load_encoder(str(tiny_model), device="cpu"))
    bench.shop.sells("shoe", "1.png", "2.png", "3.png", text="A shoe")
    bench.shop.sells("hat", "4.png")
    bench.shop.sells("story", text=STORY)
    bench.index()
    with bench.store.writing():
        bench.store.update_manifest(model=str(tiny_model))
        update_indexes(bench.store, bench.settings, NullProgress())
    (bench.shop.root / "3.png").unlink()
    return bench


def test_parts_are_embedded_again(bench: Bench, make_model: MakeModel) -> None:
    model = make_model(embed_dim=32, text_cfg={"context_length": 32})
    encoder = load_encoder(str(model), device="cpu")
    before = {kind: bench.parts(key, kind) for key, kind in _ITEMS}
    row = bench.row()
    settings = read_settings(device="cpu", workers=1)
    promoted = promote_store(bench.store.folder, str(model), settings, NullProgress(), force=True)
    assert [failure.key for failure in promoted.failures] == ["shop/shoe#image=3"]
    bench.store = Store.open(live_folder(bench.store.folder))
    assert bench.store.dim == 32
    images, passages = (bench.parts(key, kind) for key, kind in _ITEMS)
    assert [image["_uid"] for image in images] == [each["_uid"] for each in before["image"][:2]]
    assert [image["uri"] for image in images] == [each["uri"] for each in before["image"][:2]]
    assert 1 < len(passages) < len(before["passage"])
    assert encoder.overlong([passage["text"] for passage in passages]) == []
    expected = encoder.encode_texts([passage["text"] for passage in passages])
    np.testing.assert_allclose([p["_vector"] for p in passages], expected, atol=2e-3)
    uids = [passage["_uid"] for passage in passages]
    assert min(uids) > max(part["_uid"] for part in before["passage"])
    assert bench.store.manifest.next_uid > max(uids)
    after = bench.row()
    mean = np.mean([np.array(image["_vector"], np.float32) for image in images], axis=0)
    np.testing.assert_allclose(after["_image_vector"], mean / np.linalg.norm(mean), atol=3e-3)
    assert after["_uid"] == row["_uid"]
    assert (after["width"], after["_size"]) == (row["width"], None)
    assert bench.store.counts()["image_parts"] == 2


_ITEMS = (("shop/shoe", "image"), ("shop/story", "passage"))
