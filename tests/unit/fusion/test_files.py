"""A fusion on disk: what is read is what was written, and anything else is told."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import InputError, SpaceMismatch
from mmsearch.fusion import (
    CARD_NAME,
    WEIGHTS_NAME,
    FrozenFusion,
    Fusion,
    LateFusion,
    identity,
    load_fusion,
    save_fusion,
    unit,
)
from mmsearch.records import SpaceId
from tests.unit.fusion.test_fusion import DIM, FUSIONS, numbers

SPACE = SpaceId("tiny", "a" * 64, DIM, "b" * 64)
each_kind = pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.kind)


def the_same(one: Fusion, other: Fusion) -> bool:
    images, texts = unit(numbers(6, DIM)), unit(numbers(6, DIM)[::-1])
    return bool(np.array_equal(one.products(images, texts), other.products(images, texts)))


@each_kind
def test_what_is_saved_is_loaded(fusion: Fusion, tmp_path: Path) -> None:
    save_fusion(fusion, tmp_path, SPACE, about={"val": {"MRR": 0.5}})
    loaded = load_fusion(tmp_path, SPACE)
    assert loaded is not None
    assert loaded.kind == fusion.kind
    assert the_same(loaded, fusion)
    card = json.loads((tmp_path / CARD_NAME).read_text())
    assert (card["kind"], card["about"]) == (fusion.kind, {"val": {"MRR": 0.5}})


def test_a_model_may_bring_none(tmp_path: Path) -> None:
    assert load_fusion(tmp_path, SPACE) is None


@pytest.mark.parametrize(
    "other",
    [
        SpaceId("tuned", "c" * 64, DIM, "b" * 64),
        SpaceId("tuned", "a" * 64, 2 * DIM, "b" * 64),
        SpaceId("tuned", "a" * 64, DIM, "d" * 64),
    ],
)
def test_a_fusion_of_another_model_is_an_error(other: SpaceId, tmp_path: Path) -> None:
    save_fusion(FUSIONS[2], tmp_path, SPACE)
    with pytest.raises(SpaceMismatch, match=r"trained on.*train it again.*`fusion='late'`"):
        load_fusion(tmp_path, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2"),
        ({"kind": "middle"}, "kind: Input should be 'late', 'early' or 'attention'"),
        ({"kind": "early"}, "'early' has arrays of shapes"),
        ({"kind": None}, "kind: Input should be 'late', 'early' or 'attention'"),
        ({"sha256": "0" * 64}, "not the file that fusion.json describes"),
    ],
)
def test_a_card_that_does_not_fit_is_told(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    save_fusion(FUSIONS[2], tmp_path, SPACE)
    card = json.loads((tmp_path / CARD_NAME).read_text())
    (tmp_path / CARD_NAME).write_text(json.dumps({**card, **change}))
    with pytest.raises(InputError, match=said):
        load_fusion(tmp_path, SPACE)


def test_a_lost_or_cut_file_is_told(tmp_path: Path) -> None:
    save_fusion(FUSIONS[1], tmp_path, SPACE)
    weights = tmp_path / WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match="not the file"):
        load_fusion(tmp_path, SPACE)
    weights.unlink()
    with pytest.raises(InputError, match=r"damaged.*`fusion='late'`"):
        load_fusion(tmp_path, SPACE)
    (tmp_path / CARD_NAME).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        load_fusion(tmp_path, SPACE)


def test_numbers_that_are_not_finite_are_told(tmp_path: Path) -> None:
    save_fusion(LateFusion(FUSIONS[0].means, np.nan), tmp_path, SPACE)
    with pytest.raises(InputError, match="not finite"):
        load_fusion(tmp_path, SPACE)


@each_kind
def test_a_frozen_copy_has_its_own_means_and_the_models(fusion: Fusion, tmp_path: Path) -> None:
    means = {"image": numbers(DIM), "text": -numbers(DIM)}
    copy = tmp_path / "copy.safetensors"
    written = FrozenFusion.of(fusion, means)  # type: ignore[arg-type]
    about = json.loads(json.dumps(written.write(copy)))
    read = FrozenFusion.read(about, copy)
    assert copy.exists() == (fusion.kind != "late")
    assert the_same(read.fusion, written.fusion)
    assert not the_same(read.fusion, fusion)
    assert identity(read.base) == identity(fusion)
    if fusion.kind != "late":
        assert the_same(read.base, fusion)


def test_a_description_from_before_there_were_kinds_is_late(tmp_path: Path) -> None:
    about = {"image_weight": 0.25, "means": {"image": [0.5] * DIM, "text": [0.0] * DIM}}
    fusion = FrozenFusion.read(about, tmp_path / "none").fusion
    assert isinstance(fusion, LateFusion)
    assert fusion.image_weight == 0.25
    assert fusion.means["image"].tolist() == [0.5] * DIM


def test_a_damaged_copy_is_told(tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    about = FrozenFusion.of(FUSIONS[1], FUSIONS[1].means).write(copy)
    copy.write_bytes(copy.read_bytes()[::-1])
    with pytest.raises(ValueError, match="not what was written"):
        FrozenFusion.read(about, copy)
