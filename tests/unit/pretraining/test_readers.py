"""A recipe's functions are loaded from its own folder, and nothing else is."""

from pathlib import Path

import pytest

from mmsearch.errors import ConfigError, InputError
from mmsearch.pretraining.readers import load_corpus_function, load_function, read_images
from mmsearch.pretraining.recipe import Corpus, Recipe, read_recipe

CODE = """
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    "A class of the recipe's own."
    name: "str"


def rows(name, data):
    return [Row(name)]


def texts(inputs, *, count):
    return ["text"] * count
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "code.py").write_text(CODE, "utf-8")
    (tmp_path / "recipe.toml").write_text(
        'name = "a"\nsources = ["rows"]\n[readers]\nrows = "code.py:rows"\n', "utf-8"
    )
    return read_recipe(tmp_path)


def test_a_reader_is_called_with_its_source_and_all_data(recipe: Recipe, tmp_path: Path) -> None:
    (row,) = read_images(recipe, {"rows": tmp_path})
    assert getattr(row, "name") == "rows"  # noqa: B009 - a class that the recipe defines


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("missing.py:rows", "names missing.py:rows, but there is no .*missing.py"),
        ("code.py:columns", r"but .*code.py has no columns\(\)"),
    ],
)
def test_a_function_that_is_not_there_is_named(recipe: Recipe, name: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load_function(recipe, name)


def test_a_recipe_made_in_python_has_no_code() -> None:
    recipe = Recipe(name="a", sources=("x",), readers={"x": "code.py:rows"})
    with pytest.raises(ConfigError, match="has no folder"):
        load_function(recipe, "code.py:rows")


def test_arguments_of_the_corpus_function_are_checked(recipe: Recipe) -> None:
    assert load_corpus_function(recipe) is None
    corpus = Corpus(function="code.py:texts", arguments={"count": 2})
    function = load_corpus_function(recipe.model_copy(update={"corpus": corpus}))
    assert function is not None
    assert function(None) == ["text", "text"]  # type: ignore[arg-type]
    corpus = Corpus(function="code.py:texts", arguments={"number": 2})
    with pytest.raises(ConfigError, match=r"corpus\.arguments .*'count'"):
        load_corpus_function(recipe.model_copy(update={"corpus": corpus}))


def test_missing_and_unknown_sources_are_named(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing: rows; not in it: photos"):
        read_images(recipe, {"photos": tmp_path})
