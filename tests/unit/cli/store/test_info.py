"""mmsearch info --index: what each index is, why, and the recall that its effort was chosen by."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import mmsearch
from mmsearch.cli.store.info import info
from mmsearch.errors import InputError, StoreNotFound
from tests.support.vector_stores import StoreBuilder, item_rows

MakeStore = Callable[..., StoreBuilder]


def test_the_curve_is_shown_with_the_chosen_effort(
    make_store: MakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    builder = make_store(item_rows(200), "hnsw")
    meta = mmsearch.open(builder.store.folder).indexes()["product"]
    tuning = meta.tuning
    assert tuning is not None
    info(store=builder.store.folder, index=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if ", 200 vectors" in line] == [
        "image", "text", "product",
    ]  # fmt: skip
    assert meta.reason in lines
    heading = next(line for line in lines if line.startswith("effort"))
    assert "text queries" in heading
    assert "image queries" in heading
    assert any(line.strip().startswith(f"→ {tuning.effort} ") for line in lines)
    assert any(f"{tuning.queries['text']:,} text" in line for line in lines)


def test_json_carries_the_whole_curve(
    make_store: MakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    builder = make_store(item_rows(200), "hnsw")
    info(store=builder.store.folder, index=True, as_json=True)
    indexes = json.loads(capsys.readouterr().out)["indexes"]
    assert set(indexes) == {"image", "text", "product"}
    tuning = indexes["product"]["tuning"]
    assert tuning["effort"] in [point["effort"] for point in tuning["curve"]]
    assert set(tuning["curve"][0]["recall"]) == {"image", "text"}


def test_an_exact_index_needs_no_tuning(
    builder: StoreBuilder, capsys: pytest.CaptureFixture[str]
) -> None:
    builder.write(item_rows(20))
    info(store=builder.store.folder, index=True)
    assert capsys.readouterr().out == ""
    builder.build()
    info(store=builder.store.folder, index=True)
    assert capsys.readouterr().out.count("recall is 1") == 3


def test_the_curve_is_drawn_as_a_page_and_as_a_picture(
    make_store: MakeStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builder = make_store(item_rows(200), "hnsw")
    for name in ("curve.html", "curve.png"):
        info(store=builder.store.folder, plot=tmp_path / name)
        assert f"wrote {tmp_path / name}" in capsys.readouterr().err.replace("\n", "")
    page = (tmp_path / "curve.html").read_text(encoding="utf-8")
    for target, meta in mmsearch.open(builder.store.folder).indexes().items():
        assert f"{target}: hnsw, 200 vectors" in page
        assert meta.tuning is not None
        assert page.count(f"→ {meta.tuning.effort}<") >= 1
    assert page.count("data:image/svg+xml") == 6
    with Image.open(tmp_path / "curve.png") as picture:
        assert min(picture.size) > 400
        assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 20


def test_a_plot_says_why_there_is_none(builder: StoreBuilder, tmp_path: Path) -> None:
    builder.write(item_rows(20))
    builder.build()
    with pytest.raises(InputError, match="no curve"):
        info(store=builder.store.folder, plot=tmp_path / "curve.html")
    with pytest.raises(InputError, match=r"\.html page or a \.png"):
        info(store=builder.store.folder, plot=tmp_path / "curve.pdf")


def test_without_a_store_it_is_not_found(builder: StoreBuilder) -> None:
    with pytest.raises(StoreNotFound):
        mmsearch.open(builder.store.folder / "none").indexes()
