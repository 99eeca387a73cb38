"""Messages of the library name parameters, and the command line turns each into an option."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmsearch.cli.parameters import with_options
from mmsearch.errors import BadQuery

ROOT = Path(__file__).parents[3]
# Model cards, which show commands.
CARDS = ("card.py",)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
CODE = re.compile(r"`[A-Za-z][^`]*`")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("give `image` or `split_column`", "give --image or --split-column"),
        ("try `device='cpu'`", "try --device cpu"),
        ("go on with `resume=True`", "go on with --resume"),
        ("use `views=3` or `allow_straddling=True`",
         "use --set views=3 or --set allow_straddling=true"),
        ("`FinetuneOptions.text_columns`: no", "--texts: no"),
        ("open another `path`", "open another --store"),
        ("run `catalog.index(rebuild=True)`", "run 'mmsearch index --rebuild'"),
        ("run `catalog.drop_source('shop')`", "run 'mmsearch index --drop shop'"),
        ("run `catalog.index(FOLDER)`", "run 'mmsearch index FOLDER'"),
        ("write it with `catalog.plan(report)`", "write it with 'mmsearch dedup --plan FILE'"),
        ("a name with a `", "a name with a `"),
        ("`two words` and `unknown(1)`", "`two words` and `unknown(1)`"),
    ],
)  # fmt: skip
def test_parameters_become_options(message: str, expected: str) -> None:
    assert with_options(message) == expected


def test_an_error_knows_its_parameters() -> None:
    error = BadQuery("give `image` or `like`, not `k=0`; run `catalog.index()`; `image`")
    assert error.parameters == ("image", "like", "k")


def test_a_command_shows_options_and_the_library_parameters(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mmsearch", "search", "--store", tmp_path / "none", "--threshold",
         "0.5"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "nothing to search for; give a text, --image, --like or --keyword" in done.stderr


def test_the_library_names_no_options() -> None:
    texts = list(texts_of_library())
    assert len(texts) > 1000
    assert [(name, text) for name, text in texts if FLAG.search(text)] == []


def test_every_parameter_in_a_message_has_an_option() -> None:
    known = set(FLAG.findall((ROOT / "docs" / "cli.md").read_text(encoding="utf-8"))) | {"-k"}
    found = [(name, code) for name, text in texts_of_library() for code in CODE.findall(text)]
    assert len(found) > 60
    wrong = []
    for name, code in found:
        option = with_options(code)
        if option == code or not set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", option)) <= known:
            wrong.append((name, code, option))
    assert wrong == []


def texts_of_library() -> Iterator[tuple[str, str]]:
    """The string literals of the library with their file, 'X' for formatted values."""
    for folder in ("mmsearch", "indexes"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            # mmsearch/indexes and mmsearch/cli are links.
            if "cli" in file.parts or file.parts[-3:-1] == ("mmsearch", "indexes"):
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            documented = set(docstrings(tree))
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    documented |= set(map(id, node.values))
                    parts = [n.value if isinstance(n, ast.Constant) else "X" for n in node.values]
                    text: object = "".join(map(str, parts))
                elif isinstance(node, ast.Constant) and id(node) not in documented:
                    text = node.value
                else:
                    continue
                if isinstance(text, str) and file.name not in CARDS:
                    yield str(file.relative_to(ROOT)), text


def docstrings(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)
