"""The wheel holds what the tree holds, and both call the two top-level folders by their names."""

import tomllib
from importlib.util import find_spec
from pathlib import Path

import mmsearch
import mmsearch.cli
import mmsearch.indexes

ROOT = Path(__file__).parents[2]


def project() -> dict[str, dict[str, dict[str, list[str]]]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_listed() -> None:
    folders = {
        *(path.parent for path in (ROOT / "mmsearch").rglob("__init__.py")),
        *(path.parent for path in (ROOT / "indexes").rglob("__init__.py")),
        *(path.parent for path in (ROOT / "cli").rglob("__init__.py")),
    }
    names = {
        ".".join(folder.relative_to(ROOT).parts).removeprefix("mmsearch.")
        for folder in folders
        if folder.relative_to(ROOT).parts[:2] not in (("mmsearch", "indexes"), ("mmsearch", "cli"))
    }
    expected = {"mmsearch" if name == "mmsearch" else f"mmsearch.{name}" for name in names}
    listed = project()["tool"]["setuptools"]["packages"]
    assert len(expected) > 8
    assert set(listed) == expected


def test_recipes_stay_out_of_the_wheel() -> None:
    setuptools = project()["tool"]["setuptools"]
    assert not [name for name in setuptools["packages"] if "recipe" in name]
    files = [file.name for file in (ROOT / "recipes").rglob("*.txt")]
    assert len(files) == 20
    assert not [name for name in files if list((ROOT / "mmsearch").rglob(name))]


def test_every_data_file_is_matched() -> None:
    patterns: dict[str, list[str]] = project()["tool"]["setuptools"]["package-data"]  # type: ignore[assignment]
    folders = {name: ROOT / Path(*name.split(".")) for name in patterns}
    for name, globs in patterns.items():
        for pattern in globs:
            assert list(folders[name].glob(pattern)), f"{name}: {pattern} matches nothing"


def test_the_top_level_folders_are_installed_under_our_name() -> None:
    assert mmsearch.indexes.__name__ == "mmsearch.indexes"
    assert Path(str(mmsearch.indexes.__file__)).resolve() == ROOT / "indexes" / "__init__.py"
    assert Path(str(mmsearch.cli.__file__)).resolve() == ROOT / "cli" / "__init__.py"


def test_the_public_names_are_there() -> None:
    for name in mmsearch.__all__:
        assert getattr(mmsearch, name) is not None
    assert find_spec("mmsearch.__main__") is not None
