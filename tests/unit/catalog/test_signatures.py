"""The door's signatures: every parameter is named, and a misspelt one is refused."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import mmsearch
from mmsearch.query import QueryParts, query_of

METHODS = sorted(
    name
    for name, value in vars(mmsearch.Catalog).items()
    if inspect.isfunction(value) and not name.startswith("_") and name != "page"
)
# Positional parameters say what is acted on; everything else is an option.
POSITIONAL = {"text", "query", "queries", "texts", "images", "name", "report", "plan", "action",
              "model", "path"}  # fmt: skip


def test_there_are_the_methods_that_people_look_for() -> None:
    assert {"search", "index", "find_duplicates", "plan", "apply", "undo", "promote", "rollback",
            "embed_texts", "embed_images", "evaluate", "finetune"} <= set(METHODS)  # fmt: skip


@pytest.mark.parametrize("function", [*METHODS, "open", "load_model"])
def test_options_are_keyword_only_and_named(function: str) -> None:
    found = getattr(mmsearch.Catalog, function, None) or getattr(mmsearch, function)
    for name, parameter in inspect.signature(found).parameters.items():
        assert parameter.kind is not parameter.VAR_KEYWORD
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name != "self":
            assert name in POSITIONAL


@pytest.mark.filterwarnings("ignore:catalog.page")
@pytest.mark.parametrize("method", ["search", "page"])
def test_a_misspelt_parameter_is_a_type_error(method: str, tmp_path: Path) -> None:
    catalog = mmsearch.open(tmp_path / "store")
    with pytest.raises(TypeError, match="limit"):
        getattr(catalog, method)("boots", limit=3)
    with pytest.raises(TypeError, match="positional"):
        getattr(catalog, method)("boots", "boots.jpg")
    with pytest.raises(TypeError, match="devise"):
        mmsearch.open(tmp_path, devise="cpu")  # type: ignore[call-arg]


def test_search_has_the_parameters_and_defaults_of_a_query() -> None:
    def of(function: object) -> dict[str, object]:
        signature = inspect.signature(function)  # type: ignore[arg-type]
        return {n: p.default for n, p in signature.parameters.items() if n != "self"}

    assert of(mmsearch.Catalog.search) == of(query_of)
    assert of(query_of).keys() - {"text"} == QueryParts.__annotations__.keys()


def test_every_part_reaches_the_query() -> None:
    given: QueryParts = {
        "keyword": "acme", "fuse": "weighted", "keyword_weight": 0.25, "where": "n < 3", "k": 4,
        "target": "image", "unique": True, "diverse": 0.5, "threshold": 0.1, "after": "x",
    }  # fmt: skip
    query = query_of("boots", **given)
    assert {name: getattr(query, name) for name in given} == given


def test_dir_lists_what_there_is_and_all_of_it_can_be_had() -> None:
    assert dir(mmsearch) == sorted(mmsearch.__all__)
    for name in dir(mmsearch):
        assert getattr(mmsearch, name) is not None
    with pytest.raises(AttributeError, match="serach"):
        _ = mmsearch.serach


def test_the_import_is_light() -> None:
    heavy = ("torch", "lancedb", "faiss", "pyarrow", "pydantic", "PIL", "open_clip", "pandas")
    code = f"import sys, mmsearch; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
