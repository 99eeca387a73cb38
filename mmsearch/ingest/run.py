"""One run of `index`: reads sources, encodes and writes changes, marks missing files.

Rows are committed in large batches. A run that is stopped loses at most the current batch; the next
run finds the others unchanged.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from mmsearch.config import Settings
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.devices import DeviceChoice
from mmsearch.errors import SourceUnavailable
from mmsearch.fetching.source import FetchingSource
from mmsearch.indexes import IndexOptions, choose
from mmsearch.ingest.batches import BatchEncoder, Job, batched, without_copies_of_lost_rows
from mmsearch.ingest.changes import (
    Work,
    decodings,
    encoding_text,
    plan,
    text_only,
    with_metadata,
    without_images,
)
from mmsearch.ingest.decoding import ImageReader
from mmsearch.ingest.embedded import MetadataOptions
from mmsearch.ingest.item_images import key_of_image
from mmsearch.ingest.known import KNOWN_PART_COLUMNS, FileState, KnownRows
from mmsearch.ingest.listing import list_ahead, most_vectors, present_records
from mmsearch.ingest.tally import Tally
from mmsearch.ingest.writing import RowWriter
from mmsearch.malloc_tuning import reused_memory
from mmsearch.media import MediaBounds, PreparedImage
from mmsearch.media.metadata import ImageMetadata
from mmsearch.progress import ProgressListener
from mmsearch.records import Failure, IngestReport, Record, printable_path
from mmsearch.sources import FolderSource
from mmsearch.sources.base import Source
from mmsearch.store import Store

# Batches that are decoded ahead: enough to keep the encoder busy, few enough for the memory.
BATCHES_AHEAD = 4


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What a run does besides indexing changes.

    retry: read files again that failed before, and split texts that were cut. prune: remove rows
    whose files are missing. dry_run: count changes only. metadata: what to read of the metadata of
    a source's images, by name; nothing of sources that are not named.
    """

    retry: bool = False
    prune: bool = False
    dry_run: bool = False
    metadata: Mapping[str, MetadataOptions | None] = field(default_factory=dict)


class LoadedEncoder(NamedTuple):
    """An encoder of the store's space, and the device that it runs on."""

    encoder: Encoder
    device: DeviceChoice


