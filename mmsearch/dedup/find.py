"""Entry point of deduplication: from a store's rows to pairs, groups and findings."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsearch.dedup.cache.comparison_cache import ComparisonCache
from mmsearch.dedup.cache.database import CachedArrays, CacheDatabase
from mmsearch.dedup.cache.keypoint_cache import KeypointCache
from mmsearch.dedup.calibration import choose_thresholds
from mmsearch.dedup.findings.disagreements import cross_modal_findings
from mmsearch.dedup.findings.vectors import VectorFinder
from mmsearch.dedup.grouping.image_groups import PictureGroups
from mmsearch.dedup.grouping.item_groups import Grouping
from mmsearch.dedup.grouping.verification import Comparer
from mmsearch.dedup.items import CACHE_NAME, Item, PrintCache, read_items
from mmsearch.dedup.keep_rules import KeepRules
from mmsearch.dedup.not_duplicates import MarkedItem, ruled_out_pairs
from mmsearch.dedup.one_file import without_other_names
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.results import DedupReport, Group, Thresholds
from mmsearch.dedup.tiers.image_pairs import PictureFinder
from mmsearch.dedup.tiers.texts import text_pairs
from mmsearch.engine.nearest import Nearest
from mmsearch.errors import RecordNotFound
from mmsearch.generations import live_generation
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.store import Store
from mmsearch.store.spaces import root_of

FOLDER = "dedup"
_MANY_COPIES = 0.01


def find_duplicates(
    folder: Path, options: DedupOptions, bounds: MediaBounds, progress: ProgressListener
) -> DedupReport:
    """Finds the duplicates of the store at `folder`; writes only caches.

    Raises StoreNotFound, BadFilter, InputError, RecordNotFound.
    """
    started = time.monotonic()
    rules = KeepRules.parse(options.keep)
    generation = live_generation(folder)
    store = Store.open(folder)
    _require_sources(store, options.across)
    own = root_of(folder) / FOLDER
    with PrintCache.locked(own, progress):
        database = CacheDatabase(own)
        cache = PrintCache(own / CACHE_NAME)
        items, unread = _items(store, cache, options, bounds, progress=progress)
        vectors = VectorFinder(items, store, Nearest(store, generation), progress)
        # Similarity depends on the model, unlike everything else that is cached in `own`.
        calibrated = folder / FOLDER
        calibrated.mkdir(exist_ok=True)
        thresholds = choose_thresholds(
            calibrated, options, items, cache, vectors=vectors, progress=progress
        )
        pictures = PictureFinder(
            items, cache, database, options, thresholds.edited, bounds, progress
        )
        of_model = CacheDatabase(calibrated)
        memory = _Memory(
            CachedArrays(database, "texts"),
            CachedArrays(of_model, "similar"),
            CachedArrays(of_model, "nearest"),
        )
        grouping = Grouping(
            items,
            options,
            rules,
            not_duplicates=ruled_out_pairs([MarkedItem.of(item) for item in items], store),
        )
        compared = ComparisonCache(database)
        verified = PictureGroups(
            grouping,
            Comparer(items, compared, bounds, progress),
            KeypointCache(database),
            progress,
        )
        groups = _groups(
            grouping,
            pictures,
            verified,
            vectors,
            memory=memory,
            thresholds=thresholds,
            progress=progress,
        )
        compared.save()
        findings, silence = [*cross_modal_findings(groups)], ""
        if options.checks_texts:
            kept = None if options.narrowed else memory.nearest
            misplaced, silence = vectors.misplaced(
                _copies(groups), memory=kept, suspicions=options.suspicions
            )
            findings += misplaced
    return DedupReport(
        items=len({item.whole for item in items}),
        groups=tuple(groups),
        findings=tuple(findings),
        thresholds=thresholds,
        unread=tuple(unread),
        seconds=time.monotonic() - started,
        silence=silence,
    )


@dataclass(frozen=True, slots=True)
class _Memory:
    """What earlier runs found in texts and vectors."""

    texts: CachedArrays
    similar: CachedArrays
    nearest: CachedArrays


def _require_sources(store: Store, across: tuple[str, str] | None) -> None:
    names = {entry.name for entry in store.manifest.sources}
    if across and not set(across) <= names:
        absent = min(set(across) - names)
        raise RecordNotFound(f"no source '{absent}'; there are: {', '.join(sorted(names))}")


def _items(
    store: Store,
    cache: PrintCache,
    options: DedupOptions,
    bounds: MediaBounds,
    *,
    progress: ProgressListener,
) -> tuple[list[Item], list[str]]:
    """The items with their fingerprints, and the keys of items whose files cannot be read."""
    items = read_items(store, options.where, [place.absolute() for place in options.references])
    if options.across:
        items = [item for item in items if item.source in options.across]
    items = without_other_names(items)
    paths = {item.image_hash: item.uri for item in items if item.image_hash and item.uri}
    if options.perceptual:
        cache.complete(paths, bounds, progress)
    unread = [
        item.key
        for item in items
        if options.perceptual and item.image_hash in paths and cache.row(item.image_hash) is None
    ]
    return [cache.measured(item) for item in items], unread


def _groups(
    grouping: Grouping,
    pictures: PictureFinder,
    verified: PictureGroups,
    vectors: VectorFinder,
    *,
    memory: _Memory,
    thresholds: Thresholds,
    progress: ProgressListener,
) -> list[Group]:
    tiers, chosen_rows = grouping.options.tiers, grouping.options.narrowed
    groups = verified.groups(pictures.pairs())
    texts = [item.text for item in grouping.items]
    text_matches = text_pairs(
        texts, tiers, thresholds.text_near, progress, memory=memory.texts, narrowed=chosen_rows
    )
    groups += grouping.groups("text", text_matches)
    if "similar" in tiers:
        copies = _copies(groups)
        # Copies of one image would otherwise fill the neighbour lists.
        narrowed = chosen_rows or len(copies) > _MANY_COPIES * len(texts)
        kept = None if chosen_rows else memory.similar
        near = vectors.similar(copies, thresholds.similar, narrowed=narrowed, memory=kept)
        groups += grouping.similar(near)
    return groups


def _copies(groups: Sequence[Group]) -> set[int]:
    """The uids of duplicate images that are not kept."""
    return {
        member.item.uid for group in groups if group.family == "picture" for member in group.others
    }
