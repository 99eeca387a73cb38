"""The command line: what it prints where, and every exit code; signals and kills."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mmsearch
from mmsearch.errors import StoreNotFound
from tests.support.command_line import TIMEOUT_SECONDS, Call, environment_of, run_here, run_process


@pytest.fixture(scope="module")
def environment(tiny_model: Path) -> dict[str, str]:
    return environment_of(tiny_model, COLUMNS="100")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A working folder with the sample catalog, a broken picture in it, indexed once."""
    folder = tmp_path_factory.mktemp("shop")
    assert run_process(folder, environment, "sample", "goods").returncode == 0
    (folder / "loose").mkdir()
    (folder / "loose" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    (folder / "loose" / "note.txt").write_text("a note about red apples")
    (folder / "loose" / "a.mov").write_bytes(b"film")
    (folder / "loose" / "b.psd").write_bytes(b"8BPS")
    done = run_here(folder, environment, "index", "goods", "loose")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run(shop: Path, environment: dict[str, str]) -> Call:
    """run(*arguments, cwd=…, NAME=value): a command in this process, in the shop."""

    def run_in(
        *arguments: str, cwd: Path = shop, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        return run_here(cwd, {**environment, **changes}, *arguments)

    return run_in


@pytest.fixture
def run_alone(shop: Path, environment: dict[str, str]) -> Call:
    """The same as a process of its own."""

    def run_in(
        *arguments: str, cwd: Path = shop, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        return run_process(cwd, {**environment, **changes}, *arguments)

    return run_in


def test_a_search_prints_a_table_on_stdout_and_nothing_else(run_alone: Call) -> None:
    done = run_alone("search", "red apple", "-k", "3", COLUMNS="200")
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    shown = ["rank", "similarity", "part", "title", "price", "category", "key", "path"]
    assert lines[0].split() == shown
    # One of the hits is a text of several passages; the best one has a line of its own.
    assert len(lines) == 6


def test_too_little_memory_is_told_before_anything_is_encoded(
    run: Call, shop: Path, tmp_path: Path
) -> None:
    wanted = ("--index", "hnsw", "--memory", "100")
    done = run("index", str(shop / "loose"), *wanted, cwd=tmp_path)
    assert done.returncode == 2
    assert "memory allows 0.0 MiB; allow more" in done.stderr
    store = json.loads(run("info", "--json", cwd=tmp_path).stdout)["store"]
    assert store["counts"]["items"] == 0
    done = run("index", "loose", *wanted)
    assert done.returncode == 2
    assert "memory allows" in done.stderr
    # What was refused is not remembered.
    for where in (tmp_path, shop):
        assert run("index", str(shop / "loose"), cwd=where).returncode == 0


def test_json_csv_and_paths_carry_the_same_hits(run: Call, shop: Path) -> None:
    asked = ("search", "a note", "--where", "category = 'food' AND price < 1", "-k", "4")
    document = json.loads(run(*asked, "--json").stdout)
    keys = [hit["key"] for hit in document["hits"]]
    assert document["version"] == 1
    assert len(keys) == 4
    assert all(hit["record"]["category"] == "food" for hit in document["hits"])
    assert all(hit["record"]["price"] < 1 for hit in document["hits"])
    assert [row["key"] for row in csv.DictReader(io.StringIO(run(*asked, "--csv").stdout))] == keys
    paths = run(*asked, "--paths").stdout.splitlines()
    assert [Path(path).is_file() for path in paths] == [True] * 4
    assert paths == [hit["uri"] for hit in document["hits"]]


def test_a_picture_finds_itself_and_like_leaves_itself_out(run: Call) -> None:
    asked = ("search", "--image", "goods/images/red-apple.webp", "--target", "image", "--json")
    assert json.loads(run(*asked).stdout)["hits"][0]["key"] == "goods/red-apple"
    alike = json.loads(run("search", "--like", "goods/red-apple", "--json").stdout)["hits"]
    assert "goods/red-apple" not in [hit["key"] for hit in alike]


def test_documents_are_found_by_their_text(run: Call) -> None:
    hits = json.loads(run("search", "a note about red apples", "--target", "text", "--json").stdout)
    assert hits["hits"][0]["key"] == "loose/note.txt"


def test_a_gallery_is_written(run: Call, tmp_path: Path) -> None:
    page = tmp_path / "hits.html"
    done = run("search", "red apple", "--gallery", str(page))
    assert (done.returncode, done.stdout) == (0, "")
    assert "red apple" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--threshold", "0.999"), "no hits above 0.999; the best is 0."),
        (
            ("--where", "category = 'food' AND price > 1000000"),
            "no item matches price > 1000000",
        ),
        (
            ("--where", "price BETWEEN 1000000 AND 2000000"),
            "no item matches price BETWEEN 1000000 AND 2000000",
        ),
    ],
)
def test_a_search_without_hits_says_why(run: Call, arguments: tuple[str, ...], says: str) -> None:
    done = run("search", "red apple", *arguments)
    assert (done.returncode, done.stdout) == (0, "")
    assert says in " ".join(done.stderr.split())
    assert run("search", "red apple", *arguments, "--quiet").stderr == ""


@pytest.mark.parametrize(
    "settings",
    [
        {"NO_COLOR": "1"},
        {"TERM": "dumb"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["no colour", "dumb", "ascii"],
)
def test_narrow_terminals_without_colour_or_unicode_get_no_garbage(
    run_alone: Call, settings: dict[str, str]
) -> None:
    for command in (("search", "red apple"), ("info",), ("search", "--help")):
        done = run_alone(*command, **settings, COLUMNS="40")
        assert done.returncode == 0, done.stderr
        assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 40
        assert "\x1b" not in done.stdout + done.stderr
        assert "\\u" not in done.stdout + done.stderr
        assert done.stdout.isascii() == ("LC_ALL" in settings)


def test_limit_and_top_k_are_other_names_of_k(run: Call) -> None:
    tables = {
        run("search", "red apple", name, "3", COLUMNS="200").stdout
        for name in ("-k", "--limit", "--top-k")
    }
    assert len(tables) == 1
    assert len(tables.pop().splitlines()) == 6


def test_columns_are_shown_as_named(run: Call) -> None:
    lines = run("search", "red apple", "--columns", "color,price", "-k", "2").stdout.splitlines()
    assert {"color", "price"} < set(lines[0].split())
    assert "category" not in lines[0]


def test_info_and_its_ledger(run: Call) -> None:
    state = json.loads(run("info", "--json").stdout)["store"]
    assert state["counts"]["items"] == state["counts"]["text"] == 373
    assert state["counts"]["failures"] == 1
    listed = json.loads(run("info", "--failures", "--json").stdout)
    (failure,) = listed["failures"]
    assert failure["key"] == "loose/torn.png"
    assert listed["skipped"] == {"loose": {".mov": 1, ".psd": 1}}
    shown = run("info", "--failures").stdout
    assert "torn.png" in shown
    assert "loose: files of formats that are not read: .mov 1, .psd 1" in shown
    assert "2 files of other formats" in run("info").stdout


def test_strict_turns_failures_into_code_6(run: Call) -> None:
    done = run("index", "loose", "--strict")
    assert done.returncode == 6
    assert "mmsearch info --failures" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("search",), 2, "nothing to search for"),
        (("search", "  "), 2, "empty"),
        (("search", "x", "--where", "pricee < 3"), 2, "columns: bytes, category"),
        (("search", "x", "--columns", "pricee"), 2, "did you mean 'price'?"),
        (("search", "goods/images/red-apple.webp"), 2, "--image goods/images/red-apple.webp"),
        (("search", "x", "--target", "sound"), 2, "--target"),
        (("search", "--image", "gone.jpg"), 2, "gone.jpg"),
        (("search", "--image", "loose/note.txt"), 2, "note.txt"),
        (("search", "x", "--device", "tpu"), 2, "tpu"),
        (("search", "x", "--model", "bildin"), 2, "builtin"),
        (("search", "--like", "goods/none"), 3, "goods/none"),
        (("index", "nowhere"), 2, "nowhere"),
        (("index", "goods", "--image-column", "pic"), 2, "image"),
        (("index", "--drop", "none"), 3, "goods"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_errors_say_what_and_exit_with_their_code(
    run: Call, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert says in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_no_store_is_code_3(run: Call, tmp_path: Path) -> None:
    done = run("search", "x", cwd=tmp_path)
    assert done.returncode == 3
    assert "mmsearch index" in done.stderr


def test_wrong_settings_are_code_2_and_listed_together(run: Call, tmp_path: Path) -> None:
    (tmp_path / "mmsearch.toml").write_text("batch_size = 0\nimage_weight = 7\n")
    done = run("search", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "batch_size" in done.stderr
    assert "image_weight" in done.stderr


def test_another_model_is_code_4(run: Call) -> None:
    done = run("search", "x", "--model", "builtin")
    assert done.returncode == 4
    assert "--store" in done.stderr


def test_a_damaged_manifest_is_code_4(run: Call, tmp_path: Path) -> None:
    (tmp_path / ".mmsearch").mkdir()
    (tmp_path / ".mmsearch" / "manifest.json").write_text("{")
    assert run("info", cwd=tmp_path).returncode == 4


def test_a_model_that_is_not_there_is_code_5(run_alone: Call, tmp_path: Path) -> None:
    done = run_alone(
        "index", str(tmp_path), "--store", str(tmp_path / "s"), "--model", "base",
        HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub"),
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert str(tmp_path / "hub") in done.stderr.replace("\n", "")


def test_verbose_shows_the_traceback(run: Call) -> None:
    done = run("--verbose", "search", "--like", "goods/none")
    assert done.returncode == 3
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("command", ["index", "search", "info", "sample", "models", "doctor"])
def test_every_command_has_help(run: Call, command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_help_and_version_import_nothing_heavy(environment: dict[str, str]) -> None:
    code = (
        "import sys; from mmsearch.cli.app import app; app(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'lancedb', 'faiss', 'open_clip', 'pyarrow'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_cold_text_search_imports_no_torch(shop: Path, environment: dict[str, str]) -> None:
    code = (
        "import sys, mmsearch; hits = mmsearch.open().search('red apple'); assert len(hits) == 10; "
        "sys.exit('imported torch' if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=shop, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on(
    environment: dict[str, str], tmp_path: Path
) -> None:
    slow = {**environment, "MMSEARCH_COMMIT_SECONDS": "0.01", "MMSEARCH_BATCH_SIZE": "4"}
    run_here(tmp_path, environment, "sample", "goods")
    running = subprocess.Popen(
        [sys.executable, "-m", "mmsearch", "index", "goods"],
        cwd=tmp_path, env=slow, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_rows(tmp_path / ".mmsearch", running)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=TIMEOUT_SECONDS)
    assert running.returncode == 130
    assert "run the same command to resume" in errors
    again = run_here(tmp_path, environment, "index", "goods")
    assert "resuming" in again.stderr
    assert count(tmp_path) == 372


def data_files(store: Path) -> int:
    """How many files of rows the table has; counting them costs a running command no time."""
    folder = store / "lance" / "items.lance" / "data"
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def wait_for_rows(store: Path, running: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if data_files(store):
            return
        assert running.poll() is None, running.stderr and running.stderr.read()
        time.sleep(0.05)
    raise AssertionError("no rows were written")


@pytest.mark.slow
def test_kills_lose_nothing_that_was_written(environment: dict[str, str], tmp_path: Path) -> None:
    hasty = {**environment, "MMSEARCH_COMMIT_SECONDS": "0.01", "MMSEARCH_BATCH_SIZE": "4"}
    run_here(tmp_path, environment, "sample", "goods")
    store, items = tmp_path / ".mmsearch", 0
    for _ in range(3):
        before = data_files(store)
        running = subprocess.Popen(
            [sys.executable, "-m", "mmsearch", "index", "goods"],
            cwd=tmp_path, env=hasty, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while running.poll() is None and data_files(store) <= before:
            time.sleep(0.05)
        running.kill()
        running.communicate()
        now = count(tmp_path)
        assert now >= items
        items = now
    run_here(tmp_path, environment, "index", "goods")
    straight = run_here(tmp_path, environment, "index", "goods", "--store", "straight")
    assert straight.returncode == 0
    killed, whole = (
        [(hit.key, hit.record) for hit in mmsearch.open(folder).search("red apple", k=30)]
        for folder in (store, tmp_path / "straight")
    )
    assert killed == whole
    assert count(tmp_path) == 372


def count(folder: Path) -> int:
    try:
        return mmsearch.open(folder / ".mmsearch").info().counts["items"]
    except StoreNotFound:
        return 0
