"""What the shell completes after an option: keys, columns and models."""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from mmsearch.errors import MMSearchError

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog

_MOST = 200


def complete_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Returns keys of the store that begin like this; none without a store."""
    with suppress(MMSearchError):
        return _beginning(_catalog(ctx), incomplete)
    return []


def complete_columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Returns columns of the store, the last of several separated by commas."""
    before, comma, last = incomplete.rpartition(",")
    with suppress(MMSearchError):
        columns = _catalog(ctx).engine.store.public_columns
        return [f"{before}{comma}{name}" for name in _beginning(columns, last)]
    return []


def complete_models(incomplete: str) -> list[str]:
    """Returns the names that 'mmsearch models' lists."""
    from mmsearch.encoders.model_zoo import MODELS

    return _beginning((model.name for model in MODELS), incomplete)


def _beginning(names: Iterable[str], start: str) -> list[str]:
    return sorted(name for name in names if name.startswith(start))[:_MOST]


def _catalog(ctx: typer.Context) -> "Catalog":
    from mmsearch.catalog import open_catalog

    return open_catalog(ctx.params.get("store"))
