"""A model folder that brings a fusion, from `index` to `search`: products are made with it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mmsearch
from mmsearch.catalog import Catalog
from mmsearch.encoders.registry import load_text_encoder
from mmsearch.errors import InputError, SpaceMismatch
from mmsearch.fusion import AttentionFusion, identity, save_fusion
from mmsearch.records import Floats
from tests.support.command_line import environment_of, run_here

COUNT = 12


def attention(dim: int) -> AttentionFusion:
    random = np.random.default_rng(3)

    def numbers(*shape: int) -> Floats:
        return random.normal(size=shape).astype(np.float32)

    means = {"image": 0.05 * numbers(dim), "text": 0.05 * numbers(dim)}
    parts = [numbers(4), numbers(4, dim), numbers(2, 4), numbers(2, 3, dim), numbers(2, dim, 3)]
    parts.append(0.1 * numbers(2, dim))
    return AttentionFusion(means, *parts)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a fusion beside it."""
    folder = tmp_path_factory.mktemp("tuned") / "model"
    shutil.copytree(tiny_model, folder)
    space = load_text_encoder(str(folder), device="cpu").space
    save_fusion(attention(space.dim), folder, space)
    return folder


@pytest.fixture
def goods(tmp_path: Path) -> Path:
    folder = tmp_path / "goods"
    folder.mkdir()
    for i in range(COUNT):
        noise = np.random.default_rng(i).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((40, 40)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"thing number {i} of {COUNT - i}")
    # One has no text.
    (folder / "5.txt").unlink()
    return folder


def opened(store: Path, model: Path | None, **settings: Any) -> Catalog:
    name = str(model) if model else None
    return mmsearch.open(store, model=name, device="cpu", workers=1, batch_size=4, **settings)


def kind(catalog: Catalog) -> str:
    fusion = catalog.info().fusion
    assert fusion is not None
    return str(fusion["kind"])


def test_the_models_fusion_is_used_kept_and_replaced(
    goods: Path, model: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    catalog = opened(store, model)
    catalog.index(goods)
    assert kind(catalog) == "attention"
    dim = catalog.info().space["dim"]
    assert identity(catalog.engine.fusion) == identity(attention(dim))
    picture = goods / "3.png"
    first = [hit.key for hit in catalog.search(image=picture, target="product", k=COUNT)]
    assert len(first) == COUNT

    # A later run that names nothing goes on with it, and so does one that only takes rows out.
    Image.new("RGB", (32, 32), (200, 40, 40)).save(goods / "late.png")
    again = opened(store, None)
    again.index()
    assert kind(again) == "attention"
    assert again.info().indexes["product"]["count"] == COUNT + 1
    (goods / "late.png").unlink()
    again.index(prune=True)
    assert kind(again) == "attention"

    # Another kind makes the products anew, without decoding, and is remembered.
    report = opened(store, None, fusion="late").index()
    assert report.decoded == 0
    assert kind(again) == "late"
    again.index()
    assert kind(again) == "late"
    opened(store, None, image_weight=0.9).index()
    assert again.info().fusion == {"kind": "late", "image_weight": 0.9}
    opened(store, None, fusion="auto").index()
    assert kind(again) == "attention"
    again.reload()
    assert [hit.key for hit in again.search(image=picture, target="product", k=COUNT)] == first


def test_what_the_model_does_not_bring_is_told_before_anything_is_encoded(
    goods: Path, model: Path, tiny_model: Path, tmp_path: Path
) -> None:
    for folder, said in ((model, "but attention"), (tiny_model, "but none")):
        catalog = opened(tmp_path / "store", folder, fusion="early")
        with pytest.raises(InputError, match=f"no early fusion {said}"):
            catalog.index(goods, dry_run=True)


def test_a_fusion_of_other_weights_is_refused(goods: Path, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(model, other)
    config = json.loads((other / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.1, 0.2, 0.3]
    (other / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(SpaceMismatch, match="was trained on"):
        opened(tmp_path / "store", other).index(goods)
    opened(tmp_path / "plain", other, fusion="late").index(goods)


def test_on_the_command_line(goods: Path, model: Path, tmp_path: Path) -> None:
    environment = environment_of(COLUMNS="100")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_here(tmp_path, environment, *arguments)

    done = run("index", "goods", "--model", str(model), "--fusion", "attention", "--workers", "1")
    assert done.returncode == 0, done.stderr
    told = run("info")
    assert "attention fusion, trained with the model" in " ".join(told.stdout.split())
    state = json.loads(run("info", "--json").stdout)["store"]
    assert state["fusion"] == {"kind": "attention"}
    found = run("search", "thing number 3", "--target", "product", "--json")
    assert found.returncode == 0, found.stderr
    assert {hit["matched"] for hit in json.loads(found.stdout)["hits"]} == {"product"}
    refused = run("index", "--fusion", "early")
    assert refused.returncode == 2
    assert "has no early fusion but attention" in " ".join(refused.stderr.split())
