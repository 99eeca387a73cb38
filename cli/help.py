"""Help in titled panels: what to type on the left, what it does on the right, the default last.

Typer's own help spends a column on types and cuts its text short in a narrow terminal.
"""

from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from mmsearch.cli.conflicts import given_names, refuse_conflicts
from mmsearch.cli.usage_errors import explain

Row = tuple[str, str]

# Typer does not export the base of what its parser raises.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
_WIDEST = 100
# Below this width the description goes under what it describes.
_NARROW = 64
_WIDEST_NAME = 34
# So few options are easier to find in one panel.
_ONE_PANEL = 10
_OPTIONS, _COMMANDS = "Options", "Commands"


class _Plain:
    """For Typer's command classes: usage line, help and errors in this project's form."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """'PLAN' for a required argument, where Typer writes '{PLAN}'."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        print_help(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = list(args)
        try:
            rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except _UsageError as error:
            explain(error)
            raise
        if not ctx.resilient_parsing:
            refuse_conflicts(str(ctx.info_name), set(given_names(self, ctx)), words)
        return rest


class Command(_Plain, TyperCommand):
    """A command with plain help and explained usage errors."""


class Group(_Plain, TyperGroup):
    """A group of commands with plain help and explained usage errors."""


def print_help(command: Any, ctx: Any) -> None:
    """Prints usage, description, one panel per title, and the epilog to stdout."""
    console = Console(highlight=False)
    console.width = min(console.width, _WIDEST)
    console.print(Padding(Text(command.get_usage(ctx), style="bold"), (1, 1)))
    if command.help:
        console.print(Padding(Text(_unwrapped(command.help)), (0, 1, 1, 1)))
    for title, rows in panels(command, ctx).items():
        console.print(
            Panel(_table(rows, console.width), title=title, title_align="left", border_style="dim")
        )
    if command.epilog:
        console.print(Padding(Text(command.epilog), (1, 1)))


def panels(command: Any, ctx: Any) -> dict[str, list[Row]]:
    """Arguments first, then options without a title, then titles as they come, commands last."""
    shown = [param for param in command.get_params(ctx) if not getattr(param, "hidden", False)]
    options = [param for param in shown if isinstance(param, TyperOption)]
    found: dict[str, list[Row]] = {"Arguments": [], _OPTIONS: []}
    for param in shown:
        if isinstance(param, TyperArgument):
            found["Arguments"].append((str(param.metavar or param.name), _description(param)))
    for option in options:
        title = option.rich_help_panel if len(options) >= _ONE_PANEL else None
        found.setdefault(title or _OPTIONS, []).append((_names(option), _description(option)))
    if isinstance(command, TyperGroup):
        for name in command.list_commands(ctx):
            sub = command.get_command(ctx, name)
            if sub is not None and not sub.hidden:
                title = getattr(sub, "rich_help_panel", None)
                summary = _unwrapped(sub.help or "").split("\n")[0]
                found.setdefault(title or _COMMANDS, []).append((name, summary))
    return {title: rows for title, rows in found.items() if rows}


def _names(option: TyperOption) -> str:
    """'-k, --limit N', '--thumbnails / --no-thumbnails'."""
    names = ", ".join(sorted(option.opts, key=lambda name: name.startswith("--")))
    if option.secondary_opts:
        names += f" / {', '.join(option.secondary_opts)}"
    return names if option.is_flag else f"{names} {option.metavar or 'VALUE'}"


def _description(param: TyperOption | TyperArgument) -> str:
    text = _unwrapped(param.help or "")
    if param.required:
        return f"{text} Required."
    is_value = isinstance(param, TyperArgument) or not param.is_flag
    if is_value and param.default is not None and "Default:" not in text:
        return f"{text} Default: {param.default}."
    return text


def _table(rows: Sequence[Row], width: int) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    if width < _NARROW:
        for name, text in rows:
            table.add_row(Text(name, style="bold cyan"))
            table.add_row(Padding(Text(text), (0, 0, 0, 4)))
        return table
    widest = max(len(name) for name, _ in rows)
    table.add_column(width=min(widest, _WIDEST_NAME), overflow="fold")
    table.add_column(ratio=1)
    for name, text in rows:
        table.add_row(Text(name, style="bold cyan"), Text(text))
    return table


def _unwrapped(text: str) -> str:
    """Paragraphs on one line each: the terminal wraps them."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
