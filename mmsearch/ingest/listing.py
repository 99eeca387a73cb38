"""Lists the records of a source in advance where there are few enough."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from mmsearch.errors import SourceUnavailable
from mmsearch.ingest.known import KnownRow, KnownRows
from mmsearch.media import raw_format_of
from mmsearch.records import Failure, Record, printable_path, real_path
from mmsearch.sources.base import Source

# Sources up to this size are listed before decoding starts, so that time left can be reported.
LISTED_AHEAD = 50_000


def present_records(source: Source, known: KnownRows) -> Iterator[Record | Failure]:
    """Yields the records of a source. Raises InputError if it is empty and had rows before."""
    iterator = iter(source)
    first = next(iterator, None)
    held = known.count(source.name)
    if first is None and held and not _all_raw(known.unseen(source.name)):
        raise SourceUnavailable(
            f"{printable_path(source.root)} is empty, but the store holds {held:,} items of it; "
            "is its drive mounted? Its items are left as they are; if they are gone for good, run "
            f"`catalog.drop_source('{source.name}')`"
        )
    return chain([] if first is None else [first], iterator)


def _all_raw(rows: Sequence[KnownRow]) -> bool:
    """Whether all rows are raw photos, which earlier versions indexed by their previews."""
    return all(raw_format_of(real_path(row.uri)) is not None for row in rows)


def list_ahead(
    records: Iterator[Record | Failure],
) -> tuple[list[Record | Failure], Iterator[Record | Failure] | None]:
    """Returns the first LISTED_AHEAD records, and an iterator of the others, None without any."""
    head = list(islice(records, LISTED_AHEAD))
    following = next(records, None)
    return head, None if following is None else chain([following], records)


def most_vectors(listed: Sequence[Record | Failure]) -> int:
    """Returns the number of images or of texts of the records, whichever is larger."""
    records = [record for record in listed if isinstance(record, Record)]
    images = sum(len(record.images) + len(record.urls) for record in records)
    return max(images, sum(bool(record.text) for record in records))
