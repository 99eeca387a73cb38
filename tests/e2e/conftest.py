"""The command line with the tiny model, and a store with duplicates that is indexed once."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command_line import Call, environment_of, run_here, run_process
from tests.support.dedup_stores import fill


@pytest.fixture(scope="session")
def call(tiny_model: Path) -> Call:
    """call(folder, *arguments): runs a command in a folder, in this process."""
    environment = environment_of(tiny_model)

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_here(folder, environment, *arguments)

    return run


@pytest.fixture(scope="session")
def process(tiny_model: Path) -> Call:
    """process(folder, *arguments): the same as a process of its own."""
    environment = environment_of(tiny_model)

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_process(folder, environment, *arguments)

    return run


@dataclass(frozen=True)
class Stock:
    """A folder with duplicates, and its store as it was after they had been compared once."""

    folder: Path
    store: Path


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory, call: Call) -> Stock:
    folder = tmp_path_factory.mktemp("stock")
    fill(folder)
    for arguments in (("index", "shop", "copies"), ("dedup", "--quiet")):
        done = call(folder, *arguments)
        assert done.returncode == 0, done.stderr
    store = tmp_path_factory.mktemp("indexed") / "store"
    shutil.copytree(folder / ".mmsearch", store)
    return Stock(folder, store)


@pytest.fixture
def stocked(stock: Stock) -> Path:
    """The folder of that stock; its store is put back for every test, its pictures are shared."""
    shutil.rmtree(stock.folder / ".mmsearch")
    shutil.copytree(stock.store, stock.folder / ".mmsearch")
    return stock.folder
