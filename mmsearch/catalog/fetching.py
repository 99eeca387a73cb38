"""Sources whose images are fetched from URLs, for one run of `index`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmsearch.catalog.sources import SourcePlan
from mmsearch.config import Settings
from mmsearch.progress import ProgressListener
from mmsearch.sources import FolderSource, Source
from mmsearch.sources.picture_files import FOLDER_NAME
from mmsearch.store import Store
from mmsearch.store.spaces import root_of


@contextmanager
def fetching_sources(
    plans: Sequence[SourcePlan],
    store: Store,
    settings: Settings,
    *,
    retry: bool,
    refetch: bool,
    offline: bool,
    progress: ProgressListener,
) -> Iterator[list[Source]]:
    """Gives the sources of the plans, those that fetch in a FetchingSource; notes what it fetched.

    retry, refetch, offline: as in `FetchOptions`; with retry, images that could not be decoded are
    downloaded again as well.
    """
    from mmsearch.fetching.fetcher import Fetcher, FetchOptions
    from mmsearch.fetching.source import FetchingSource

    failed = {row["key"] for row in store.failures()} if retry else set()
    options = FetchOptions(retry=retry, refetch=refetch, offline=offline)
    with Fetcher(root_of(store.folder) / FOLDER_NAME, settings, options) as fetcher:
        yield [
            FetchingSource(plan.source, fetcher, failed)
            if plan.entry.options.get("fetch") and not isinstance(plan.source, FolderSource)
            else plan.source
            for plan in plans
        ]
        if fetcher.images:
            progress.note(f"fetched {fetcher.images:,} images ({fetcher.size / 1e6:,.1f} MB)")
        if fetcher.kept:
            progress.note(
                f"{fetcher.kept:,} URLs could not be asked for changes; their images are kept"
            )
