"""Calibrates thresholds for a false positive rate on the catalog itself.

Negatives are items and their nearest neighbours that are not copies: the pairs that are hardest to
distinguish. The threshold leaves the requested share of them above it. The calibration also reports
the rate that this number of pairs supports, and the recall of edited copies.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from math import ceil, exp
from pathlib import Path

import numpy as np

from mmsearch.dedup.findings.vectors import VectorFinder
from mmsearch.dedup.items import Item, PrintCache
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.results import Thresholds
from mmsearch.dedup.thumbnails.edited_copies import CERTAIN, EDITED_AGREEMENT, align_pairs
from mmsearch.dedup.thumbnails.edits import EDITS
from mmsearch.dedup.thumbnails.fingerprints import make_print
from mmsearch.dedup.thumbnails.proposals import Views, most_similar
from mmsearch.dedup.tiers.near_texts import NEAR_TEXT, jaccard, nearest_shares
from mmsearch.dedup.tiers.texts import normalised
from mmsearch.errors import InputError
from mmsearch.files import write_atomically
from mmsearch.media import decode
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids, Pixels, real_path

FILE_NAME = "calibration.json"
# Cosine of image vectors: other shots of one object are above, most other objects below.
SIMILAR = 0.92
DEFAULT_FPR = 0.001
# With fewer images, nearest neighbours are too far away to calibrate a threshold.
ENOUGH_PICTURES = 1_000
# Rule of three: no false positive among 3 / rate pairs supports the rate. With the maximum number
# of pairs, of which 1,000 take two seconds, a catalog of any size takes half a minute.
_PAIRS_FOR_A_RATE = 3
_FEWEST_PAIRS, _MOST_PAIRS = 600, 10_000
_CONFIDENCE = 0.95
# Number of items whose edited copies are used to measure recall.
_COPIED = 300
# Maximum number of items searched for neighbours.
_POOL = 20_000
_NEIGHBOURS = 2
_COPIES = 2
# Similarity from which a pair is a copy, not a negative; upper bound of thresholds.
_COPY_COSINE, _COPY_WORDING = 0.98, 0.9
_LOWEST_EDITED, _LOWEST_SIMILAR, _LOWEST_WORDING = 0.68, 0.7, 0.5
_SEED = 5


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibrated thresholds.

    space: hash of the model's weights, on which `similar` depends.
    fpr: requested false positive rate.
    items: number of items sampled.
    copies_found: recall of edited copies, None if images were not calibrated.
    compared: number of pairs compared, by tier.
    at_most: upper confidence bound of the false positive rate, by tier.
    """

    space: str
    fpr: float
    items: int
    edited: float
    similar: float
    text_near: float
    copies_found: float | None
    compared: Mapping[str, int]
    at_most: Mapping[str, float]

    @property
    def source(self) -> str:
        """Where the thresholds come from, for people."""
        unsure = [tier for tier in ("edited", "similar") if tier not in self.at_most]
        fixed = f"; {', '.join(unsure)}: fixed" if unsure else ""
        sure = ", ".join(
            f"{tier} {rate:.2g} ({self.compared[tier]:,} pairs)"
            for tier, rate in self.at_most.items()
        )
        recall = (
            ""
            if self.copies_found is None
            else f", of whose edited copies {self.copies_found:.0%} are found"
        )
        return (
            f"fpr {self.fpr:g}, calibrated on {self.items:,} items{recall}; {_CONFIDENCE:.0%} sure "
            f"is a rate of at most {sure}{fixed}"
        )


