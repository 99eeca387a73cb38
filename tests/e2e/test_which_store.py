"""Which store a command uses: named where it was found above, and never filled by accident."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.command_line import TIMEOUT_SECONDS, Call, environment_of


def paint(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def home(tmp_path: Path, call: Call) -> Path:
    """A folder with a store of shoes/, and the folder other/ that is no source of it."""
    paint(tmp_path / "shoes" / "a.png", 1)
    paint(tmp_path / "other" / "b.png", 2)
    done = call(tmp_path, "index", "shoes")
    assert done.returncode == 0, done.stderr
    assert f"creating the store {tmp_path / '.mmsearch'}" in done.stderr
    return tmp_path


def keys(call: Call, folder: Path, *arguments: str) -> set[str]:
    found = call(folder, "search", "x", "--json", *arguments)
    return {hit["key"] for hit in json.loads(found.stdout)["hits"]}


@pytest.mark.parametrize("command", [("search", "x"), ("info",), ("dedup",), ("index",)])
def test_a_store_that_was_found_above_is_named(
    home: Path, call: Call, command: tuple[str, ...]
) -> None:
    line = f"using the store {home / '.mmsearch'}"
    done = call(home / "shoes", *command)
    assert done.returncode == 0, done.stderr
    assert line in done.stderr.splitlines()
    assert line not in call(home / "shoes", *command, "--store", str(home)).stderr
    assert line not in call(home, *command).stderr
    assert "using" not in call(home / "shoes", *command, "--quiet").stderr


def test_a_folder_is_not_added_to_a_store_above_without_a_word(home: Path, call: Call) -> None:
    refused = call(home / "other", "index", ".")
    assert refused.returncode == 2
    assert f"--store {home / '.mmsearch'}" in refused.stderr
    assert "--here" in refused.stderr
    assert keys(call, home) == {"shoes/a.png"}


def test_a_named_store_gains_the_folder(home: Path, call: Call) -> None:
    done = call(home / "other", "index", ".", "--store", str(home))
    assert done.returncode == 0
    assert f"adding 'other' to the store {home / '.mmsearch'}" in done.stderr
    assert keys(call, home) == {"shoes/a.png", "other/b.png"}


def test_here_makes_a_store_of_its_own(home: Path, call: Call) -> None:
    assert call(home / "other", "index", ".", "--here").returncode == 0
    assert keys(call, home / "other") == {"other/b.png"}
    assert keys(call, home) == {"shoes/a.png"}
    assert call(home / "other", "index", ".", "--here", "--store", "x").returncode == 2


def test_sources_that_the_store_knows_are_indexed_from_anywhere_below(
    home: Path, call: Call
) -> None:
    paint(home / "shoes" / "new.png", 3)
    assert call(home / "shoes", "index", ".").returncode == 0
    assert call(home / "other", "index").returncode == 0
    assert keys(call, home) == {"shoes/a.png", "shoes/new.png"}


def test_files_of_another_source_are_said_and_not_decoded_again(home: Path, call: Call) -> None:
    done = call(home, "index", ".", "--json")
    report = json.loads(done.stdout)["report"]
    assert "lies inside" in done.stderr
    assert (report["added"], report["decoded"]) == (2, 1)


def test_an_empty_store_is_refused(tmp_path: Path, call: Call) -> None:
    paint(tmp_path / "shoes" / "a.png", 1)
    done = call(tmp_path, "index", "shoes", "--store", "")
    assert done.returncode == 2
    assert "an empty name" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["shoes"]


def test_two_first_runs_at_once_both_succeed(tmp_path: Path, tiny_model: Path) -> None:
    """Both create the store, under sources of the same name."""
    for number in (1, 2):
        paint(tmp_path / str(number) / "photos" / f"{number}.png", number)
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "mmsearch", "index", f"{number}/photos", "--store", "store"],
            cwd=tmp_path, env=environment_of(tiny_model), stderr=subprocess.PIPE, text=True,
        )
        for number in (1, 2)
    ]  # fmt: skip
    errors = [run.communicate(timeout=TIMEOUT_SECONDS)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    listed = subprocess.run(
        [sys.executable, "-m", "mmsearch", "search", "x", "--store", "store", "--json"],
        cwd=tmp_path, env=environment_of(tiny_model), capture_output=True, text=True,
    )  # fmt: skip
    found = {hit["key"] for hit in json.loads(listed.stdout)["hits"]}
    assert len(found) == 2
    assert {key.split("/")[0] for key in found} == {"photos", "photos-2"}


def test_a_run_that_may_not_wait_says_that_the_store_is_locked(home: Path, call: Call) -> None:
    from filelock import FileLock

    with FileLock(home / ".mmsearch" / "lock"):
        done = call(home, "index", "--lock-timeout", "0.1")
    assert done.returncode == 4
    assert "another process is writing" in done.stderr
    assert "--lock-timeout" in done.stderr
    assert "waiting for it" in done.stderr
