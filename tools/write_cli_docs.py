"""Writes docs/cli.md from the commands' own help; with --check only says whether it is up to date.

python tools/write_cli_docs.py [--check]
"""

import sys
from pathlib import Path

from typer.testing import CliRunner

from mmsearch.cli.app import COMMANDS, SUBCOMMANDS, app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = "# Commands\n\nWritten by `make docs` from `mmsearch COMMAND --help`.\n"


def help_of(*command: str) -> str:
    """Returns a command's help in 96 columns, without colour."""
    plain = {"COLUMNS": "96", "NO_COLOR": "1", "TERM": "dumb"}
    done = CliRunner().invoke(app, [*command, "--help"], prog_name="mmsearch", env=plain)
    if done.exit_code:
        sys.exit(f"mmsearch {' '.join(command)} --help failed: {done.output}")
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def commands_by_task() -> dict[str, list[str]]:
    """Returns the commands under each title of the overview."""
    found: dict[str, list[str]] = {}
    for task, commands in COMMANDS.items():
        found[task] = []
        for each in commands:
            steps = SUBCOMMANDS.get(each, ())
            found[task] += [each.__name__, *(f"{each.__name__} {s.__name__}" for s in steps)]
    return found


def page() -> str:
    """Returns the page as Markdown."""
    parts = [HEAD]
    for task, names in commands_by_task().items():
        links = [f"[{name}](#mmsearch-{name.replace(' ', '-')})" for name in names]
        parts.append(f"- **{task}**: {', '.join(links)}")
    parts.append(f"\n```text\n{help_of()}\n```\n")
    for task, names in commands_by_task().items():
        parts.append(f"## {task}\n")
        parts += [
            f"### mmsearch {name}\n\n```text\n{help_of(*name.split())}\n```\n" for name in names
        ]
    return "\n".join(parts)


def main() -> None:
    """Writes the page, or exits with an error if it is out of date under --check."""
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.name} is not what --help says; run 'make docs'")


if __name__ == "__main__":
    main()
