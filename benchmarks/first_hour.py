"""Times the commands of a first hour: plausible mistakes, and answers that should be instant.

    python -m benchmarks.first_hour [--repeats 5]

Each command runs as a process of its own, as from a shell. Bars: mistakes 0.7 s, the others 1.0 s,
as medians on a machine that does nothing else. CPU seconds depend less on what else it does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.mistakes import MISTAKES, SOURCES, lay_out

MISTAKE_SECONDS, ANSWER_SECONDS = 0.7, 1.0
ANSWERS = (
    ("--help",),
    ("search", "--help"),
    ("info",),
    ("models",),
    ("search", "shoes"),
    ("search", "shoes", "--where", "price < 5"),
    ("index", "--dry-run"),
)


def seconds_of(arguments: tuple[str, ...], folder: Path, repeats: int) -> tuple[float, float, int]:
    """Returns the median wall time of a command, its least CPU time, and its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "XDG_CONFIG_HOME": str(folder)}
    times, cpu_times, code = [], [], 0
    for _ in range(repeats):
        started, before = time.perf_counter(), os.times()
        done = subprocess.run(
            [sys.executable, "-m", "mmsearch", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
        )
        times.append(time.perf_counter() - started)
        after = os.times()
        cpu_times.append(
            after.children_user + after.children_system
            - before.children_user - before.children_system
        )  # fmt: skip
        code = done.returncode
    return statistics.median(times), min(cpu_times), code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        seconds_of(("index", *SOURCES), folder, 1)
        rows = [(mistake.arguments, mistake.code, MISTAKE_SECONDS) for mistake in MISTAKES]
        rows += [(arguments, 0, ANSWER_SECONDS) for arguments in ANSWERS]
        for arguments, expected, bar in rows:
            seconds, cpu_seconds, code = seconds_of(arguments, folder, repeats)
            notes = ["over the bar"] if seconds > bar else []
            notes += [f"exit code {code}, not {expected}"] if code != expected else []
            command = " ".join(each or "''" for each in arguments)
            times = f"{seconds:6.2f} s {cpu_seconds:6.2f} s CPU"
            print(f"{times}  mmsearch {command}  {', '.join(notes)}".rstrip())


if __name__ == "__main__":
    main()
