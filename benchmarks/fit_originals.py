"""The weights of `mmsearch.dedup.originals.derivation`, fitted to originals and copies of them.

    python benchmarks/fit_originals.py FOLDER… --photos 600 --seed 3

Each photo, as it is or saved at a quality of 60 to 97, gets copies, most of them by generator A: of
equal size, scaled, and tilted or cropped. A logistic regression without intercept tells which of
two files was first; printed are its weights and how often it is right, from folds that share no
photo.
"""

import argparse
import io
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from edited_copies import Kit, make_copy
from edits_a import KINDS
from keep_copies import PLAIN
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from suite import photos_in

from mmsearch.dedup.comparison.whole_files import compare_whole, read_whole
from mmsearch.dedup.originals import Candidate, read_candidate
from mmsearch.dedup.originals.derivation import (
    equal_size_features,
    scaled_features,
    tilted_features,
)
from mmsearch.dedup.originals.detail import compare_sharpness
from mmsearch.dedup.originals.quantisation import remainder
from mmsearch.dedup.originals.same_grid import on_same_grid
from mmsearch.media import MediaBounds

EQUAL = ("saved again", "jpeg", "jpeg, poor", "brightness", "contrast", "saturation", "gamma",
         "white balance", "hue", "blur", "noise", "sharpen", "vignette", "dust", "posterise",
         "watermark, corner", "saved again, mirrored")  # fmt: skip
TILTED = ("tilt, filled", "tilt, cropped", "tilt, expanded", "perspective", "orientation and tilt",
          "mirrored and cropped")  # fmt: skip
SCALED = ("saved again, upscaled", "upscale", "resize", "resize", "stretch", "thumbnail")
SMOOTHED: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "box blur": lambda image, chance: image.filter(ImageFilter.BoxBlur(chance.uniform(0.5, 2.5))),
    "soft blur": lambda image, chance: image.filter(
        ImageFilter.GaussianBlur(chance.uniform(0.4, 1.2))
    ),
    "median": lambda image, chance: image.filter(ImageFilter.MedianFilter(chance.choice((3, 5)))),
}
FILTERS = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR,
           Image.Resampling.BOX, Image.Resampling.NEAREST)  # fmt: skip
MIRRORED = np.diag([-1.0, 1.0, 1.0])
LONGEST, RIDGE, FOLDS = 1400, 0.5, 5


@dataclass(frozen=True, slots=True)
class Example:
    """group: of examples with weights of their own.

    side: 1 if the features speak of what is true, -1 if of the contrary.
    """

    group: str
    kind: str
    photo: int
    side: int
    features: NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--seed", default="3")
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311
    paths = photos_in(options.folders)
    chance.shuffle(paths)
    examples: dict[str, list[Example]] = defaultdict(list)
    for number, path in enumerate(paths[: options.photos]):
        for example in examples_of(path, number, chance):
            examples[example.group].append(example)
    for name, found in examples.items():
        report(name, found)


def examples_of(path: Path, number: int, chance: random.Random) -> list[Example]:
    with Image.open(path) as opened:
        photo = ImageOps.exif_transpose(opened).convert("RGB")
    as_it_is = path.suffix == ".jpg" and max(photo.size) <= LONGEST and chance.random() < 0.35
    if max(photo.size) > LONGEST:
        width, height = (min(side, chance.randint(700, 1300)) for side in photo.size)
        photo = photo.crop((0, 0, width, height))
    poor = chance.random() < 0.35
    quality = chance.randint(60, 80) if poor else chance.randint(82, 97)
    data = path.read_bytes() if as_it_is else saved(photo, quality, chance.choice((0, 2, 2)))
    original = candidate(data)
    kit = Kit(random.Random(f"{number} {chance.random()}"))  # noqa: S311
    kinds = (*chance.sample(EQUAL, 4), *chance.sample(sorted(SMOOTHED), 1),
             *chance.sample(SCALED, 2), *chance.sample(TILTED, 2))  # fmt: skip
    found = []
    for kind in kinds:
        copy = copy_of(decoded(data), kind, kit)
        matrix = MIRRORED if kind.endswith("mirrored") else np.eye(3)
        if kind in TILTED:
            examples = {"tilted": tilted(original, data, copy)}
        elif kind in SCALED:
            examples = {"scaled": compared(original, candidate(copy), matrix)}
        else:
            examples = {
                name: compared(original, candidate(copy), matrix, filtered=filtered)
                for name, filtered in (("equal size", False), ("equal size, filtered", True))
            }
        found += [Example(name, kind, number, *each) for name, each in examples.items() if each]
    return found


