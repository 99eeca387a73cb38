"""mmsearch evaluate: what it prints where, the page that it writes, and how it refuses."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mmsearch.cli.app import app
from mmsearch.errors import (
    ConfigError,
    FailuresFound,
    InputError,
    MissingDependency,
    MMSearchError,
    StoreNotFound,
)

HOSTILE = "<script>alert(1)</script>"
Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen pictures in two kinds, one torn, one with a hostile title."""
    folder = tmp_path_factory.mktemp("goods")
    generator = np.random.default_rng(2)
    rows = ["id,image,title,kind"]
    for number in range(16):
        pixels = generator.integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        title = HOSTILE if number == 3 else f"thing number {number}"
        rows.append(f"{number},{number}.png,{title},{'lamp' if number % 2 else 'shoe'}")
    (folder / "torn.png").write_bytes((folder / "0.png").read_bytes()[:80])
    rows.append("torn,torn.png,a torn thing,lamp")
    (folder / "goods.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "goods.csv"


@pytest.fixture
def invoke(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMSEARCH_MODEL", str(tiny_model))
    monkeypatch.setenv("MMSEARCH_DEVICE", "cpu")
    monkeypatch.setenv("COLUMNS", "120")
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments)])


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def test_the_document_is_versioned_and_whole(invoke: Invoke, goods: Path) -> None:
    found = document(invoke("evaluate", goods, "--classes", "kind", "--json", "--quiet"))
    assert found["version"] == 1
    evaluation = found["evaluation"]
    assert evaluation["sources"] == [str(goods)]
    assert (evaluation["items"], evaluation["pictures"], evaluation["texts"]) == (17, 16, 17)
    assert [failure["key"] for failure in evaluation["failures"]] == ["goods/torn"]
    (model,) = evaluation["models"]
    assert set(model["retrieval"]) == {
        "text-to-image", "image-to-text", "image-to-image", "text-to-text", "text-to-product",
        "image-to-product", "product-to-product",
    }  # fmt: skip
    metrics = model["retrieval"]["text-to-image"]["metrics"]
    assert list(metrics) == [
        "recall@1", "recall@5", "recall@10", "MRR", "mAP", "nDCG@10", "coverage@10", "median rank",
    ]  # fmt: skip
    for estimate in metrics.values():
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
    zero_shot = model["zero_shot"]
    assert [each["name"] for each in zero_shot["classes"]] == ["lamp", "shoe"]
    assert np.sum(zero_shot["confusion"]) == 16
    assert {"accuracy", "macro F1", "weighted precision"} <= set(zero_shot["metrics"])


