"""One run of `index`: sources are walked, changes encoded and written, missing files marked.

Rows are committed in large batches, so a run that is stopped anywhere has lost only the batch in
hand; the next one finds the rest unchanged.
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice

from mmsearch.config import Settings
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.devices import DeviceChoice
from mmsearch.errors import InputError
from mmsearch.ingest.batches import BatchEncoder, Job, without_copies_of_lost_rows
from mmsearch.ingest.changes import (
    KNOWN_COLUMNS,
    FileState,
    KnownRow,
    KnownRows,
    Work,
    plan,
    text_only,
)
from mmsearch.ingest.decoding import PictureReader
from mmsearch.malloc_tuning import reused_memory
from mmsearch.media import MediaBounds, raw_format_of
from mmsearch.progress import ProgressListener
from mmsearch.records import Failure, IngestReport, Record, real_path
from mmsearch.sources.base import Source
from mmsearch.store import Store

# Lance commits cost the same for one row as for thousands, and each leaves a version behind.
ROWS_PER_COMMIT = 4096
# Batches in flight in the decoding workers: enough to keep the encoder fed, bounded in memory.
BATCHES_AHEAD = 4
# Catalogs up to this size are listed before decoding starts, so that time left can be told.
LISTED_AHEAD = 50_000


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """retry: read files again that failed before. prune: drop rows whose files are missing."""

    retry: bool = False
    prune: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class _Tally:
    """What a run has done so far."""

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
    """Brings a store up to date with sources. Run it under the store's write lock."""

    def __init__(
        self,
        store: Store,
        encoder: Encoder,
        settings: Settings,
        *,
        progress: ProgressListener,
        device: DeviceChoice,
        require_room: Callable[[int], None] = lambda vectors: None,
    ) -> None:
        """require_room: told how many vectors of one kind a source brings at least, before any is
        made; what it raises ends the run.
        """
        self._require_room = require_room
        self._store, self._encoder, self._settings = store, encoder, settings
        self._progress, self._device = progress, device.name
        self._batch_size = settings.batch_size or device.batch_size
        self._batches = BatchEncoder(encoder, store)

    @reused_memory()
    def run(self, sources: Sequence[Source], options: IngestOptions) -> IngestReport:
        """Raises SpaceMismatch, InputError; a bad item becomes a Failure."""
        self._store.manifest.space.require(self._encoder.space, holder=str(self._store.folder))
        started = time.monotonic()
        resumed = self._begin(options)
        tally = _Tally()
        for source in sources:
            self._run_source(source, options, tally)
        report = self._report(tally, resumed, time.monotonic() - started)
        if not options.dry_run:
            self._end(report)
        return report

    def _begin(self, options: IngestOptions) -> int:
        """Notes that a run is under way; returns how many rows an interrupted one had written."""
        previous = self._store.manifest.running
        resumed = 0
        if previous is not None:
            since = f"_indexed >= timestamp '{previous['started']}'"
            resumed = self._store.scan(["_uid"], since).num_rows
            self._progress.note(
                f"resuming: the last run was interrupted; the {resumed} items it wrote are kept"
            )
        if not options.dry_run:
            started = previous["started"] if previous else _now().isoformat(" ")
            self._store.update_manifest(running={"started": started})
        return resumed

    def _end(self, report: IngestReport) -> None:
        summary = {
            "ended": _now().isoformat(timespec="seconds"),
            "seconds": round(report.seconds, 2),
            **{
                name: getattr(report, name)
                for name in ("added", "updated", "moved", "restored", "unchanged", "missing")
            },
            "failures": len(report.failures),
        }
        self._store.update_manifest(running=None, last_run=summary)

    def _run_source(self, source: Source, options: IngestOptions, tally: _Tally) -> None:
        known = KnownRows(self._store.scan(KNOWN_COLUMNS), self._store.failures())
        head, rest = _listed(_present(source, known))
        self._require_room(_most_vectors(head))
        total = len(head) if rest is None else None
        records = chain(head, rest or ())
        self._progress.start(f"indexing {source.name}", total, device=self._device)
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
        writer = _Writer(self._store, self._settings.commit_seconds)
        bounds = MediaBounds.of(self._settings)
        spec = self._encoder.preprocessing
        with PictureReader(bounds=bounds, spec=spec, workers=self._workers()) as reader:
            jobs = self._read(reader, self._changed(works, tally), known, tally)
            try:
                while batch := list(islice(jobs, self._batch_size)):
                    self._encode_batch(batch, reader, writer, known, tally)
            finally:
                # Also on Ctrl-C: what is encoded is written, and the next run goes on from there.
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
        reader: PictureReader,
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
        """The ledger gets the failure; a record that has a text stays findable by it."""
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
        reader: PictureReader,
        writer: "_Writer",
        known: KnownRows,
        tally: _Tally,
    ) -> None:
        jobs = [
            job
            for whole in without_copies_of_lost_rows(batch, self._store)
            for job in (
                self._read(reader, [whole.work], known, tally) if whole.to_be_read else [whole]
            )
        ]
        # One that cannot be read is left with its text, whose vector may be lost as well.
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
                    "_size": state.size if state else None,
                    "_mtime": state.mtime if state else None,
                    "_ctime": state.ctime if state else None,
                    "seen": when,
                }
            )
        self._store.record_failures(rows)

    def _settle_missing(
        self, source: Source, known: KnownRows, options: IngestOptions, tally: _Tally
    ) -> None:
        unseen = known.unseen(source.name)
        tally.missing += len(unseen)
        if options.dry_run:
            tally.pruned += len(unseen) if options.prune else 0
            return
        self._store.mark_missing([row.key for row in unseen if not row.missing], _now())
        self._store.forget_failures(known.stale_failures(source.name, set(tally.failures)))
        if options.prune:
            tally.pruned += self._store.prune(source.name)

    def _workers(self) -> int:
        return self._settings.workers or max(1, (os.cpu_count() or 2) - 1)

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


