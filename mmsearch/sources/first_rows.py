"""What the first rows of a table show before anything is encoded: mapping and missing images."""

from collections.abc import Iterator
from itertools import islice

from mmsearch.errors import InputError
from mmsearch.records import Record, Scalar, printable_path
from mmsearch.sources.base import Source
from mmsearch.sources.image_paths import shortened
from mmsearch.sources.table import TableSource

CHECKED_ROWS = 200
_SHOWN_ITEMS = 5
_SHOWN_VALUES = 4
# The share of missing images from which it is the folder that is wrong.
_MOST = 0.5


def require_images(source: Source) -> None:
    """Raises InputError if most images that the first rows of a table name are not there."""
    if not isinstance(source, TableSource) or source.images.named is not None:
        return
    sought = dict(source.sought_images(CHECKED_ROWS))
    missing = [cell for cell, found in sought.items() if not found]
    if len(missing) <= _MOST * len(sought):
        return
    examples = " and ".join(f"'{shortened(cell)}'" for cell in missing[:2])
    texts = "; `image_column='none'` indexes the texts alone" if source.columns.texts else ""
    raise InputError(
        f"{printable_path(source.root)}: {len(missing):,} of the {len(sought):,} images that its "
        f"first rows name are not there, such as {examples}; looked in "
        f"{source.images.roots.describe()}; say where they are with `image_root`{texts}"
    )


def preview(source: Source) -> Iterator[str]:
    """Yields lines that show the mapping of a table with examples, and the first items."""
    if isinstance(source, TableSource):
        yield from source.mapping()
    items = (item for item in source if isinstance(item, Record))
    for item in islice(items, _SHOWN_ITEMS):
        yield f"{item.key}: {' · '.join(_described(item))}"


def _described(item: Record) -> Iterator[str]:
    images = [item.uri, *(image.uri for image in item.more_images)] if item.image else []
    if images:
        count = "1 image" if len(images) == 1 else f"{len(images)} images"
        yield f"{count} ({', '.join(shortened(uri.rpartition('/')[2]) for uri in images[:3])})"
    if item.text:
        yield f"'{shortened(item.text)}'"
    values = [(name, value) for name, value in item.metadata.items() if value is not None]
    if values:
        yield ", ".join(f"{name} {_shown(value)}" for name, value in values[:_SHOWN_VALUES])


def _shown(value: Scalar) -> str:
    return shortened(str(value))
