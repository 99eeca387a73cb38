"""--similar of mmsearch dedup: an option that may stand without a value, which Typer lacks."""

from typing import Any

from typer.core import TyperGroup

from mmsearch.errors import InputError

_BY_DEFAULT = "default"


class DedupGroup(TyperGroup):
    """Lets --similar stand without a value, which Typer's own options cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for at, word in enumerate(args):
            if word == "--similar" and not _is_number(args[at + 1 : at + 2]):
                args = [*args[:at], f"--similar={_BY_DEFAULT}", *args[at + 1 :]]
        return super().parse_args(ctx, args)


def similar_cosine(given: str | None) -> float | None:
    """The value of --similar: None where it was not given, or given without a value."""
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