def choose_thresholds(
    folder: Path,
    options: DedupOptions,
    items: Sequence[Item],
    cache: PrintCache,
    *,
    vectors: VectorFinder,
    progress: ProgressListener,
) -> Thresholds:
    """Chooses requested thresholds, else calibrated ones, else the fixed ones.

    folder: of the stored calibration. Raises InputError if a requested calibration is impossible.
    """
    stored = None if options.fpr else _load(folder / FILE_NAME, vectors.space)
    if options.fpr is not None:
        stored = calibrate(options.fpr, items, cache, vectors, progress=progress)
        write_atomically(folder / FILE_NAME, json.dumps(asdict(stored)))
    elif stored is None and not options.narrowed and _are_enough(items, cache):
        # Without a request only texts become stricter: edited copies are compared in detail,
        # whatever the threshold proposes, and similar images are never acted on.
        stored = calibrate_texts(DEFAULT_FPR, items, cache, vectors.space, progress=progress)
        write_atomically(folder / FILE_NAME, json.dumps(asdict(stored)))
    few = f"fixed: fewer than {ENOUGH_PICTURES:,} images with texts, and `fpr` was not given"
    base = (
        Thresholds(EDITED_AGREEMENT, SIMILAR, NEAR_TEXT, few, {})
        if stored is None
        else Thresholds(
            stored.edited, stored.similar, stored.text_near, stored.source, stored.at_most
        )
    )
    chosen = {"edited": options.edited, "similar": options.similar}
    return Thresholds(
        base.edited if options.edited is None else options.edited,
        base.similar if options.similar is None else options.similar,
        base.text_near,
        base.source,
        {tier: rate for tier, rate in base.at_most.items() if chosen.get(tier) is None},
    )


def calibrate(
    fpr: float,
    items: Sequence[Item],
    cache: PrintCache,
    vectors: VectorFinder,
    *,
    progress: ProgressListener,
) -> Calibration:
    """Calibrates thresholds. Raises InputError if there are too few images."""
    shown = [item for item in items if cache.row(item.image_hash) is not None]
    if len(shown) <= _NEIGHBOURS:
        raise InputError(
            f"{len(shown)} pictures are too few to calibrate on; leave `fpr` out for the fixed "
            "thresholds, and ask for the tier 'edited' or 'pixels' to have pictures read"
        )
    progress.start("calibrating", None)
    pool, sample = _sampled(shown, fpr)
    rows = [row for item in pool if (row := cache.row(item.image_hash)) is not None]
    thumbnails = cache.thumbnails(rows)
    agreements = _neighbour_agreements(thumbnails, sample, _number_of_pairs(fpr))
    chosen = [pool[row] for row in sample.tolist()]
    cosines = _distinct_cosines(chosen, vectors)
    shares = _wordings(pool, chosen)
    edited = threshold_at(fpr, agreements, _LOWEST_EDITED, CERTAIN)
    similar = threshold_at(fpr, cosines, _LOWEST_SIMILAR, _COPY_COSINE)
    text_near = threshold_at(fpr, shares, _LOWEST_WORDING, _COPY_WORDING)
    copies = _copy_agreements(chosen[:_COPIED], thumbnails[sample[:_COPIED]])
    measured = {
        "edited": (agreements, edited),
        "similar": (cosines, similar),
        "text-near": (shares, text_near),
    }
    return Calibration(
        space=vectors.space,
        fpr=fpr,
        items=len(sample),
        edited=edited,
        similar=similar,
        text_near=text_near,
        copies_found=float(np.mean(copies >= edited)) if copies.size else 0.0,
        compared={tier: len(negatives) for tier, (negatives, _) in measured.items()},
        at_most={
            tier: rate_at_most(int((negatives >= threshold).sum()), len(negatives))
            for tier, (negatives, threshold) in measured.items()
        },
    )


def calibrate_texts(
    fpr: float, items: Sequence[Item], cache: PrintCache, space: str, *, progress: ProgressListener
) -> Calibration:
    """Calibrates the threshold of texts; those of images stay at their defaults."""
    progress.start("calibrating", None)
    shown = [item for item in items if cache.row(item.image_hash) is not None]
    pool, sample = _sampled(shown, fpr)
    shares = _wordings(pool, [pool[row] for row in sample.tolist()])
    threshold = threshold_at(fpr, shares, _LOWEST_WORDING, _COPY_WORDING)
    above = int((shares >= threshold).sum())
    return Calibration(
        space=space,
        fpr=fpr,
        items=len(sample),
        edited=EDITED_AGREEMENT,
        similar=SIMILAR,
        text_near=threshold,
        copies_found=None,
        compared={"text-near": len(shares)},
        at_most={"text-near": rate_at_most(above, len(shares))},
    )


def _are_enough(items: Sequence[Item], cache: PrintCache) -> bool:
    described = (item for item in items if item.text and cache.row(item.image_hash) is not None)
    return next(islice(described, ENOUGH_PICTURES - 1, None), None) is not None


def _number_of_pairs(fpr: float) -> int:
    return min(max(ceil(_PAIRS_FOR_A_RATE / fpr), _FEWEST_PAIRS), _MOST_PAIRS)


