"""Indexes sources: they are read, changes are encoded and written, and the indexes follow."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mmsearch.catalog.fetching import fetching_sources
from mmsearch.catalog.opening import manifest_of, open_or_create
from mmsearch.catalog.preview import estimate, preview_lines
from mmsearch.catalog.resolve import Encoders, model_name, require_same_space
from mmsearch.catalog.sources import (
    SourcePlan,
    given_vectors,
    overlaps,
    plan_sources,
    restored_options,
    source_notes,
    store_pictures,
)
from mmsearch.config import Settings
from mmsearch.errors import InputError, RecordNotFound
from mmsearch.progress import ProgressListener
from mmsearch.records import IngestReport, printable_path
from mmsearch.sources import SourceOptions
from mmsearch.store import Store
from mmsearch.store.lock import require_writable
from mmsearch.store.manifest import Manifest, read_manifest
from mmsearch.store.spaces import live_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRun:
    """How a run of `index` goes; its fields are parameters of `Catalog.index`."""

    options: SourceOptions | None = None
    retry: bool = False
    prune: bool = False
    rebuild: bool = False
    dry_run: bool = False
    metadata: bool | None = None
    position: bool | None = None
    fetch: bool | None = None
    refetch: bool = False

    @property
    def option_changes(self) -> dict[str, bool]:
        """The options of the sources that this run changes, and which are then remembered."""
        given = {"metadata": self.metadata, "position": self.position, "fetch": self.fetch}
        return {name: value for name, value in given.items() if value is not None}


def index_sources(
    root: Path,
    locations: Sequence[Path | str],
    run: IndexRun,
    settings: Settings,
    *,
    progress: ProgressListener,
    encoders: Encoders | None = None,
) -> IngestReport:
    """Reads the sources, encodes and writes what changed, and updates the indexes.

    encoders: those of earlier runs, so that a model is loaded once.
    Raises InputError, StoreLocked, SpaceMismatch, MissingModel.
    """
    if not run.dry_run:
        require_writable(root)
    manifest = manifest_of(root)
    require_same_space(root, manifest, settings)
    pictures = store_pictures(root, read_only=run.dry_run)
    plans = plan_sources(
        locations, manifest, run.options, settings,
        skip_unavailable=True, changes=run.option_changes, pictures=pictures,
    )  # fmt: skip
    notes = source_notes(plans)
    for note in [*_store_notes(root, plans, manifest), *notes, *overlaps(plans, manifest)]:
        progress.note(note)
    if run.dry_run:
        for line in preview_lines(plans):
            progress.note(line)

    # These take long to import, so they come after the checks.
    from mmsearch.encoders.registry import space_of
    from mmsearch.indexes import choose
    from mmsearch.ingest.embedded import MetadataOptions
    from mmsearch.ingest.index_update import index_options, requested_fusion, update_indexes
    from mmsearch.ingest.run import Ingest, IngestOptions, LoadedEncoder
    from mmsearch.ingest.run_manifest import (
        begin_run,
        end_run,
        refuse_request,
        remembered_settings,
        requested_manifest,
    )
    from mmsearch.store.migrations import migrate

    model = model_name(settings, manifest)
    given = [vectors for plan in plans if (vectors := given_vectors(plan)) is not None]
    all_given = len(given) == len(plans)
    encoders = encoders or Encoders(settings)

    @cache
    def load() -> LoadedEncoder:
        from mmsearch.encoders.devices import DeviceChoice, choose_device

        if all_given:
            device = DeviceChoice("cpu", "only where vectors are missing")
            return LoadedEncoder(encoders.deferred(model), device)
        device = choose_device(settings.device)
        progress.note(f"encoding with '{model}' on {device.name} ({device.reason})")
        return LoadedEncoder(encoders.full(model), device)

    if all_given:
        progress.note(f"the vectors in the table are taken as those of '{model}'")
    # A store that exists may need nothing encoded. That a device is there, only torch can tell.
    later = settings.device in ("auto", "cpu") and (run.dry_run or manifest is not None)
    space = (space_of(model) if later else None) or load().encoder.space
    for vectors in given:
        vectors.require_space(space)
    with (
        open_or_create(root, settings, space, dry_run=run.dry_run, on_wait=progress.note) as store,
        ExitStack() as resources,
    ):
        if store.manifest.sources != (manifest.sources if manifest else ()):
            # Another run, which this one waited for, has named its sources meanwhile.
            plans = plan_sources(
                locations, store.manifest, run.options, settings,
                skip_unavailable=True, changes=run.option_changes, pictures=pictures,
            )  # fmt: skip
        if not run.dry_run:
            migrate(store, progress.note)
        # What cannot be done is refused before anything is encoded or remembered.
        store.manifest.space.require(space, holder=str(store.folder))
        requested = requested_manifest(store.manifest, settings)
        fusion = requested_fusion(requested, model, space)
        index = index_options(requested)
        if remembered_settings(settings):
            counts = store.counts()
            choose(max(counts["image"], counts["text"]), store.dim, index)
        ingest = Ingest(store, load, settings, progress=progress, index=index)
        options = IngestOptions(
            retry=run.retry,
            prune=run.prune,
            dry_run=run.dry_run,
            metadata={
                plan.entry.name: MetadataOptions.of(
                    restored_options(plan.entry.options), unread=bool(run.metadata)
                )
                for plan in plans
            },
        )
        sources = [plan.source for plan in plans]
        if any(plan.entry.options.get("fetch") for plan in plans):
            sources = resources.enter_context(
                fetching_sources(
                    plans,
                    store,
                    settings,
                    retry=run.retry,
                    refetch=run.refetch,
                    offline=run.dry_run,
                    progress=progress,
                )
            )
        if run.dry_run:
            report = ingest.run(sources, options)
            progress.note(estimate(root, manifest, report))
        else:
            entries = tuple(plan.entry for plan in plans)
            resumed = begin_run(store, requested, entries, progress)
            try:
                report = replace(ingest.run(sources, options), resumed=resumed)
            except InputError:
                refuse_request(store)
                raise
            update_indexes(store, settings, progress, fusion=fusion, rebuild=run.rebuild)
            end_run(store, requested, report)
        # What was left out of a folder is known only once it has been walked.
        for note in source_notes(plans):
            if note not in notes:
                progress.note(note)
    return report


def drop_source(root: Path, name: str, settings: Settings, progress: ProgressListener) -> int:
    """Moves all rows of a source out of the store; returns how many. Raises RecordNotFound."""
    _require_source(read_manifest(live_folder(root)), name)
    from mmsearch.ingest.index_update import update_indexes

    store = Store.open(live_folder(root))
    with store.writing(timeout=settings.lock_timeout, on_wait=progress.note):
        _require_source(store.manifest, name)
        store.mark_source_missing(name)
        dropped = store.prune(name)
        store.forget_failures([row["key"] for row in store.failures() if row["source"] == name])
        kept = tuple(entry for entry in store.manifest.sources if entry.name != name)
        store.update_manifest(sources=kept)
        update_indexes(store, settings, progress)
    return dropped


def _require_source(manifest: Manifest, name: str) -> None:
    names = [entry.name for entry in manifest.sources]
    if name not in names:
        raise RecordNotFound(f"no source '{name}'; there are: {', '.join(names) or 'none'}")


def _store_notes(
    root: Path, plans: Sequence[SourcePlan], manifest: Manifest | None
) -> Iterator[str]:
    """Which store is created, or gains sources."""
    if manifest is None:
        yield f"creating the store {printable_path(root)}"
        return
    known = {entry.name for entry in manifest.sources}
    new = [f"'{plan.entry.name}'" for plan in plans if plan.entry.name not in known]
    if new:
        yield f"adding {', '.join(new)} to the store {printable_path(root)}"
