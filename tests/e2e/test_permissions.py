"""Folders, stores and files that may not be read or written: a line that says what to do."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.command_line import Call, environment_of, run_process, unprivileged


def paint(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path) -> Iterator[Call]:
    """run(*arguments, cwd=…): a command without root's rights; modes are restored afterwards."""
    prefix = unprivileged()

    def run_in(*arguments: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return run_process(cwd, environment_of(tiny_model), *arguments, prefix=prefix)

    yield run_in
    subprocess.run(["chmod", "-R", "u+rwX", tmp_path], check=True)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    paint(tmp_path / "photos" / "a.png", 1)
    paint(tmp_path / "photos" / "sub" / "b.png", 2)
    return tmp_path / "photos"


def test_items_below_an_unreadable_folder_are_neither_hidden_nor_pruned(
    run: Call, photos: Path
) -> None:
    assert run("index", "photos").returncode == 0
    shutil.copy(photos / "sub" / "b.png", photos / "copy.png")
    (photos / "sub").chmod(0)
    done = run("index", "photos", "--prune", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["report"]
    counts = {name: report[name] for name in ("added", "moved", "missing", "pruned", "unchanged")}
    assert counts == {"added": 1, "moved": 0, "missing": 0, "pruned": 0, "unchanged": 1}
    assert [failure["key"] for failure in report["failures"]] == ["photos/sub"]
    assert json.loads(run("info", "--json").stdout)["store"]["counts"]["items"] == 3


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a command that was refused in one line."""
    assert done.returncode == 2, done.stderr
    assert "unexpected" not in done.stderr
    return " ".join(done.stderr.split())


def test_a_folder_without_write_access_asks_for_a_store_elsewhere(run: Call, photos: Path) -> None:
    photos.chmod(0o555)
    message = refusal(run("index", ".", cwd=photos))
    assert f"cannot write to {photos}" in message
    assert "--store" in message
    assert not (photos / ".mmsearch").exists()


def test_a_store_without_write_access_is_named(run: Call, photos: Path, tmp_path: Path) -> None:
    assert run("index", "photos", "--store", "store").returncode == 0
    subprocess.run(["chmod", "-R", "a-w", tmp_path / "store"], check=True)
    paint(photos / "new.png", 3)
    for arguments in (("index",), ("index", "--undo-prune"), ("index", "--drop", "photos")):
        assert "cannot write to store" in refusal(run(*arguments, "--store", "store"))
    # Reading needs no write access.
    assert run("search", "x", "--store", "store").returncode == 0


@pytest.mark.parametrize("name", ["manifest.json", "CURRENT", "faiss", "lance"])
@pytest.mark.parametrize("command", [("search", "x"), ("info",), ("index",)], ids=" ".join)
def test_a_store_that_cannot_be_read_is_named(
    run: Call, photos: Path, tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    assert run("index", "photos", "--store", "store").returncode == 0
    (tmp_path / "store" / name).chmod(0)
    message = refusal(run(*command, "--store", "store"))
    assert "permission denied" in message.lower()


def test_files_that_cannot_be_read_are_failures(run: Call, photos: Path) -> None:
    (photos / "a.png").chmod(0)
    done = run("index", "photos", "--json")
    assert done.returncode == 0
    (failure,) = json.loads(done.stdout)["report"]["failures"]
    assert (failure["key"], failure["stage"]) == ("photos/a.png", "read")


@pytest.mark.parametrize(
    "arguments",
    [("search", "--image", "photos/a.png"), ("same", "photos/a.png", "photos/a.png")],
    ids=["search", "same"],
)
def test_a_picture_that_cannot_be_read_is_named(
    run: Call, photos: Path, arguments: tuple[str, ...]
) -> None:
    assert run("index", "photos").returncode == 0
    (photos / "a.png").chmod(0)
    assert "a.png" in refusal(run(*arguments))


def test_an_output_that_cannot_be_written_is_named(run: Call, photos: Path, tmp_path: Path) -> None:
    assert run("index", "photos").returncode == 0
    (tmp_path / "out").mkdir(mode=0o555)
    message = refusal(run("search", "x", "--gallery", "out/hits.html"))
    assert "out/hits.html" in message
    assert "permission denied" in message.lower()
    assert "nowhere" in refusal(run("search", "x", "--gallery", "nowhere/hits.html"))


def test_a_working_directory_that_was_deleted_is_said(run: Call, tmp_path: Path) -> None:
    script = 'mkdir gone; cd gone; rmdir ../gone; "$0" -m mmsearch search x'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=tmp_path, env=environment_of(), capture_output=True, text=True,
    )  # fmt: skip
    assert "working directory" in refusal(done)
