"""Writes docs/cli.md from the commands' own help; with --check only says whether it is up to date.

python tools/write_cli_docs.py [--check]
"""

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
COMMANDS = (
    *("index", "search", "info", "sample", "models", "doctor", "finetune", "train", "evaluate"),
    *("dedup", "dedup apply", "dedup undo", "dedup ignore", "same"),
)
HEAD = "# Commands\n\nWritten by `make docs` from `mmsearch COMMAND --help`.\n"


def help_of(*command: str) -> str:
    """The help text in 96 columns, without colour."""
    plain = {"COLUMNS": "96", "NO_COLOR": "1", "TERM": "dumb", "TERMINAL_WIDTH": "96"}
    done = subprocess.run(
        [sys.executable, "-m", "mmsearch", *command, "--help"],
        env={**os.environ, **plain},
        capture_output=True,
        text=True,
        check=True,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def page() -> str:
    parts = [HEAD, f"```text\n{help_of()}\n```\n"]
    parts += [
        f"## mmsearch {name}\n\n```text\n{help_of(*name.split())}\n```\n" for name in COMMANDS
    ]
    return "\n".join(parts).replace("python -m mmsearch", "mmsearch")


def main() -> None:
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.name} is not what --help says; run 'make docs'")


if __name__ == "__main__":
    main()
