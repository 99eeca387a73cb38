"""One run of `index`: reads sources, encodes and writes changes, marks missing files.

Rows are committed in large batches. A run that is stopped loses at most the current batch; the next
run finds the others unchanged.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain, islice
from typing import NamedTuple

from mmsearch.config import Settings
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.devices import DeviceChoice
from mmsearch.errors import InputError, SourceUnavailable
from mmsearch.indexes import IndexOptions, choose
from mmsearch.ingest.batches import BatchEncoder, Job, without_copies_of_lost_rows
from mmsearch.ingest.changes import (
    FileState,
    KnownRows,
    Work,
    plan,
    text_only,
)
from mmsearch.ingest.decoding import ImageReader
from mmsearch.ingest.listing import list_ahead, most_vectors, present_records
from mmsearch.ingest.writing import RowWriter
from mmsearch.malloc_tuning import reused_memory
from mmsearch.media import MediaBounds
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

    retry: read files again that failed before. prune: remove rows whose files are missing.
    dry_run: count changes only.
    """

    retry: bool = False
    prune: bool = False
    dry_run: bool = False


class LoadedEncoder(NamedTuple):
    """An encoder of the store's space, and the device that it runs on."""

    encoder: Encoder
    device: DeviceChoice


@dataclass(slots=True)
class _Tally:
    """The counts and failures of a run so far."""

    changes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    states: dict[str, FileState] = field(default_factory=dict)
    truncated: int = 0
    read: int = 0
    multi_frame: int = 0
    missing: int = 0
    pruned: int = 0
    encode_seconds: float = 0.0


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
        return BatchEncoder(self._loaded.encoder, self._store)

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
        tally = _Tally()
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
        report = self._report(tally, resumed, time.monotonic() - started)
        return replace(report, skipped=skipped)

    def _run_source(self, source: Source, options: IngestOptions, tally: _Tally) -> None:
        known = KnownRows(self._store.known_files(), self._store.failures())
        head, rest = list_ahead(present_records(source, known))
        choose(most_vectors(head), self._store.dim, self._index)
        total = len(head) if rest is None else None
        records = chain(head, rest or ())
        self._progress.start(f"indexing {source.name}", total)
        works = self._planned(records, known, tally, retry=options.retry)
        if options.dry_run:
            self._count(works, tally)
        else:
            self._write_all(works, known, tally)
        self._settle_missing(source, known, options, tally)

    def _planned(
        self,
        records: Iterable[Record | Failure],
        known: KnownRows,
        tally: _Tally,
        *,
        retry: bool,
    ) -> Iterator[Work]:
        for record in records:
            outcome = record if isinstance(record, Failure) else plan(record, known, retry=retry)
            if isinstance(outcome, Failure):
                self._fail(outcome, known, tally)
                if isinstance(record, Failure) or not record.text:
                    self._progress.advance(1)
                    continue
                outcome = text_only(record, known)
            if outcome.change == "moved" and outcome.previous is not None:
                known.take(outcome.previous)
            yield outcome

    def _count(self, works: Iterable[Work], tally: _Tally) -> None:
        for work in works:
            tally.changes[work.change] += 1
            self._progress.advance(1)

    def _write_all(self, works: Iterable[Work], known: KnownRows, tally: _Tally) -> None:
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
                while batch := list(islice(jobs, self._batch_size)):
                    self._encode_batch(batch, reader, writer, known=known, tally=tally)
            finally:
                # Also on Ctrl-C, so that the next run continues from here.
                writer.flush()
                self._write_failures(tally)

    def _changed(self, works: Iterable[Work], tally: _Tally) -> Iterator[Work]:
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
        tally: _Tally,
    ) -> Iterator[Job]:
        look_ahead = BATCHES_AHEAD * self._batch_size
        for work, outcome in reader.read_ahead(
            works, lambda work: work.record.image if work.read else None, look_ahead
        ):
            if outcome is None:
                yield Job(work)
            elif isinstance(outcome, InputError):
                yield from self._unreadable(work, str(outcome), known, tally)
            else:
                tally.read += 1
                tally.multi_frame += outcome.frames > 1
                yield Job(work, outcome)

    def _unreadable(
        self, work: Work, reason: str, known: KnownRows, tally: _Tally
    ) -> Iterator[Job]:
        """Records a failure; yields a job for the record's text if it has one."""
        record = work.record
        if work.state is not None:
            tally.states[record.key] = work.state
        self._fail(Failure(record.key, record.uri, "decode", reason), known, tally)
        rest = text_only(record, known) if record.text else None
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
        tally: _Tally,
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
        for failure in result.failures:
            self._fail(failure, known, tally)
        written = {row["key"] for row in result.rows}
        tally.changes.update(j.work.change for j in jobs if j.work.record.key in written)
        drops = [job.work.drops for job in jobs]
        writer.add(result.rows, [uid for uid in drops if uid is not None])
        self._progress.advance(len(batch))

    def _fail(self, failure: Failure, known: KnownRows, tally: _Tally) -> None:
        known.lost(failure.key)
        tally.failures[failure.key] = failure

    def _write_failures(self, tally: _Tally) -> None:
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
        self, source: Source, known: KnownRows, options: IngestOptions, tally: _Tally
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

    def _report(self, tally: _Tally, resumed: int, seconds: float) -> IngestReport:
        done = sum(tally.changes.values())
        return IngestReport(
            added=tally.changes["added"],
            updated=tally.changes["updated"],
            moved=tally.changes["moved"],
            restored=tally.changes["restored"],
            unchanged=tally.changes["unchanged"],
            missing=tally.missing,
            pruned=tally.pruned,
            resumed=resumed,
            truncated_texts=tally.truncated,
            failures=tuple(tally.failures[key] for key in sorted(tally.failures)),
            seconds=seconds,
            rates={
                "total": done / seconds if seconds else 0.0,
                "encode": (
                    (done - tally.changes["unchanged"]) / tally.encode_seconds
                    if tally.encode_seconds
                    else 0.0
                ),
            },
            decoded=tally.read,
            multi_frame=tally.multi_frame,
        )


def _now() -> datetime:
    return datetime.now(UTC)