class _Writer:
    """Collects rows and commits them in large batches; gives out uids, which are never reused."""

    def __init__(self, store: Store, commit_seconds: float) -> None:
        self._store, self._commit_seconds = store, commit_seconds
        self._rows: list[dict[str, object]] = []
        self._drops: list[int] = []
        self._last = time.monotonic()

    def add(self, rows: Sequence[dict[str, object]], drops: Sequence[int]) -> None:
        self._rows += rows
        self._drops += drops
        waited = time.monotonic() - self._last
        if len(self._rows) >= ROWS_PER_COMMIT or waited >= self._commit_seconds:
            self.flush()

    def flush(self) -> None:
        with uninterrupted():
            if self._rows:
                self._store.write_rows(self._rows, drops=self._drops)
            self._rows, self._drops, self._last = [], [], time.monotonic()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block.

    LanceDB goes on with a commit whose caller was interrupted, so writing the rows once more on
    the way out would write them twice.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    pressed = threading.Event()
    signal.signal(signal.SIGINT, lambda number, frame: pressed.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt


def _present(source: Source, known: KnownRows) -> Iterator[Record | Failure]:
    """The source's records. An empty catalog that had rows looks like an unmounted drive."""
    iterator = iter(source)
    first = next(iterator, None)
    held = known.count(source.name)
    if first is None and held and not _all_raw(known.unseen(source.name)):
        raise InputError(
            f"{source.root} is empty, but the store holds {held} items of it: is its drive "
            "mounted? Nothing was changed; take them out with 'mmsearch index --drop "
            f"{source.name}' if they are really gone"
        )
    return chain([] if first is None else [first], iterator)


def _all_raw(rows: Sequence[KnownRow]) -> bool:
    """Whether a store from before raw photos were skipped holds nothing else of a source."""
    return all(raw_format_of(real_path(row.uri)) is not None for row in rows)


def _listed(
    records: Iterator[Record | Failure],
) -> tuple[list[Record | Failure], Iterator[Record | Failure] | None]:
    """The first LISTED_AHEAD records, and the rest if there is any."""
    head = list(islice(records, LISTED_AHEAD))
    following = next(records, None)
    return head, None if following is None else chain([following], records)


def _most_vectors(listed: Sequence[Record | Failure]) -> int:
    """How many pictures the records have, or how many texts if those are more."""
    records = [record for record in listed if isinstance(record, Record)]
    pictures = sum(record.image is not None for record in records)
    return max(pictures, sum(bool(record.text) for record in records))


def _now() -> datetime:
    return datetime.now(UTC)
