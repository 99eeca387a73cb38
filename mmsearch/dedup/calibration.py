"""Thresholds for a rate of false positives, found on the catalog itself.

Negatives are items and their nearest neighbours that are no copies of them: the pairs that are
hardest to tell apart. The threshold leaves the share of them that was asked for above it; how many
of the items' own edited copies then are found is told as well.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mmsearch.dedup.edited import CERTAIN, EDITED_AGREEMENT, align_pairs
from mmsearch.dedup.edits import EDITS
from mmsearch.dedup.items import Item, PrintCache
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.prints import make_print
from mmsearch.dedup.proposals import Views, nearest_looks
from mmsearch.dedup.results import Thresholds
from mmsearch.dedup.texts import NEAR_TEXT, jaccard, near_texts, normalised
from mmsearch.dedup.vectors import VectorFinder
from mmsearch.errors import InputError
from mmsearch.media import decode
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids, Pixels, real_path
from mmsearch.store.manifest import write_atomically

FILE_NAME = "calibration.json"
# Cosine of image vectors: other shots of one thing lie above, most other things below.
SIMILAR = 0.92
DEFAULT_FPR = 0.001
# With fewer pictures their nearest neighbours are too far to tell where to draw the line.
ENOUGH_PICTURES = 1_000
_SAMPLE = 300
# Neighbours are looked for among at most so many others.
_POOL = 20_000
_NEIGHBOURS = 2
_COPIES = 2
# What is this much alike is a copy, not a negative; a threshold is never above it.
_COPY_COSINE, _COPY_WORDING = 0.98, 0.9
_LOWEST_EDITED, _LOWEST_SIMILAR, _LOWEST_WORDING = 0.68, 0.7, 0.5
_SEED = 5


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds for `fpr`, from so many `items`; copies_found: share of their edited copies.

    space: the hash of the model's weights, on which `similar` depends.
    """

    space: str
    fpr: float
    items: int
    edited: float
    similar: float
    text_near: float
    copies_found: float

    @property
    def source(self) -> str:
        fixed = "; similar: fixed" if self.similar == SIMILAR else ""
        return (
            f"fpr {self.fpr:g}, calibrated on {self.items:,} items, of whose edited copies "
            f"{self.copies_found:.0%} are found{fixed}"
        )


def choose_thresholds(
    folder: Path,
    options: DedupOptions,
    items: Sequence[Item],
    cache: PrintCache,
    vectors: VectorFinder,
    progress: ProgressListener,
) -> Thresholds:
    """Those asked for, else calibrated ones, else the fixed ones; they say which they are.

    folder: where a calibration is kept. Raises InputError where one was asked for and cannot be.
    """
    pictures = sum(cache.row(item.image_hash) is not None for item in items)
    stored = None if options.fpr else _load(folder / FILE_NAME, vectors.space)
    wanted = options.fpr or (
        DEFAULT_FPR if pictures >= ENOUGH_PICTURES and not options.narrowed else None
    )
    if stored is None and wanted is not None:
        stored = calibrate(wanted, items, cache, vectors, progress)
        if options.fpr is None:
            # Unasked, only what may cost a file is made strict: other shots lie as near as the
            # nearest pictures of other things, and similar ones are never acted on.
            stored = replace(stored, similar=SIMILAR)
        write_atomically(folder / FILE_NAME, json.dumps(asdict(stored)))
    few = f"fixed: fewer than {ENOUGH_PICTURES:,} pictures, and --fpr was not given"
    base = (
        Thresholds(EDITED_AGREEMENT, SIMILAR, NEAR_TEXT, few)
        if stored is None
        else Thresholds(stored.edited, stored.similar, stored.text_near, stored.source)
    )
    return Thresholds(
        base.edited if options.edited is None else options.edited,
        base.similar if options.similar is None else options.similar,
        base.text_near,
        base.source,
    )


