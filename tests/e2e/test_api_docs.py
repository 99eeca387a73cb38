"""The examples of docs/api.md and of public docstrings, run on the sample catalog."""

import doctest
import importlib
import inspect
from importlib.util import find_spec
from pathlib import Path

import pytest

import mmsearch

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
# It takes a minute, and the examples of other sections do not depend on it.
SLOW_SECTION = "## Fine-tune and promote\n"
MODULES = (
    "mmsearch.catalog", "mmsearch.catalog.catalog", "mmsearch.catalog.info",
    "mmsearch.catalog.resolve", "mmsearch.catalog.results", "mmsearch.cli.parameters",
    "mmsearch.errors", "mmsearch.evaluation.run", "mmsearch.query", "mmsearch.records",
    "mmsearch.sources.options",
)  # fmt: skip


def run(test: doctest.DocTest) -> doctest.TestResults:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    results = runner.run(test, out=report.append)
    assert results.failed == 0, "".join(report)
    return results


def page_examples(*, slow: bool) -> doctest.DocTest:
    text = PAGE.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    start = text[: text.index(SLOW_SECTION)].count("\n")
    end = start + text[text.index(SLOW_SECTION) + 3 :].split("\n## ")[0].count("\n")
    for example in test.examples:
        needs_pandas = "pandas" in example.source or "frame" in example.source
        left_out = (start <= example.lineno <= end and not slow) or (
            needs_pandas and find_spec("pandas") is None
        )
        if left_out:
            example.options[doctest.SKIP] = True
    return test


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, doctest.TestResults]:
    """The folder in which the page was followed, and how many examples there were."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, run(page_examples(slow=False))


def test_the_page_can_be_followed(followed: tuple[Path, doctest.TestResults]) -> None:
    assert followed[1].attempted > 70


@pytest.mark.slow
def test_the_whole_page_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(page_examples(slow=True))


def test_the_examples_in_docstrings_hold(
    followed: tuple[Path, doctest.TestResults], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(followed[0])
    catalog = mmsearch.open(followed[0] / "shop", device="cpu")
    count = 0
    for name in MODULES:
        module = importlib.import_module(name)
        names = {**vars(module), "catalog": catalog, "mmsearch": mmsearch}
        for test in doctest.DocTestFinder(exclude_empty=True).find(module, globs=names):
            count += run(test).attempted
    assert count > 30


def test_every_public_name_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in dir(mmsearch) if name not in text and name != "__version__"] == []
    methods = [name for name in vars(mmsearch.Catalog) if not name.startswith("_")]
    properties = ("folder", "engine")
    assert [name for name in methods if name not in text and name not in properties] == []


def test_every_public_name_has_an_example() -> None:
    methods = [
        value
        for name, value in vars(mmsearch.Catalog).items()
        if inspect.isfunction(value) and not name.startswith("_") and name != "page"
    ]
    # The page has the example of FinetuneOptions, and docs/finetune.md its fields.
    others = [getattr(mmsearch, name) for name in dir(mmsearch) if name != "FinetuneOptions"]
    documented = [each for each in others if inspect.isclass(each) or inspect.isfunction(each)]
    assert len(methods) > 20
    for found in [*methods, *documented]:
        assert ">>>" in (found.__doc__ or ""), found
