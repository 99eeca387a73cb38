"""Rewrites what Typer and pydantic say about an option's value in plain words."""

import re
from difflib import get_close_matches

import typer


def explain(error: typer.BadParameter) -> None:
    """Replaces the message: what the value must be, what was got, and the nearest choice."""
    choices = re.search(r"('.*?') is not one of (.*?)\.?$", error.message)
    if choices is not None:
        given = choices[1].strip("'")
        known = re.findall(r"'([^']+)'", choices[2])
        near = get_close_matches(given, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"use {', '.join(known)}"
        error.message = f"unknown value '{given}'; {hint}"
    elif hasattr(error.__cause__, "errors"):
        from mmsearch.config import constraint_text

        error.message = constraint_text(error.__cause__.errors()[0])
