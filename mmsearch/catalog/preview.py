"""What a dry run shows: how each source is read, its first items, and what indexing would take."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmsearch.catalog.sources import SourcePlan, UnavailableSource
from mmsearch.progress_display import clock_text
from mmsearch.records import IngestReport
from mmsearch.sources.first_rows import preview
from mmsearch.store.manifest import Manifest


def preview_lines(plans: Sequence[SourcePlan]) -> Iterator[str]:
    """Yields the mapping of each table, and the first items of each source."""
    for plan in plans:
        if not isinstance(plan.source, UnavailableSource):
            yield from (f"{plan.entry.name}: {line}" for line in preview(plan.source))


def estimate(root: Path, manifest: Manifest | None, report: IngestReport) -> str:
    """Returns how much time and disk a run would take, by the rate and size of earlier ones.

    report: of the dry run.
    """
    pending = report.added + report.updated
    if not pending:
        return "nothing has to be encoded"
    needed = f"{pending:,} items have to be encoded"
    rate = (manifest.last_run or {}).get("items_per_second") if manifest else None
    if manifest is None or not rate or not manifest.next_uid:
        return f"{needed}; no earlier run shows how long that takes"
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
    megabytes = pending * size / manifest.next_uid / 1e6
    time = clock_text(pending / rate)
    return f"{needed}: about {time} and {megabytes:,.1f} MB, if they are like earlier ones"
