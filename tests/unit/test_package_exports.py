"""What a package exports is there, and importing the lazy ones loads nothing heavy."""

import importlib
import subprocess
import sys

import pytest

LAZY = ("encoders", "evaluation", "indexes", "report", "store")


@pytest.mark.parametrize("package", [*LAZY, "engine", "fusion", "generations", "media", "sources"])
def test_every_exported_name_can_be_imported(package: str) -> None:
    module = importlib.import_module(f"mmsearch.{package}")
    assert len(module.__all__) >= 2
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018


def test_lazy_packages_import_without_heavy_libraries() -> None:
    script = f"""
import importlib, sys
for package in {LAZY!r}:
    importlib.import_module("mmsearch." + package)
print(sorted({{"faiss", "lancedb", "open_clip", "torch"}} & set(sys.modules)))
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
