"""Opens the store of a command, and says which one it is where the user has not named it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsearch.cli.output.render import stderr_console

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog


def open_store(store: Path | None, *, quiet: bool = False, **settings: Any) -> "Catalog":
    """Opens a catalog with the settings of `mmsearch.open`; prints its folder if it lies above."""
    from mmsearch.catalog import open_catalog

    catalog = open_catalog(store, **settings)
    if lies_above(catalog, store):
        stderr_console(quiet=quiet).print(
            f"using the store {catalog.root}", markup=False, soft_wrap=True
        )
    return catalog


def lies_above(catalog: "Catalog", store: Path | None) -> bool:
    """Whether the store was not named but found in a folder above the working directory."""
    named = store is not None or catalog.settings.store is not None
    return not named and catalog.root.parent != Path.cwd()
