"""mmsearch search: keywords, pages, near-duplicates, files of queries."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.command_line import TIMEOUT_SECONDS, Call, environment_of, run_here


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with a store of 40 products, two of them with the same picture."""
    folder = tmp_path_factory.mktemp("shop")
    lines = ["id,title,description,brand,price,image"]
    for i in range(40):
        shade = (i % 39) * 6
        Image.new("RGB", (32, 32), (shade, 255 - shade, i % 39)).save(folder / f"{i}.png")
        lines.append(
            f"p{i},Thing X{i},a thing of shade {i},{'Acme' if i % 2 else 'Zeta'},{i},{i}.png"
        )
    (folder / "goods.csv").write_text("\n".join(lines))
    done = run_here(folder, environment_of(tiny_model), "index", "goods.csv")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def run(shop: Path, tiny_model: Path) -> Call:
    """Runs mmsearch in the shop."""
    environment = environment_of(tiny_model, COLUMNS="100")

    def run_in(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return run_here(shop, environment, *arguments, stdin=stdin)

    return run_in


def found(run: Call, *arguments: str) -> dict[str, Any]:
    done = run("search", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def keys(document: dict[str, Any]) -> list[str]:
    return [hit["key"] for hit in document["hits"]]


def test_keywords_alone_and_beside_words(run: Call) -> None:
    alone = found(run, "--keyword", "acme x17", "-k", "3", "--where", "price < 30")
    assert keys(alone)[0] == "goods/p17"
    assert {hit["matched"] for hit in alone["hits"]} == {"keyword"}
    hybrid = found(run, "x17", "--hybrid", "-k", "3")
    assert "goods/p17" in keys(hybrid)
    assert keys(hybrid) != keys(found(run, "x17", "-k", "3"))


def test_the_number_that_orders_a_hybrid_list_is_shown(run: Call) -> None:
    hits = found(run, "x17", "--hybrid", "-k", "3")["hits"]
    assert "score" in run("search", "x17", "--hybrid").stdout.splitlines()[0].split()
    assert f"{hits[0]['score']:.4f}" in run("search", "x17", "--hybrid").stdout
    assert run("search", "x17", "--hybrid", "--csv").stdout.split(",")[5] == "score"
    plain = run("search", "x17").stdout.splitlines()[0].split()
    assert "score" not in plain
    alone = run("search", "--keyword", "x17").stdout.splitlines()[0].split()
    assert "score" in alone
    assert "similarity" not in alone


def test_an_item_stands_first_when_its_own_image_is_searched_for(run: Call) -> None:
    """Also where its text makes the product vector of another item the nearest."""
    for number in (3, 17, 30):
        first, *others = found(run, "--image", f"{number}.png", "-k", "40")["hits"]
        assert first["key"] == f"goods/p{number}"
        assert f"{first['similarity']:.3f}" == "1.000"
        assert first["key"] not in {hit["key"] for hit in others}
        assert len(others) == 39
    (cheap,) = found(run, "--image", "17.png", "--where", "price < 1")["hits"]
    assert cheap["key"] == "goods/p0"


def test_a_large_photo_is_read_for_a_query_as_it_was_for_the_store(
    tmp_path: Path, tiny_model: Path
) -> None:
    """A JPEG is decoded at a fraction of its size, which gives other pixels."""
    noise = np.random.default_rng(5)
    for name in ("a", "b", "c"):
        pixels = noise.integers(0, 256, (600, 900, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg")
    environment = environment_of(tiny_model)
    assert run_here(tmp_path, environment, "index", ".").returncode == 0
    done = run_here(tmp_path, environment, "search", "--image", "b.jpg", "--json")
    first = json.loads(done.stdout)["hits"][0]
    assert first["uri"].endswith("b.jpg")
    assert f"{first['similarity']:.3f}" == "1.000"


def test_pages_by_cursor(run: Call) -> None:
    first = found(run, "a thing", "-k", "25")
    second = found(run, "a thing", "-k", "25", "--after", first["next"])
    assert len(set(keys(first) + keys(second))) == 40
    assert second["next"] is None
    assert second["hits"][0]["rank"] == 26
    other = run("search", "another thing", "--after", first["next"])
    assert other.returncode == 2
    assert "another query" in other.stderr


def test_unique_diverse_and_threshold(run: Call) -> None:
    plain = ("--like", "goods/p7", "--target", "image", "-k", "40")
    everything = found(run, *plain)
    assert {"goods/p0", "goods/p39"} <= set(keys(everything))
    least = everything["hits"][20]["similarity"]
    hits = found(run, *plain, "--unique", "--diverse", "0.5", "--threshold", str(least))["hits"]
    assert 0 < len(hits) < 21
    assert len({"goods/p0", "goods/p39"} & {hit["key"] for hit in hits}) < 2
    assert all(hit["similarity"] >= least for hit in hits)


def test_a_file_of_queries_is_answered_line_by_line(run: Call) -> None:
    lines = [
        {"id": "a", "text": "a thing of shade 3"},
        "a thing of shade 3",
        {"like": "goods/p5", "k": 2, "where": "price > 20"},
        {"keyword": "x31", "image": "31.png", "target": "image"},
    ]
    written = "\n".join(json.dumps(line) for line in lines)
    done = run("search", "--queries", "-", "-k", "4", stdin=written)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["query"] for answer in answers] == [lines[0], {"text": lines[1]}, *lines[2:]]
    assert [len(answer["hits"]) for answer in answers] == [4, 4, 2, 4]
    assert answers[0]["hits"] == answers[1]["hits"]
    assert keys(answers[0]) == keys(found(run, "a thing of shade 3", "-k", "4"))
    assert all(hit["record"]["price"] > 20 for hit in answers[2]["hits"])
    assert keys(answers[3])[0] == "goods/p31"


def test_queries_of_a_pipe_are_answered_while_it_is_open(shop: Path, tiny_model: Path) -> None:
    asking = subprocess.Popen(
        [sys.executable, "-m", "mmsearch", "search", "--queries", "-", "-k", "1"],
        cwd=shop, env=environment_of(tiny_model), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert asking.stdin is not None
    assert asking.stdout is not None
    for text in ("a thing of shade 3", "a thing of shade 30"):
        asking.stdin.write(f'"{text}"\n')
        asking.stdin.flush()
        answer = json.loads(asking.stdout.readline())
        assert answer["query"] == {"text": text}
        assert len(answer["hits"]) == 1
    asking.stdin.close()
    assert asking.wait(timeout=TIMEOUT_SECONDS) == 0


def test_an_image_comes_from_a_pipe_and_not_from_an_address(
    run: Call, shop: Path, tiny_model: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mmsearch", "search", "--image", "-", "--json"],
        cwd=shop, env=environment_of(tiny_model), capture_output=True, check=True,
        input=(shop / "17.png").read_bytes(),
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["query"]["image"] == "-"
    assert document["hits"][0]["key"] == "goods/p17"
    refused = run("search", "--image", "https://example.org/a.jpg")
    assert refused.returncode == 2
    assert "--image takes a file, not an address" in refused.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("thing -lamp", "leave it out and add --without lamp"),
        ("things without a lamp", "add --without lamp"),
        ("things, not the lamp", "add --without lamp"),
        ("x " * 100, "is longer than the model reads"),
    ],
)
def test_a_search_says_what_the_model_does_not_understand(run: Call, text: str, says: str) -> None:
    assert says in " ".join(run("search", text).stderr.split())
    assert run("search", text, "--quiet").stderr == ""
    assert run("search", "a well-known thing").stderr == ""


def test_csv_has_the_chosen_columns(run: Call) -> None:
    header = run("search", "a thing", "--csv", "--columns", "brand,price").stdout.splitlines()[0]
    assert header == "rank,key,uri,similarity,matched,brand,price"


def test_keys_columns_and_models_are_completed(shop: Path, tiny_model: Path) -> None:
    def completed(words: str) -> list[str]:
        environment = environment_of(
            tiny_model,
            _MMSEARCH_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split(" ")) - 1),
        )
        code = "from mmsearch.cli.app import app; app(prog_name='mmsearch')"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=shop, env=environment, capture_output=True, text=True
        )
        return done.stdout.split()

    assert completed("mmsearch search --like goods/p1") == sorted(
        f"goods/p{number}" for number in (1, *range(10, 20))
    )
    assert completed("mmsearch search x --columns brand,pri") == ["brand,price"]
    assert "builtin" in completed("mmsearch index --model b")
    assert completed("mmsearch search --store nowhere --like goods/") == []


def test_queries_go_with_nothing_else(run: Call) -> None:
    bad = run("search", "--queries", "-", stdin='{"text": "x"}\n{"txt": "y"}')
    assert bad.returncode == 2
    assert [json.loads(line)["query"] for line in bad.stdout.splitlines()] == [{"text": "x"}]
    assert "line 2: unknown field 'txt'" in " ".join(bad.stderr.split())
    missing = run("search", "--queries", "gone.jsonl")
    assert missing.returncode == 2
    assert "gone.jsonl" in missing.stderr