class Ingest:
    """Updates a store to its sources. Run it under the store's write lock."""

    def __init__(
        self,
        store: Store,
        load: Callable[[], LoadedEncoder],
        settings: Settings,
        *,
        progress: ProgressListener,
        index: IndexOptions,
    ) -> None:
        """Prepares a run.

        load: called once there is something to encode. index: sources too large for its memory
        are refused before encoding.
        """
        self._store, self._load, self._settings = store, load, settings
        self._progress, self._index = progress, index

    @cached_property
    def _loaded(self) -> LoadedEncoder:
        """The encoder, which is loaded once something has to be encoded. Raises SpaceMismatch."""
        loaded = self._load()
        self._store.manifest.space.require(loaded.encoder.space, holder=str(self._store.folder))
        return loaded

    @cached_property
    def _batches(self) -> BatchEncoder:
        return BatchEncoder(
            self._loaded.encoder, self._store, max_passages=self._settings.max_passages
        )

    @property
    def _batch_size(self) -> int:
        return self._settings.batch_size or self._loaded.device.batch_size

    @reused_memory()
    def run(
        self, sources: Sequence[Source], options: IngestOptions, *, resumed: int = 0
    ) -> IngestReport:
        """Encodes and writes changes; an item that cannot be read becomes a Failure.

        So does a whole source, unless no other can be read. resumed: rows that an interrupted run
        had written. Raises SpaceMismatch, InputError.
        """
        started = time.monotonic()
        tally = Tally()
        unavailable = 0
        for source in sources:
            try:
                self._run_source(source, options, tally)
            except SourceUnavailable as error:
                unavailable += 1
                if unavailable == len(sources):
                    raise
                self._progress.note(f"{source.name}: {error}")
                tally.failures[source.name] = Failure(
                    source.name, printable_path(source.root), "source", str(error)
                )
                if not options.dry_run:
                    self._write_failures(tally)
        skipped = {
            source.name: source.skipped for source in sources if isinstance(source, FolderSource)
        }
        report = tally.report(resumed, time.monotonic() - started)
        return replace(report, skipped=skipped)

    def _run_source(self, source: Source, options: IngestOptions, tally: Tally) -> None:
        known = KnownRows(
            self._store.known_files(),
            self._store.failures(),
            self._store.known_images(KNOWN_PART_COLUMNS),
        )
        head, rest = list_ahead(present_records(source, known))
        choose(most_vectors(head), self._store.dim, self._index)
        total = len(head) if rest is None else None
        records: Iterator[Record | Failure] = chain(head, rest or ())
        self._progress.start(f"indexing {source.name}", total)
        if isinstance(source, FetchingSource):
            records = source.with_files(records, self._progress)
        metadata = options.metadata.get(source.name)
        works = self._planned(records, known, tally, retry=options.retry, metadata=metadata)
        if options.dry_run:
            self._count(works, tally)
        else:
            self._write_all(works, known, tally)
        self._settle_missing(source, known, options, tally)

    def _planned(
        self,
        records: Iterable[Record | Failure],
        known: KnownRows,
        tally: Tally,
        *,
        retry: bool,
        metadata: MetadataOptions | None,
    ) -> Iterator[Work]:
        unread = 0
        split = set(self._store.part_items("passage")[1].tolist()) if retry else set()
        for record in records:
            if isinstance(record, Failure):
                self._fail(record, known, tally)
                self._progress.advance(1)
                continue
            work, failures = plan(record, known, retry=retry, metadata=metadata)
            for failure in failures:
                self._fail(failure, known, tally)
            if work is not None:
                # An item keeps its row without an image that cannot be read.
                known.find(record.key)
            if work is None:
                self._progress.advance(1)
                continue
            # Earlier versions encoded only the beginning of a long text.
            text = record.text if retry and work.text_from not in split else None
            if text and work.text_from is not None and self._loaded.encoder.overlong([text]):
                work = encoding_text(work)
            if work.change == "moved" and work.previous is not None:
                known.take(work.previous)
            unread += metadata is not None and work.lacks_metadata
            yield work
        if unread:
            self._progress.note(
                f"{unread:,} images were indexed before their metadata was read; `metadata=True` "
                "reads it, without encoding them again"
            )

    def _count(self, works: Iterable[Work], tally: Tally) -> None:
        for work in works:
            tally.changes[work.change] += 1
            self._progress.advance(1)

    def _write_all(self, works: Iterable[Work], known: KnownRows, tally: Tally) -> None:
        changed = self._changed(works, tally)
        first = next(changed, None)
        if first is None:
            self._write_failures(tally)
            return
        self._progress.status(self._loaded.device.name)
        writer = RowWriter(self._store, self._settings.commit_seconds)
        bounds = MediaBounds.of(self._settings)
        spec = self._loaded.encoder.preprocessing
        with ImageReader(bounds=bounds, spec=spec, workers=self._settings.workers) as reader:
            jobs = self._read(reader, chain([first], changed), known, tally)
            try:
                for batch in batched(jobs, self._batch_size):
                    self._encode_batch(batch, reader, writer, known=known, tally=tally)
            finally:
                # Also on Ctrl-C, so that the next run continues from here.
                writer.flush()
                self._write_failures(tally)

    def _changed(self, works: Iterable[Work], tally: Tally) -> Iterator[Work]:
        for work in works:
            if work.change == "unchanged":
                tally.changes["unchanged"] += 1
                self._progress.advance(1)
            else:
                yield work

    def _read(
        self,
        reader: ImageReader,
        works: Iterable[Work],
        known: KnownRows,
        tally: Tally,
    ) -> Iterator[Job]:
        look_ahead = BATCHES_AHEAD * self._batch_size
        images: dict[int, PreparedImage] = {}
        described: ImageMetadata | None = None
        unread: set[int] = set()
        for unit, outcome in reader.read_ahead(
            decodings(works),
            lambda unit: unit.image.file.path if unit.image else None,
            look_ahead,
            metadata_of=lambda unit: unit.metadata,
        ):
            work, planned = unit.work, unit.image
            if isinstance(outcome, ImageMetadata):
                described = outcome
            elif planned is not None and isinstance(outcome, PreparedImage):
                tally.read += 1
                tally.multi_frame += outcome.frames > 1
                images[planned.number] = outcome
                described = outcome.metadata or described
            elif planned is not None and planned.known is not None:
                self._progress.note(f"no metadata of {work.record.key}: {outcome}")
            elif planned is not None:
                key = key_of_image(work.record, planned.number)
                tally.states[key] = planned.state
                self._fail(Failure(key, planned.file.uri, "decode", str(outcome)), known, tally)
                unread.add(planned.number)
            if unit.last:
                work = with_metadata(without_images(work, unread), described, known)
                if unread and not work.images:
                    yield from self._by_text(work.record, known)
                elif work.change == "unchanged":
                    tally.changes["unchanged"] += 1
                    self._progress.advance(1)
                else:
                    yield Job(work, images)
                images, described, unread = {}, None, set()

    def _by_text(self, record: Record, known: KnownRows) -> Iterator[Job]:
        """Yields a job for the text of a record whose images cannot be read, if it has one."""
        rest = text_only(record, known) if record.text else None
        if rest is None:
            known.lost(record.key)
        if rest is not None and rest.change != "unchanged":
            yield Job(rest)
        else:
            self._progress.advance(1)

    def _encode_batch(
        self,
        batch: list[Job],
        reader: ImageReader,
        writer: RowWriter,
        *,
        known: KnownRows,
        tally: Tally,
    ) -> None:
        jobs = [
            job
            for whole in without_copies_of_lost_rows(batch, self._store)
            for job in (
                self._read(reader, [whole.work], known, tally) if whole.needs_decoding else [whole]
            )
        ]
        # A record whose image cannot be read keeps its text, whose vector may be lost too.
        jobs = without_copies_of_lost_rows(jobs, self._store)
        started = time.monotonic()
        result = self._batches.encode(jobs, _now())
        tally.encode_seconds += time.monotonic() - started
        tally.truncated += result.truncated
        tally.parts.update(part["kind"] for row in result.rows for part in row["parts"])
        for failure in result.failures:
            self._fail(failure, known, tally)
        written = {row["key"] for row in result.rows}
        tally.changes.update(j.work.change for j in jobs if j.work.record.key in written)
        drops = [job.work.drops for job in jobs]
        writer.add(result.rows, [uid for uid in drops if uid is not None])
        self._progress.advance(len(batch))

    def _fail(self, failure: Failure, known: KnownRows, tally: Tally) -> None:
        known.lost(failure.key)
        tally.failures[failure.key] = failure

    def _write_failures(self, tally: Tally) -> None:
        when = _now()
        rows = []
        for failure in tally.failures.values():
            state = tally.states.get(failure.key)
            rows.append(
                {
                    "key": failure.key,
                    "source": failure.key.split("/", 1)[0],
                    "uri": failure.uri,
                    "stage": failure.stage,
                    "reason": failure.reason,
                    **FileState.columns(state),
                    "seen": when,
                }
            )
        self._store.record_failures(rows)

    def _settle_missing(
        self, source: Source, known: KnownRows, options: IngestOptions, tally: Tally
    ) -> None:
        unreadable = tuple(
            f"{key}/" for key, failure in tally.failures.items() if failure.stage == "source"
        )
        # Nothing is known of what lies below a folder that could not be listed.
        unseen = [row for row in known.unseen(source.name) if not row.key.startswith(unreadable)]
        tally.missing += len(unseen)
        if options.dry_run:
            tally.pruned += len(unseen) if options.prune else 0
            return
        self._store.mark_missing([row.key for row in unseen if not row.missing], _now())
        self._store.forget_failures(known.stale_failures(source.name, set(tally.failures)))
        if options.prune:
            tally.pruned += self._store.prune(source.name)


def _now() -> datetime:
    return datetime.now(UTC)
