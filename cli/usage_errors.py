"""Rewrites what Typer and pydantic say about an option's value in plain words."""

import re
from difflib import get_close_matches
from typing import Any


def explain(error: Any) -> None:
    """Replaces the message: what the value must be, what was got, and the nearest choice.

    error: a usage error of Typer.
    """
    if hasattr(error, "possibilities"):
        near = get_close_matches(error.option_name, error.possibilities or (), n=1)
        hint = f"did you mean {near[0]}?" if near else "--help lists the options"
        error.message, error.possibilities = f"no option {error.option_name}; {hint}", None
        return
    # pydantic's, where there is one; importing it here would slow every command down.
    cause: Any = error.__cause__
    choices = re.search(r"('.*?') is not one of (.*?)\.?$", error.message)
    if choices is not None:
        given = choices[1].strip("'")
        known = re.findall(r"'([^']+)'", choices[2])
        near = get_close_matches(given, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"use {', '.join(known)}"
        error.message = f"unknown value '{given}'; {hint}"
    elif hasattr(cause, "errors"):
        from mmsearch.config import constraint_text

        error.message = constraint_text(cause.errors()[0])