def _sampled(items: Sequence[Item], fpr: float) -> tuple[list[Item], Ids]:
    """Items to search among, and the indices of those that are compared with their neighbours."""
    chance = np.random.default_rng(_SEED)
    pool = [items[row] for row in np.sort(chance.permutation(len(items))[:_POOL])]
    return pool, chance.permutation(len(pool))[: _number_of_pairs(fpr)]


def threshold_at(fpr: float, negatives: Floats, lowest: float, highest: float) -> float:
    """The least threshold, within bounds, that at most this share of the negatives reaches."""
    if not negatives.size:
        return highest
    descending = np.sort(negatives)[::-1]
    first_out = float(descending[min(int(fpr * len(descending)), len(descending) - 1)])
    return round(min(max(first_out + 0.005, lowest), highest), 3)


def rate_at_most(above: int, compared: int) -> float:
    """Upper bound of a rate (Poisson, 95%) from the number of positives among compared pairs.

    Without positives it is 3 / compared.
    """
    low, high = 0.0, 2.0 * above + 10
    while high - low > 1e-6 * high:
        expected = (low + high) / 2
        share = tail = exp(-expected)
        for count in range(1, above + 1):
            share *= expected / count
            tail += share
        low, high = (expected, high) if tail > 1 - _CONFIDENCE else (low, expected)
    return round(min(high / compared, 1.0), 6) if compared else 1.0


def _neighbour_agreements(thumbnails: Pixels, sample: Ids, most: int) -> Floats:
    """Agreement of sampled images with their nearest neighbours that are not copies."""
    queries, others = most_similar(Views.of(thumbnails), sample, _NEIGHBOURS)
    pairs = np.unique(np.sort(np.stack([queries, others], axis=1), axis=1), axis=0)
    pairs = np.random.default_rng(_SEED).permutation(pairs)[:most]
    agreement = align_pairs(thumbnails, pairs).agreement
    distinct: Floats = agreement[agreement < CERTAIN]
    return distinct


def _copy_agreements(items: Sequence[Item], thumbnails: Pixels) -> Floats:
    """Agreement of images with edited copies of themselves."""
    originals, copies = [], []
    for number, item in enumerate(items):
        try:
            image = decode(real_path(item.uri)).image
        except InputError:
            # The file was deleted after its fingerprint was read.
            continue
        for step in range(_COPIES):
            made = EDITS[(number * _COPIES + step) % len(EDITS)](image)
            originals.append(thumbnails[number])
            copies.append(make_print(made, *made.size).thumbnail)
    count = len(copies)
    if not count:
        return np.zeros(0, np.float32)
    pairs = np.stack([np.arange(count), np.arange(count) + count], axis=1)
    return align_pairs(np.stack(originals + copies), pairs).agreement


def _distinct_cosines(items: Sequence[Item], vectors: VectorFinder) -> Floats:
    """Cosine of each item with its nearest image that is neither a copy nor described alike."""
    nearest = []
    for item, ranking in vectors.neighbours(items):
        said = normalised(item.text)
        for cosine, other in ranking:
            other_text = normalised(other.text)
            alike = bool(said and other_text) and jaccard(said, other_text) >= NEAR_TEXT
            if cosine < _COPY_COSINE and not alike:
                nearest.append(cosine)
                break
    return np.array(nearest, np.float32)


def _wordings(pool: Sequence[Item], chosen: Sequence[Item]) -> Floats:
    """Text similarity of each chosen item with its nearest text that is not a copy."""
    texts = sorted({text for item in pool if (text := normalised(item.text))})
    queries = {normalised(item.text) for item in chosen}
    rows = np.array([row for row, text in enumerate(texts) if text in queries], np.int64)
    # Similarities below the lowest threshold do not matter.
    return nearest_shares(texts, rows, _LOWEST_WORDING, _COPY_WORDING)


def _load(path: Path, space: str) -> Calibration | None:
    """The stored calibration; None if there is none for this model and version."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.keys() != {each.name for each in fields(Calibration)}:
            return None
        stored = Calibration(**facts)
        return stored if stored.space == space else None
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError) as fault:
        raise InputError(
            f"{path} is damaged ({fault}); delete it, or calibrate again with `fpr`"
        ) from fault