def calibrate(
    fpr: float,
    items: Sequence[Item],
    cache: PrintCache,
    vectors: VectorFinder,
    progress: ProgressListener,
) -> Calibration:
    """Raises InputError unless there are pictures enough to have neighbours."""
    shown = [item for item in items if cache.row(item.image_hash) is not None]
    if len(shown) <= _NEIGHBOURS:
        raise InputError(
            f"{len(shown)} pictures are too few to calibrate on; leave --fpr out for the fixed "
            "thresholds, and ask for the tier 'edited' or 'pixels' to have pictures read"
        )
    chance = np.random.default_rng(_SEED)
    pool = [shown[row] for row in np.sort(chance.permutation(len(shown))[:_POOL])]
    sample = np.sort(chance.permutation(len(pool))[:_SAMPLE])
    progress.start("calibrating", None)
    rows = [row for item in pool if (row := cache.row(item.image_hash)) is not None]
    thumbnails = cache.thumbnails(rows)
    edited = threshold_at(fpr, _neighbour_agreements(thumbnails, sample), _LOWEST_EDITED, CERTAIN)
    chosen = [pool[row] for row in sample.tolist()]
    copies = _copy_agreements(chosen, thumbnails[sample])
    return Calibration(
        space=vectors.space,
        fpr=fpr,
        items=len(sample),
        edited=edited,
        similar=threshold_at(
            fpr, _distinct_cosines(chosen, vectors), _LOWEST_SIMILAR, _COPY_COSINE
        ),
        text_near=threshold_at(fpr, _wordings(pool, chosen), _LOWEST_WORDING, _COPY_WORDING),
        copies_found=float(np.mean(copies >= edited)) if copies.size else 0.0,
    )


def threshold_at(fpr: float, negatives: Floats, lowest: float, highest: float) -> float:
    """The least threshold that no more than this share of the negatives reaches, within bounds."""
    if not negatives.size:
        return highest
    descending = np.sort(negatives)[::-1]
    first_out = float(descending[min(int(fpr * len(descending)), len(descending) - 1)])
    return round(min(max(first_out + 0.005, lowest), highest), 3)


def _neighbour_agreements(thumbnails: Pixels, sample: Ids) -> Floats:
    """How far the sampled pictures agree with the likeliest others that are no copies."""
    asked, others = nearest_looks(Views.of(thumbnails), sample, _NEIGHBOURS)
    pairs = np.unique(np.sort(np.stack([asked, others], axis=1), axis=1), axis=0)
    agreement = align_pairs(thumbnails, pairs).agreement
    distinct: Floats = agreement[agreement < CERTAIN]
    return distinct


def _copy_agreements(items: Sequence[Item], thumbnails: Pixels) -> Floats:
    """How far the pictures agree with edited copies of themselves."""
    originals, copies = [], []
    for number, item in enumerate(items):
        try:
            image = decode(real_path(item.uri)).image
        except InputError:
            # Its fingerprint was read earlier; the file has gone since.
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
    """For each item the cosine of the nearest picture that is no copy, nor described alike."""
    nearest = []
    for item, ranking in vectors.neighbours(items):
        said = normalised(item.text)
        for cosine, other in ranking:
            told = normalised(other.text)
            alike = bool(said and told) and jaccard(said, told) >= NEAR_TEXT
            if cosine < _COPY_COSINE and not alike:
                nearest.append(cosine)
                break
    return np.array(nearest, np.float32)


def _wordings(pool: Sequence[Item], chosen: Sequence[Item]) -> Floats:
    """For each chosen item with a text the share of wording of the nearest one that is no copy."""
    texts = sorted({text for item in pool if (text := normalised(item.text))})
    asked = {text for item in chosen if (text := normalised(item.text))}
    nearest = dict.fromkeys(asked, 0.0)
    for one, two, share in near_texts(texts, 0.0):
        for text in (texts[one], texts[two]):
            if text in nearest and share < _COPY_WORDING:
                nearest[text] = max(nearest[text], share)
    return np.array(list(nearest.values()), np.float32)


def _load(path: Path, space: str) -> Calibration | None:
    """None where nothing was calibrated yet, or only for another model."""
    try:
        stored = Calibration(**json.loads(path.read_text(encoding="utf-8")))
        return stored if stored.space == space else None
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as fault:
        raise InputError(
            f"{path} is damaged ({fault}); delete it, or calibrate again with --fpr"
        ) from fault
