"""Doctor tries things for real: so do these tests, on what is installed and on what is broken."""

import io
import json
from pathlib import Path

import pytest
import typer
from rich.console import Console

from mmsearch.cli.doctor.checks import (
    Check,
    available_memory,
    check_builtin_model,
    check_disk,
    check_encoding_device,
    check_format,
    check_gpu_search,
    check_memory,
    check_other_models,
    check_package,
    check_python,
)
from mmsearch.cli.doctor.command import checks_for, checks_table, show, verdict
from mmsearch.encoders.registry import MODELS, is_here
from mmsearch.media import FORMATS

BAD = [
    Check("torch", "fail", "operator does not exist", "pip install torch"),
    Check("disk", "warn", "little [red] is left", "free some"),
    Check("Python", "ok", "3.11"),
]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_written_and_read_back(name: str) -> None:
    if name == "jxl":
        pytest.importorskip("imagecodecs")
    assert check_format(name) == Check(f"{name} images", "ok", "encoded and decoded")


def test_an_installed_package_shows_its_version() -> None:
    import numpy as np

    assert check_package("numpy", ("numpy",)) == Check("numpy", "ok", np.__version__)


def test_of_two_owners_the_installed_one_is_named() -> None:
    found = check_package("faiss", ("faiss-nowhere", "faiss-gpu", "faiss-cpu"))
    assert found.status == "ok"
    assert found.name in ("faiss-gpu", "faiss-cpu")


def test_a_missing_package_fails_with_the_command_to_run() -> None:
    found = check_package("no_such_module", ("no-such-wheel",))
    assert found.status == "fail"
    assert "no_such_module" in found.detail
    assert found.advice == "pip install --force-reinstall no-such-wheel"


def test_wheels_that_do_not_fit_each_other_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "misfit.py").write_text("raise RuntimeError('no operator nms\\nlong story')")
    monkeypatch.syspath_prepend(tmp_path)
    found = check_package("misfit", ("misfit",))
    assert (found.status, found.detail) == ("fail", "no operator nms")


def test_the_machine_itself_passes() -> None:
    assert check_python().status == "ok"
    assert check_encoding_device().status in ("ok", "warn")
    assert check_gpu_search().status in ("ok", "warn")
    assert check_memory().status in ("ok", "warn")
    memory = available_memory()
    assert memory is None or memory > 2**20


def test_models() -> None:
    here = is_here(next(model for model in MODELS if model.name == "builtin"))
    assert check_builtin_model().status == ("ok" if here else "fail")
    others = check_other_models()
    assert others.status == "ok"
    assert all(model.name in others.detail for model in MODELS if model.location)


def test_disk_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    found = check_disk(tmp_path / "not" / "yet")
    assert found.detail.endswith(f"GiB free at {tmp_path}")


def test_every_check_has_a_name_of_its_own() -> None:
    names = [name for name, _ in checks_for(None)]
    assert len(names) == len(set(names)) > 20


def test_a_failure_ends_with_exit_code_1_and_warnings_do_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended:
        show(BAD, as_json=True)
    assert ended.value.exit_code == 1
    document = json.loads(capfd.readouterr().out)
    assert document["version"] == 1
    assert document["checks"][0] == {
        "name": "torch",
        "status": "fail",
        "detail": "operator does not exist",
        "advice": "pip install torch",
    }
    show(BAD[1:], as_json=False)
    assert "no problems found, 1 warning" in capfd.readouterr().out


def test_table_says_what_to_do() -> None:
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(checks_table(BAD))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert lines == [
        "✗ fail  torch   operator does not exist",
        "                → pip install torch",
        "! warn  disk    little [red] is left",
        "                → free some",
        "✓ ok    Python  3.11",
    ]
    assert verdict(BAD) == "1 check failed; the lines with an arrow say what to do"
