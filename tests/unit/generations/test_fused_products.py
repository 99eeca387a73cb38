"""A generation keeps the fusion it was built with: copy, means, updates, rebuilds for another."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import CorruptIndex
from mmsearch.fusion import AttentionFusion, Fusion, identity
from mmsearch.generations import GenerationInfo, live_generation, refresh_generation
from mmsearch.indexes import IndexOptions
from mmsearch.progress import NullProgress
from mmsearch.query import Query, Term
from mmsearch.records import Floats
from tests.support.vector_stores import DIM, StoreBuilder, item_rows, two_cones

COPIES = "faiss/*.fusion.safetensors"


def attention(seed: int) -> AttentionFusion:
    random = np.random.default_rng(seed)

    def numbers(*shape: int) -> Floats:
        return random.normal(size=shape).astype(np.float32)

    means = {"image": 0.1 * numbers(DIM), "text": 0.1 * numbers(DIM)}
    parts = [numbers(4), numbers(4, DIM), numbers(2, 4), numbers(2, 3, DIM), numbers(2, DIM, 3)]
    parts.append(0.1 * numbers(2, DIM))
    return AttentionFusion(means, *parts)  # type: ignore[arg-type]


@pytest.fixture
def builder(tmp_path: Path) -> StoreBuilder:
    builder = StoreBuilder(tmp_path / "store")
    builder.write(item_rows(300))
    return builder


def refresh(
    builder: StoreBuilder,
    live: GenerationInfo | None,
    fusion: Fusion | None = None,
    kind: str = "hnsw",
) -> GenerationInfo:
    options = IndexOptions(kind=kind)  # type: ignore[arg-type]
    with builder.store.writing():
        return refresh_generation(builder.store, live, options, NullProgress(), fusion=fusion)


def nearest_products(builder: StoreBuilder, key: str) -> list[tuple[str, float]]:
    hits = builder.engine().search(Query((Term(key=key),), k=5, target="product"))
    return [(hit.key, round(hit.similarity, 4)) for hit in hits]


def check_nearest(builder: StoreBuilder, count: int, item: int) -> None:
    """The item's neighbours are those by its fusion, computed here over what was written."""
    images, texts = two_cones(count)
    vectors = builder.fusion.products(images, texts)
    scores = vectors @ vectors[item]
    expected = np.argsort(-scores)[1:6]
    found = nearest_products(builder, f"shop/{item}")
    assert [key for key, _ in found] == [f"shop/{i}" for i in expected]
    assert [score for _, score in found] == pytest.approx(scores[expected].tolist(), abs=2e-3)


def test_the_copy_lies_beside_the_index_and_is_what_searches_use(builder: StoreBuilder) -> None:
    refresh(builder, None, attention(1), kind="flat")
    assert identity(builder.fusion) == identity(attention(1))
    check_nearest(builder, 300, 7)


def test_few_changes_keep_weights_and_means(builder: StoreBuilder) -> None:
    first = refresh(builder, None, attention(1))
    builder.write(item_rows(310)[300:])
    second = refresh(builder, first, attention(1))
    assert second.frozen is first.frozen
    live = live_generation(builder.store.folder)
    assert live is not None
    for modality, mean in first.fusion.means.items():
        np.testing.assert_array_equal(live.info.fusion.means[modality], mean)


def test_another_fusion_builds_every_index_anew(builder: StoreBuilder) -> None:
    first = refresh(builder, None, attention(1))
    before = nearest_products(builder, "shop/7")
    second = refresh(builder, first, attention(2))
    assert identity(second.fusion) == identity(attention(2))
    assert nearest_products(builder, "shop/7") != before


def test_without_the_model_the_live_fusion_is_built_with_again(builder: StoreBuilder) -> None:
    first = refresh(builder, None, attention(1))
    builder.write(item_rows(900)[300:])
    second = refresh(builder, first)
    assert identity(second.fusion) == identity(attention(1))
    assert second.frozen is not first.frozen
    for modality, mean in attention(1).means.items():
        np.testing.assert_array_equal(second.frozen.base.means[modality], mean)


def test_rows_that_the_index_lacks_are_fused_alike(builder: StoreBuilder) -> None:
    refresh(builder, None, attention(1), kind="flat")
    builder.write(item_rows(330)[300:])
    check_nearest(builder, 330, 305)


def test_a_generation_from_before_there_were_kinds_opens_as_late(builder: StoreBuilder) -> None:
    refresh(builder, None)
    description = builder.store.folder / "faiss" / "000001.json"
    content = json.loads(description.read_text())
    assert content.pop("fusion") == "late"
    description.write_text(json.dumps(content))
    live = live_generation(builder.store.folder)
    assert live is not None
    assert live.describe_fusion() == {"kind": "late", "image_weight": 0.5}
    assert list(builder.store.folder.glob(COPIES)) == []


def test_old_copies_go_with_their_generations(builder: StoreBuilder) -> None:
    live = None
    for seed in (1, 2, 3):
        live = refresh(builder, live, attention(seed))
    names = sorted(path.name for path in builder.store.folder.glob(COPIES))
    assert names == ["000002.fusion.safetensors", "000003.fusion.safetensors"]


@pytest.mark.parametrize("content", [b"", b"not a tensor"])
def test_a_damaged_copy_is_told(builder: StoreBuilder, content: bytes) -> None:
    refresh(builder, None, attention(1))
    next(builder.store.folder.glob(COPIES)).write_bytes(content)
    with pytest.raises(CorruptIndex, match="rebuild=True"):
        live_generation(builder.store.folder)


def test_a_lost_copy_is_told(builder: StoreBuilder) -> None:
    refresh(builder, None, attention(1))
    next(builder.store.folder.glob(COPIES)).unlink()
    with pytest.raises(CorruptIndex, match="rebuild=True"):
        live_generation(builder.store.folder)
