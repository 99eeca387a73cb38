"""Runs mmsearch for tests, in this process or as a process of its own.

A new process spends more time on importing torch and LanceDB than on most commands. So commands run
in this process, through the same `main`, except where a test is about the process: signals, kills,
what is imported, settings that libraries read when they are imported. Every command is run as a
process by at least one test.
"""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from mmsearch.cli.app import main

Call = Callable[..., subprocess.CompletedProcess[str]]
Environment = Mapping[str, str]

# A machine that does other work as well may be slow.
TIMEOUT_SECONDS = 600


def environment_of(model: Path | None = None, **changes: str) -> dict[str, str]:
    """The environment of a command: a model's folder if one is given, the CPU, no own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MMSEARCH_")}
    named = {"MMSEARCH_MODEL": str(model)} if model else {}
    return {**kept, **named, "MMSEARCH_DEVICE": "cpu", "COLUMNS": "140", **changes}


def run_process(
    folder: Path,
    environment: Environment,
    *arguments: str,
    stdin: str | None = None,
    prefix: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m mmsearch` in a folder. prefix: a command that runs it, such as setpriv."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "mmsearch", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        input=stdin,
    )


def unprivileged() -> list[str]:
    """Returns a prefix that makes permissions hold for root as well; skips where there is none."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv, to give up root's rights")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def run_here(
    folder: Path, environment: Environment, *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs the same command in this process; streams, folder and environment come back after it."""
    written = io.BytesIO(), io.BytesIO()
    output, errors = (io.TextIOWrapper(each, "utf-8", newline="") for each in written)
    code: int | str | None = 0
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["mmsearch", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        patch.setattr(sys, "stdout", output)
        patch.setattr(sys, "stderr", errors)
        try:
            main()
        except SystemExit as end:
            code = end.code
    output.flush()
    errors.flush()
    return subprocess.CompletedProcess(
        ["mmsearch", *arguments],
        code if isinstance(code, int) else int(code is not None),
        *(each.getvalue().decode("utf-8", "replace") for each in written),
    )