def copy_of(image: Image.Image, kind: str, kit: Kit) -> bytes:
    if kind in SMOOTHED:
        return saved(SMOOTHED[kind](image, kit.chance), kit.chance.randint(72, 95), 2)
    if kind == "resize":
        factor = kit.chance.uniform(0.3, 0.97)
        size = (round(image.width * factor), round(image.height * factor))
        # Some programs average pixels, others sample points.
        scale = image.width / size[0], image.height / size[1]
        sampled = image.transform(size, Image.Transform.AFFINE, (scale[0], 0, 0, 0, scale[1], 0),
                                  Image.Resampling.BILINEAR)  # fmt: skip
        made = sampled if kit.chance.random() < 0.2 else image.resize(
            size, kit.chance.choice(FILTERS)
        )  # fmt: skip
        return saved(made, kit.chance.randint(55, 95), 2)
    edited = make_copy(image, PLAIN.get(kind) or KINDS[kind], kit)
    stream = io.BytesIO()
    edited.image.save(stream, "JPEG", **edited.options)
    return stream.getvalue()


def tilted(original: Candidate, data: bytes, copy: bytes) -> tuple[int, NDArray[np.float64]] | None:
    """The side that is true and the features, of two files without a common grid."""
    wholes = (read_whole(each, MediaBounds(), draft=(512, 512)) for each in (data, copy))
    found = compare_whole(*wholes)
    other = candidate(copy)
    if found.judgement == "different" or on_same_grid(original, other, found.matrix):
        return None
    return 1, tilted_features(original, other, found.matrix)


def compared(
    original: Candidate, copy: Candidate, matrix: NDArray[np.float64], *, filtered: bool = False
) -> tuple[int, NDArray[np.float64]] | None:
    """The side that is true and the features, as `derivation` has them."""
    files = original.file, copy.file
    grids = on_same_grid(original, copy, matrix), on_same_grid(copy, original, matrix)
    if grids[0] is None or grids[1] is None or any(each.table is None for each in files):
        return None
    pairs = list(zip(files, grids, strict=True))
    if not grids[0].equal_scale:
        small = 0 if grids[0].scale[0] * grids[0].scale[1] > 1 else 1
        file, grid = pairs[small]
        assert grid is not None
        assert file.table is not None
        found = remainder(grid.own, grid.other, file.table)
        return None if found is None else (1 - 2 * small, scaled_features(found, grid))
    left = [
        remainder(grid.own, grid.other, file.table, filtered=filtered)
        for file, grid in pairs
        if grid is not None and file.table is not None
    ]
    if left[0] is None or left[1] is None:
        return None
    better = (files[0].quality or 0) - (files[1].quality or 0)
    sharpness = compare_sharpness(grids[0].own, grids[0].other)
    return 1, equal_size_features(left[0], left[1], better, sharpness)


def saved(image: Image.Image, quality: int, subsampling: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return stream.getvalue()


def decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def candidate(data: bytes) -> Candidate:
    return read_candidate(data, path="", modified=0, bounds=MediaBounds())


def report(name: str, examples: list[Example]) -> None:
    features = np.stack([each.side * each.features for each in examples])
    fold = np.array([each.photo % FOLDS for each in examples])
    scores = np.zeros(len(examples))
    for number in range(FOLDS):
        scores[fold == number] = features[fold == number] @ fitted(features[fold != number])
    weights = ", ".join(f"{weight:.2f}" for weight in fitted(features))
    print(f"{name}: {len(examples)} pairs, right {(scores > 0).mean():.3f}, wrong by 1.5 or more "
          f"{(scores < -1.5).mean():.3f}\n  weights [{weights}]")  # fmt: skip
    by_kind: dict[str, list[float]] = defaultdict(list)
    for each, score in zip(examples, scores, strict=True):
        by_kind[each.kind].append(score)
    print("  " + ", ".join(
        f"{kind} {np.mean(np.array(found) > 0):.2f}" for kind, found in sorted(by_kind.items())
    ))  # fmt: skip


def fitted(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (k,): weights that make `features @ weights` positive, by Newton's method."""
    weights = np.zeros(features.shape[1])
    for _ in range(60):
        right = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        slope = features.T @ (1 - right) - RIDGE * weights
        curvature = (features * (right * (1 - right))[:, None]).T @ features
        weights += np.linalg.solve(curvature + RIDGE * np.eye(len(weights)), slope)
    return weights


if __name__ == "__main__":
    main()
