"""Records a run of `index` in the manifest: its settings at the start, its result at the end.

Only uids are reserved in between, so that an interrupted run leaves the settings of its start for
the next run to complete.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mmsearch.config import Settings
from mmsearch.progress import ProgressListener
from mmsearch.records import IngestReport
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest, SourceEntry

# Settings that hold for later runs too.
REMEMBERED = ("fusion", "image_weight", "index", "recall", "memory")
_COUNTS = ("added", "updated", "moved", "restored", "unchanged", "missing")


def remembered_settings(settings: Settings) -> dict[str, Any]:
    """Returns the settings among REMEMBERED that were given for this run."""
    given = {name: getattr(settings, name) for name in REMEMBERED}
    return {name: value for name, value in given.items() if value is not None}


def requested_manifest(manifest: Manifest, settings: Settings) -> Manifest:
    """Returns the manifest as it will be when this run ends.

    Settings of this run come first, then those of a run that was interrupted.
    """
    interrupted = (manifest.running or {}).get("requested", {})
    return replace(manifest, **{**interrupted, **remembered_settings(settings)})


def begin_run(
    store: Store, requested: Manifest, sources: tuple[SourceEntry, ...], progress: ProgressListener
) -> int:
    """Records that a run has started; returns how many rows an interrupted one had written.

    sources: added to the store's.
    """
    previous, resumed = store.manifest.running, 0
    if previous is not None:
        since = f"_indexed >= timestamp '{previous['started']}'"
        resumed = store.scan(["_uid"], since).num_rows
        progress.note(
            f"resuming: the last run was interrupted; the {resumed:,} items it wrote are kept"
        )
    manifest = store.manifest
    for entry in sources:
        manifest = manifest.with_source(entry)
    running = {
        "started": previous["started"] if previous else datetime.now(UTC).isoformat(" "),
        "requested": {name: getattr(requested, name) for name in REMEMBERED},
    }
    store.update_manifest(running=running, sources=manifest.sources)
    return resumed


def refuse_request(store: Store) -> None:
    """Forgets the settings of the current run, so that the next one is not refused too."""
    running = store.manifest.running or {}
    store.update_manifest(running={"started": running["started"]})


def end_run(store: Store, requested: Manifest, report: IngestReport) -> None:
    """Records the result of a run, and its settings for later runs."""
    names = {entry.name for entry in store.manifest.sources}
    last_run = store.manifest.last_run or {}
    before = last_run.get("skipped", {})
    encoded = report.added + report.updated
    rate = encoded / report.seconds if encoded and report.seconds else None
    # A run of one source leaves what is known of the others.
    skipped = {
        name: dict(kinds)
        for name, kinds in {**before, **report.skipped}.items()
        if kinds and name in names
    }
    summary = {
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 2),
        **{name: getattr(report, name) for name in _COUNTS},
        "failures": len(report.failures),
        "skipped": skipped,
        # For the estimates of dry runs; a run that encodes nothing leaves an earlier rate.
        "items_per_second": round(rate, 2) if rate else last_run.get("items_per_second"),
    }
    remembered = {name: getattr(requested, name) for name in REMEMBERED}
    store.update_manifest(running=None, last_run=summary, **remembered)
