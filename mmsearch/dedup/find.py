"""`mmsearch dedup`: a store's rows become pairs tier by tier, pairs groups, groups findings."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from mmsearch.dedup.edited import CERTAIN, EDITED_AGREEMENT, find_edited
from mmsearch.dedup.findings import cross_modal_findings
from mmsearch.dedup.groups import group_pairs
from mmsearch.dedup.items import CACHE_NAME, Item, PrintCache, read_rows, to_item
from mmsearch.dedup.keep import DEFAULT_RULES, KeepRules
from mmsearch.dedup.results import TIERS, DedupReport, Family, Group, Member, Pair, Tier
from mmsearch.dedup.texts import NEAR_TEXT, near_texts, normalised
from mmsearch.dedup.views import INVERSE, ORIENTATIONS
from mmsearch.engine.nearest import Nearest
from mmsearch.errors import InputError, RecordNotFound
from mmsearch.fusion import unit
from mmsearch.generations import live_generation
from mmsearch.media import MediaBounds, decode
from mmsearch.progress import ProgressListener
from mmsearch.records import real_path
from mmsearch.store.lance import Store
from mmsearch.store.spaces import root_of

FOLDER = "dedup"
# Cosine of image vectors: other shots of one thing lie above, most other things below.
SIMILAR = 0.92
_SIMILAR_ASKED = 12
_EQUAL_BYTES, _EQUAL_PIXELS = 2.0, 1.5
# Equal pixels, decoded at another scale, agree at least so far.
_MAYBE_EQUAL = 0.98


@dataclass(frozen=True, slots=True)
class DedupOptions:
    """tiers: which to look for. where: SQL. across: names of two sources, groups span both.

    references: folders whose items always stay. within_folder: pairs of one folder only.
    keep: rules in order, see `keep.KeepRules`. edited, similar: thresholds of these tiers.
    """

    tiers: tuple[Tier, ...] = TIERS
    where: str | None = None
    across: tuple[str, str] | None = None
    references: tuple[Path, ...] = ()
    within_folder: bool = False
    keep: str = DEFAULT_RULES
    edited: float = EDITED_AGREEMENT
    similar: float = SIMILAR


def find_duplicates(
    folder: Path, options: DedupOptions, bounds: MediaBounds, progress: ProgressListener
) -> DedupReport:
    """Reads the store at `folder` and the pictures' files; writes only the cache of fingerprints.

    Raises StoreNotFound, BadFilter, InputError, RecordNotFound.
    """
    started = time.monotonic()
    rules = KeepRules.parse(options.keep)
    nearest_of = live_generation(folder)
    store = Store.open(folder)
    _require_sources(store, options.across)
    finder = _Finder(store, Nearest(store, nearest_of), options, bounds, progress)
    pictures, texts, similar = finder.pictures(), finder.texts(), finder.similar
    groups = finder.groups("picture", pictures, rules)
    groups += finder.groups("text", texts, rules)
    if "similar" in options.tiers:
        groups += finder.groups("similar", similar(groups), rules)
    return DedupReport(
        items=len(finder.items),
        groups=tuple(groups),
        findings=tuple(cross_modal_findings(groups)),
        thresholds={"edited": options.edited, "similar": options.similar, "text-near": NEAR_TEXT},
        unread=tuple(finder.unread),
        seconds=time.monotonic() - started,
    )


def parse_tiers(text: str | None) -> tuple[Tier, ...]:
    """'bytes,edited' → the tiers; None → all. Raises InputError, naming those that there are."""
    names = TIERS if text is None else [name.strip() for name in text.split(",")]
    unknown = set(names) - set(TIERS)
    if unknown:
        raise InputError(f"no tier '{min(unknown)}'; there are {', '.join(TIERS)}")
    return tuple(tier for tier in TIERS if tier in names)


def _require_sources(store: Store, across: tuple[str, str] | None) -> None:
    names = {entry.name for entry in store.manifest.sources}
    if across and not set(across) <= names:
        absent = min(set(across) - names)
        raise RecordNotFound(f"no source '{absent}'; there are: {', '.join(sorted(names))}")


class _Finder:
    """The items of one run, and the pairs that each modality gives."""

    def __init__(
        self,
        store: Store,
        nearest: Nearest,
        options: DedupOptions,
        bounds: MediaBounds,
        progress: ProgressListener,
    ) -> None:
        self._store, self._nearest, self._options = store, nearest, options
        self._bounds, self._progress = bounds, progress
        rows = read_rows(store, options.where)
        if options.across:
            rows = [row for row in rows if row["source"] in options.across]
        self._cache = PrintCache(root_of(store.folder) / FOLDER / CACHE_NAME)
        wanted = {
            row["_image_hash"]: real_path(row["uri"])
            for row in rows
            if row["_image_hash"] and row["uri"]
        }
        if {"pixels", "edited"} & set(options.tiers):
            self._cache.complete(wanted, bounds, progress)
        references = [place.absolute() for place in options.references]
        self.items: list[Item] = []
        self.unread: list[str] = []
        for row in rows:
            place = self._cache.row(row["_image_hash"] or "")
            sharpness = 0.0 if place is None else self._cache.sharpness(place)
            self.items.append(to_item(row, sharpness, references))
            if place is None and row["_image_hash"] in wanted and self._perceptual:
                self.unread.append(row["key"])

    @property
    def _perceptual(self) -> bool:
        return bool({"pixels", "edited"} & set(self._options.tiers))

    # --- pictures ---

    def pictures(self) -> list[Pair]:
        """Pairs of the tiers bytes, pixels and edited."""
        by_hash: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(self.items):
            if item.image_hash:
                by_hash[item.image_hash].append(place)
        pairs = [
            Pair(places[0], other, "bytes", _EQUAL_BYTES, "the files hold the same bytes")
            for places in by_hash.values()
            for other in places[1:]
            if "bytes" in self._options.tiers
        ]
        return pairs + (self._perceptual_pairs(by_hash) if self._perceptual else [])

    def _perceptual_pairs(self, by_hash: dict[str, list[int]]) -> list[Pair]:
        known = [(h, row) for h in by_hash if (row := self._cache.row(h)) is not None]
        self._progress.start("comparing pictures", None)
        thumbnails = self._cache.thumbnails([row for _, row in known])
        found = find_edited(thumbnails, threshold=self._options.edited)
        pairs = []
        for (one, two), agreement, turn in zip(
            found.pairs.tolist(), found.agreement.tolist(), found.orientation.tolist(), strict=True
        ):
            first, second = by_hash[known[one][0]][0], by_hash[known[two][0]][0]
            if first > second:
                first, second, turn = second, first, int(INVERSE[turn])
            if turn == 0 and agreement >= _MAYBE_EQUAL and self._equal_pixels(first, second):
                if "pixels" in self._options.tiers:
                    text = "all pixels are equal once decoded"
                    pairs.append(Pair(first, second, "pixels", _EQUAL_PIXELS, text))
            elif "edited" in self._options.tiers:
                text = f"{ORIENTATIONS[turn].name}, patches agree to {agreement:.2f}"
                pairs.append(Pair(first, second, "edited", agreement, text))
        return pairs

    def _equal_pixels(self, first: int, second: int) -> bool:
        one, two = self.items[first], self.items[second]
        if (one.width, one.height) != (two.width, two.height):
            return False
        try:
            images = [decode(real_path(item.uri), bounds=self._bounds).image for item in (one, two)]
        except InputError:
            return False
        return images[0].tobytes() == images[1].tobytes()

    # --- texts ---

    def texts(self) -> list[Pair]:
        """Pairs of the tiers text-same and text-near."""
        tiers = self._options.tiers
        by_text: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(self.items):
            if text := normalised(item.text):
                by_text[text].append(place)
        pairs = [
            Pair(places[0], other, "text-same", 1.0, "the texts are equal once normalised")
            for places in by_text.values()
            for other in places[1:]
            if "text-same" in tiers
        ]
        if "text-near" in tiers:
            self._progress.start("comparing texts", None)
            distinct = list(by_text)
            for one, two, share in near_texts(distinct):
                first, second = sorted((by_text[distinct[one]][0], by_text[distinct[two]][0]))
                evidence = f"{share:.0%} of the wording is shared"
                pairs.append(Pair(first, second, "text-near", share, evidence))
        return pairs

    # --- vectors ---

    def similar(self, groups: Sequence[Group]) -> list[Pair]:
        """Pairs of the tier similar, between pictures that are not the same one."""
        copies = {
            member.item.uid
            for group in groups
            if group.family == "picture"
            for member in group.others
        }
        places = {item.uid: place for place, item in enumerate(self.items)}
        allowed = np.array(sorted(set(places) - copies), np.int64)
        found: dict[tuple[int, int], float] = {}
        self._progress.start("comparing vectors", len(allowed))
        for uids, (vectors,) in self._store.vectors(["_image_vector"]):
            asked = np.flatnonzero(np.isin(uids, allowed) & vectors.any(axis=1))
            if not asked.size:
                continue
            rankings = self._nearest.search(unit(vectors[asked]), "image", _SIMILAR_ASKED, allowed)
            for uid, (similarities, others) in zip(uids[asked].tolist(), rankings, strict=True):
                for similarity, other in zip(similarities.tolist(), others.tolist(), strict=True):
                    if other != uid and similarity >= self._options.similar:
                        first, second = sorted((places[uid], places[other]))
                        found[first, second] = similarity
            self._progress.advance(len(asked))
        return [
            Pair(first, second, "similar", score, f"embeddings at cosine {score:.3f}")
            for (first, second), score in sorted(found.items())
        ]

    # --- groups ---

    def groups(self, family: Family, pairs: Sequence[Pair], rules: KeepRules) -> list[Group]:
        chosen = [pair for pair in pairs if self._allowed(pair)]
        certain = float("inf") if family == "similar" else CERTAIN
        found = group_pairs(
            len(self.items),
            [(pair.first, pair.second) for pair in chosen],
            [pair.score for pair in chosen],
            certain=1.0 if family == "text" else certain,
            inferred=self._options.edited if family == "picture" else 1.0,
        )
        by_item: dict[int, list[Pair]] = defaultdict(list)
        for pair in chosen:
            by_item[pair.first].append(pair)
            by_item[pair.second].append(pair)
        made = [self._group(family, places, by_item, rules) for places in found]
        across = self._options.across
        return [
            group
            for group in made
            if not across or {item.source for item in group.items} >= set(across)
        ]

    def _allowed(self, pair: Pair) -> bool:
        if not self._options.within_folder:
            return True
        one, two = (self.items[place] for place in (pair.first, pair.second))
        return PurePosixPath(one.uri or one.key).parent == PurePosixPath(two.uri or two.key).parent

    def _group(
        self,
        family: Family,
        places: Sequence[int],
        by_item: dict[int, list[Pair]],
        rules: KeepRules,
    ) -> Group:
        inside = set(places)
        order = rules.order([self.items[place] for place in places])
        place_of = {self.items[place].uid: place for place in places}
        kept, others = order[0], order[1:]
        members = tuple(
            self._member(item, place_of[item.uid], place_of[kept.uid], inside, by_item)
            for item in others
        )
        weakest = max(
            (pair.tier for place in places for pair in by_item[place] if _within(pair, inside)),
            key=TIERS.index,
        )
        name = f"{family} {min(item.key for item in order)}"
        digest = hashlib.blake2b(name.encode("utf-8", "backslashreplace"), digest_size=5)
        return Group(digest.hexdigest(), family, weakest, kept, members)

    def _member(
        self,
        item: Item,
        place: int,
        kept: int,
        inside: set[int],
        by_item: dict[int, list[Pair]],
    ) -> Member:
        pairs = [pair for pair in by_item[place] if _within(pair, inside)]
        direct = [pair for pair in pairs if kept in (pair.first, pair.second)]
        best = max(direct or pairs, key=lambda pair: (pair.score, -pair.first, -pair.second))
        other = best.second if best.first == place else best.first
        via = "" if direct else self.items[other].key
        return Member(item, best.tier, best.score, best.evidence, via)


def _within(pair: Pair, inside: Iterable[int]) -> bool:
    return pair.first in inside and pair.second in inside
