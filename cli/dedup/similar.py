"""The option --similar of mmsearch dedup, whose value is optional; Typer has no such options."""

from typing import Any

from mmsearch.cli.help import Group
from mmsearch.errors import InputError

_BY_DEFAULT = "default"


class DedupGroup(Group):
    """A command group that gives --similar a default value where it has none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments, with the calibrated threshold for a bare --similar."""
        for at, word in enumerate(args):
            if word == "--similar" and not _is_number(args[at + 1 : at + 2]):
                args = [*args[:at], f"--similar={_BY_DEFAULT}", *args[at + 1 :]]
        return super().parse_args(ctx, args)


def similar_cosine(given: str | None) -> float | None:
    """Returns the value of --similar; None if the option or its value was left out."""
    if given is None or given == _BY_DEFAULT:
        return None
    if not _is_number([given]) or not 0 <= float(given) <= 1:
        raise InputError(f"--similar takes a cosine from 0 to 1, or no value; got '{given}'")
    return float(given)


def _is_number(words: list[str]) -> bool:
    try:
        return bool(words) and float(words[0]) is not None
    except ValueError:
        return False
