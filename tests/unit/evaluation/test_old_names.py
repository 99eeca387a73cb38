"""Modules and attributes are found under their old names for one more version."""

import importlib

import pytest

from mmsearch.evaluation import metrics, results


@pytest.mark.parametrize(
    ("old", "name", "value"),
    [
        ("mmsearch.scores", "Evaluation", results.Evaluation),
        ("mmsearch.metrics", "rank_answers", metrics.rank_answers),
    ],
)
def test_old_module_names_warn_and_work(old: str, name: str, value: object) -> None:
    module = importlib.import_module(old)
    with pytest.warns(DeprecationWarning, match=name):
        assert getattr(module, name) is value
    with pytest.raises(AttributeError):
        module.no_such_name  # noqa: B018


def test_old_attribute_names_warn_and_work() -> None:
    score = results.ClassScore("red", "red", images=3, precision=1.0, recall=0.5, f1=0.67)
    with pytest.warns(DeprecationWarning, match=r"ClassScore\.pictures is now ClassScore\.images"):
        assert score.pictures == 3
