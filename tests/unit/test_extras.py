"""Optional packages: a missing one is named with the command that installs it."""

import sys
from pathlib import Path

import pytest

from mmsearch.errors import MissingDependency
from mmsearch.extras import package_folder, require


def test_a_package_that_is_there_is_not_imported() -> None:
    assert "wave" not in sys.modules
    require("wave", purpose="a test")
    assert "wave" not in sys.modules


def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(MissingDependency) as caught:
        require("no_such_package", extra="train", purpose="--trials")
    assert str(caught.value) == (
        "--trials needs the package no_such_package, which is not installed; "
        "run: pip install 'mmsearch[train]'"
    )
    with pytest.raises(MissingDependency, match=r"pip install no_such_package$"):
        require("no_such_package", purpose="a plot")


def test_the_folder_of_a_package() -> None:
    assert (package_folder("pytest") / "__init__.py").is_file()
    assert package_folder("pytest") == Path(pytest.__file__).parent
    with pytest.raises(MissingDependency, match=r"pip install such-a-package$"):
        package_folder("no_such_package", distribution="such-a-package")