def test_tables_have_a_column_per_model_and_the_difference(
    invoke: Invoke, goods: Path, make_model: Callable[..., Path]
) -> None:
    other = make_model(embed_dim=16)
    result = invoke("evaluate", goods, "--compare", other, "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "text → image · 16 queries · 16 candidates" in result.stdout
    assert "median rank" in result.stdout
    assert len(re.findall(r", p [01]\.\d{3}", result.stdout)) == 16


def test_a_store_is_measured_apart_and_answers_by_its_keys(invoke: Invoke, goods: Path) -> None:
    assert invoke("index", goods, "--store", "shop").exit_code == 0
    found = document(invoke("evaluate", goods, "--store", "shop", "--json"))
    index = {(each["query"], each["target"]): each for each in found["evaluation"]["index"]}
    assert len(index) == 6
    assert index["text", "product"]["recall@10 of exact search"]["value"] == 1.0
    assert index["text", "product"]["labelled_queries"] == 17
    itself = index["image", "image"]
    assert itself["labelled recall@10, live"] == itself["labelled recall@10, exact"]
    assert itself["labelled recall@10, live"]["value"] == 1.0


def test_queries_of_ones_own(invoke: Invoke, goods: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"text": "a thing", "relevant": {"goods/1": 2, "2": 1}}\n')
    found = document(invoke("evaluate", goods, "--queries", queries, "--json"))
    retrieval = found["evaluation"]["models"][0]["retrieval"]
    assert {name: each["queries"] for name, each in retrieval.items()} == {
        "text-to-image": 1, "text-to-text": 1, "text-to-product": 1,
    }  # fmt: skip


def test_the_page_is_self_contained_and_escaped(
    invoke: Invoke, goods: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    result = invoke("evaluate", goods, "--classes", "kind", "--report", page)
    assert result.exit_code == 0, result.output
    assert f"wrote {page}" in result.stderr
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "default-src 'none'" in text
    addresses = re.findall(r'(?:src|srcset|href)="([^"#]+)"', text)
    # Two plots a direction and the confusion matrix, each light and dark.
    assert sum(each.startswith("data:image/svg+xml") for each in addresses) == 2 * (2 * 7 + 1)
    assert sum(each.startswith("data:image/webp") for each in addresses) > 10
    assert {each.split(":")[0] for each in addresses} == {"data"}
    for heading in ("text → image", "zero-shot classes", "Hardest queries", "Weakest classes"):
        assert heading in text


def test_the_page_has_cards_of_every_model(
    invoke: Invoke, goods: Path, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    other, page = make_model(embed_dim=16), tmp_path / "report.html"
    options = ("--classes", "kind", "--compare", other, "--json")
    found = document(invoke("evaluate", goods, *options, "--report", page))["evaluation"]
    cards = re.findall(r'<li class="headline">.*?</li>', page.read_text("utf-8"), re.DOTALL)
    assert len(cards) == 8
    value = found["models"][1]["retrieval"]["text-to-image"]["metrics"]["recall@10"]["value"]
    assert f'<p class="part other">{other}</p><p class="compared"><strong>{value:.3f}' in cards[0]
    assert str(other) in cards[-1]
    assert "zero-shot" in cards[-1]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (("--classes", "colour"), InputError, "colour"),
        (("--classes", "kind", "--template", "no place"), InputError, "{}"),
        (("--queries", "gone.jsonl"), InputError, "gone.jsonl"),
        (("--class-names", "gone.txt", "--classes", "kind"), InputError, "gone.txt"),
        (("--template", "a {}"), InputError, "--classes"),
        (("--store", "nowhere"), StoreNotFound, "nowhere"),
        (("--compare", "bildin"), InputError, "builtin"),
        (("--device", "tpu"), ConfigError, "tpu"),
        (("--strict",), FailuresFound, "goods/torn"),
        (("--report", "no/folder/x.html"), InputError, "no/folder/x.html"),
    ],
)
def test_refusals_say_why(
    invoke: Invoke, goods: Path, options: tuple[str, ...], error: type[MMSearchError], says: str
) -> None:
    result = invoke("evaluate", goods, *options)
    assert isinstance(result.exception, error)
    assert says in str(result.exception)


def test_without_matplotlib_the_report_is_refused_before_any_work(
    invoke: Invoke, goods: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = invoke("evaluate", goods, "--report", "x.html")
    assert isinstance(result.exception, MissingDependency)
    assert "mmsearch[evaluate]" in str(result.exception)
    assert "reading" not in result.stderr


def test_the_same_numbers_give_the_same_page(invoke: Invoke, goods: Path, tmp_path: Path) -> None:
    pages = [tmp_path / name for name in ("one.html", "two.html")]
    for page in pages:
        invoke("evaluate", goods, "--report", page)
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_an_error_ends_the_process_with_its_code(tiny_model: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "alone.png")
    done = subprocess.run(
        [sys.executable, "-m", "mmsearch", "evaluate", str(tmp_path)],
        env={**os.environ, "MMSEARCH_MODEL": str(tiny_model)},
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--classes" in done.stderr
    assert done.stdout == ""


def test_a_store_remembers_how_its_catalog_is_read(invoke: Invoke, goods: Path) -> None:
    options = ("--id-column", "title", "--text-columns", "kind")
    assert invoke("index", goods, "--store", "shop", *options).exit_code == 0
    found = document(invoke("evaluate", goods, "--store", "shop", "--group", "kind", "--json"))
    assert found["evaluation"]["texts"] == 2
    assert {each["labelled_queries"] for each in found["evaluation"]["index"]} == {2, 16}
    elsewhere = goods.with_name("moved.csv")
    elsewhere.write_bytes(goods.read_bytes())
    found = document(invoke("evaluate", elsewhere, "--store", "shop", "--json"))
    assert {each["labelled_queries"] for each in found["evaluation"]["index"]} == {0}
    assert any("none of the labelled items" in note for note in found["evaluation"]["notes"])


def test_documents_alone_are_measured_by_queries(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for name in ("one", "two", "three"):
        (tmp_path / "notes" / f"{name}.txt").write_text(f"a note, number {name}")
    queries = tmp_path / "queries.csv"
    queries.write_text("text,relevant\nthe first,one.txt\nlater ones,two.txt;three.txt\n")
    found = document(invoke("evaluate", tmp_path / "notes", "--queries", queries, "--json"))
    (model,) = found["evaluation"]["models"]
    (scores,) = model["retrieval"].values()
    assert (scores["queries"], scores["candidates"]) == (2, 3)
    assert scores["metrics"]["recall@5"]["value"] == 1.0
