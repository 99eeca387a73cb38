"""Which large libraries each command may import: every one of them delays its start."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import environment_of, run_here
from tests.support.mistakes import SOURCES, lay_out

HEAVY = (
    "torch", "open_clip", "timm", "transformers", "huggingface_hub", "lancedb", "faiss", "pandas",
    "scipy",
)  # fmt: skip
# Runs a command, and prints what it has imported as the last line of stderr.
CODE = f"""
import atexit, sys
heavy = {HEAVY!r}
atexit.register(lambda: print(*[n for n in heavy if n in sys.modules], sep=",", file=sys.stderr))
sys.argv[0] = "mmsearch"
from mmsearch.cli.app import main
main()
"""
NONE: frozenset[str] = frozenset()
FAISS = frozenset({"faiss"})


@pytest.fixture(scope="module")
def environment(tiny_model: Path) -> dict[str, str]:
    return environment_of(tiny_model, COLUMNS="100")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A folder with an indexed source of images and one of products."""
    folder = tmp_path_factory.mktemp("shop")
    lay_out(folder)
    done = run_here(folder, environment, "index", *SOURCES)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "allowed"),
    [
        (("info",), 0, NONE),
        (("index", "--dry-run"), 0, NONE),
        (("index", "photos", "--dry-run", "--store", "new"), 0, NONE),
        # Arrow imports pandas, where it is installed, for some of the values that it converts.
        (("search", "shoes"), 0, FAISS | {"pandas"}),
        (("search", "shoes", "--where", "price < 5 AND category IS NOT NULL"), 0, FAISS),
        (("search", "shoes", "--where", "price < -1"), 0, FAISS),
        (("search", "shoes", "--where", "prise < 5"), 2, FAISS),
        (("search", "shoes", "--columns", "prise"), 2, FAISS),
        (("search", "--image", "photos/rde.png"), 2, FAISS),
        (("index", "phtos"), 2, NONE),
        (("index", "goods.csv", "--image-column", "pic"), 2, NONE),
        (("index",), 0, frozenset({"faiss", "lancedb", "pandas"})),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_command_imports_no_library_that_it_does_without(
    shop: Path,
    environment: dict[str, str],
    arguments: tuple[str, ...],
    code: int,
    allowed: frozenset[str],
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=shop,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    imported = set(filter(None, done.stderr.splitlines()[-1].split(",")))
    assert imported <= allowed, done.stderr
