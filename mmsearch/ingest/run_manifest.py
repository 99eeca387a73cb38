"""What a run of `index` writes to the manifest: at its start what is requested, then the result.

Between the two only uids are taken, so a run that is interrupted leaves the request of its start,
which the next run completes.
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
    """Returns what was set of REMEMBERED for this run."""
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
    """Notes that a run is under way; returns how many rows an interrupted one had written.

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
    """Forgets what the run under way requested, so that the next one is not refused it as well."""
    running = store.manifest.running or {}
    store.update_manifest(running={"started": running["started"]})


def end_run(store: Store, requested: Manifest, report: IngestReport) -> None:
    """Notes that the run is complete: what it did, and what it requested for later runs."""
    names = {entry.name for entry in store.manifest.sources}
    before = (store.manifest.last_run or {}).get("skipped", {})
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
    }
    remembered = {name: getattr(requested, name) for name in REMEMBERED}
    store.update_manifest(running=None, last_run=summary, **remembered)
