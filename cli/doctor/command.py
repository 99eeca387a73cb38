"""mmsearch doctor: tests what searching needs, and prints what to do where something is missing."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from mmsearch.cli import options
from mmsearch.cli.doctor import checks
from mmsearch.cli.doctor.checks import Check
from mmsearch.cli.output.render import counted, stderr_console, stdout_console, to_json, write_text

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}


def doctor(
    store: options.Store = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Check the installation: packages, devices, image formats, models, disk, memory and store."""
    console = stderr_console(quiet=quiet)
    found: list[Check] = []
    with console.status("checking …") as status:
        for name, check in checks_for(store):
            status.update(f"checking {name} …")
            found.append(check())
    show(found, as_json=as_json)


def show(found: Sequence[Check], *, as_json: bool) -> None:
    """Prints the checks; exits with code 1 if one failed."""
    if as_json:
        write_text(to_json({"checks": found}))
    else:
        stdout_console().print(checks_table(found), verdict(found), sep="\n")
    if any(check.status == "fail" for check in found):
        raise typer.Exit(1)


def checks_for(store: Path | None) -> list[tuple[str, Callable[[], Check]]]:
    """Returns every check by name, ordered so that a failure explains those below it."""
    from mmsearch.media import FORMATS

    return [
        ("Python", checks.check_python),
        *(
            (owners[0], partial(checks.check_package, name, owners))
            for name, owners in checks.PACKAGES
        ),
        ("encoding device", checks.check_encoding_device),
        ("GPU search", checks.check_gpu_search),
        *((f"{name} images", partial(checks.check_format, name)) for name in FORMATS),
        ("built-in model", checks.check_builtin_model),
        ("other models", checks.check_other_models),
        ("store", partial(checks.check_store, store)),
        ("disk", partial(checks.check_disk, store or Path.cwd())),
        ("memory", checks.check_memory),
    ]


def checks_table(found: Sequence[Check]) -> Table:
    """Returns a row per check: status, name, detail and advice."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in found:
        mark, style = _MARKS[check.status]
        detail = Text(check.detail)
        if check.advice:
            detail.append(f"\n→ {check.advice}", style=style)
        table.add_row(Text(f"{mark} {check.status}", style=style), Text(check.name), detail)
    return table


def verdict(found: Sequence[Check]) -> str:
    """Returns how many checks failed or warn, as a sentence."""
    counts = {status: sum(c.status == status for c in found) for status in ("fail", "warn")}
    if counts["fail"]:
        return f"{counted(counts['fail'], 'check')} failed; the lines with an arrow say what to do"
    warnings = f", {counted(counts['warn'], 'warning')}" if counts["warn"] else ""
    return f"no problems found{warnings}"
