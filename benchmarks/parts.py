"""What vector stands for a product with several photos: their mean, the best of them, or attention.

    python benchmarks/parts.py --grocery FOLDER --clothing FOLDER [--vectors FOLDER]

Products of 3 to 5 photos are drawn from a labelled set; those of one class are what a query of this
class looks for. Queries are photos that no product has, and the names of the classes. In 'mixed'
products one photo is of another class, as the size charts and accessories of real shops are.

mean:      unit(mean of the photos)
best:      the largest similarity of any photo, each fused with the text; one vector per photo
attention: photos weighted by softmax(t * cosine) with the product's text, or with the mean of its
           photos where it has no text; t is chosen on half of the queries

Products are compared by their photos alone, and fused with a text (late fusion, image weight 0.5).
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.arrays import blocks, unit
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.fusion import LateFusion
from mmsearch.media import read_image
from mmsearch.records import Floats, Ids, Modality

SHARPNESS = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0)
BATCH = 64
DRAWS = 5


@dataclass(frozen=True)
class Photos:
    """Photos with a class each, and words for each class: names to ask by, texts of products."""

    paths: list[Path]
    classes: Ids
    names: list[str]
    texts: list[str]


@dataclass(frozen=True)
class Products:
    """photos: float32 (n, 5, dim), zeros where there are fewer; texts: float32 (n, dim)."""

    photos: Floats
    texts: Floats
    classes: Ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--grocery", type=Path)
    parser.add_argument("--clothing", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--vectors", type=Path, help="folder that keeps the encoded photos")
    given = parser.parse_args()
    encoder = load_encoder(given.model)
    print("| photos | products | query | target | mean | best | attention |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, read in (("grocery", _grocery), ("clothing", _clothing)):
        if folder := getattr(given, name):
            photos = read(folder)
            kept = given.vectors and given.vectors / f"{name}.npy"
            vectors = _encoded(photos.paths, encoder, kept)
            for row in _compared(photos, vectors, encoder):
                print(f"| {name} | {row} |", flush=True)


def _grocery(folder: Path) -> Photos:
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["Class Name (str)"].replace("-", " ") for row in rows]
    texts = [
        (folder / row["Product Description Path (str)"].lstrip("/")).read_text("utf-8")
        for row in rows
    ]
    paths, classes = [], []
    for split in ("train.txt", "val.txt"):
        for line in (folder / split).read_text("utf-8").splitlines():
            path, label, _ = line.split(", ")
            paths.append(folder / path)
            classes.append(int(label))
    return Photos(paths, np.array(classes), names, texts)


def _clothing(folder: Path) -> Photos:
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if row["label"] not in ("Other", "Not sure", "Skip")
        ]
    names = sorted({row["label"] for row in rows})
    classes = np.array([names.index(row["label"]) for row in rows])
    return Photos([folder / row["image"] for row in rows], classes, names, names)


def _encoded(paths: list[Path], encoder: Encoder, cache: Path | None) -> Floats:
    """Encodes photos: float32 (n, dim). cache: a file that keeps the vectors."""
    if cache is not None and cache.exists():
        kept: Floats = np.load(cache)
        return kept
    spec = encoder.preprocessing
    found = [
        encoder.encode_pixels(np.stack([read_image(p, spec=spec).pixels for p in paths[block]]))
        for block in blocks(len(paths), BATCH)
    ]
    vectors = np.concatenate(found)
    if cache is not None:
        np.save(cache, vectors)
    return vectors


def _compared(photos: Photos, vectors: Floats, encoder: Encoder) -> Iterator[str]:
    """Yields rows of the table: mean average precision by kind of query, target and method."""
    names, texts = encoder.encode_texts(photos.names), encoder.encode_texts(photos.texts)
    for mixed in (False, True):
        scores: dict[tuple[str, str], list[list[float]]] = {}
        for seed in range(DRAWS):
            products, held = _drawn(photos.classes, vectors, texts, mixed=mixed, seed=seed)
            present = np.unique(products.classes)
            queries = {
                "photo": (vectors[held], photos.classes[held]),
                "name": (names[present], present),
            }
            for target in ("image", "product"):
                for kind, (asked, classes) in queries.items():
                    modality = "image" if kind == "photo" else "text"
                    found = _methods(products, asked, classes, target=target, modality=modality)
                    scores.setdefault((kind, target), []).append(found)
        for (kind, target), draws in scores.items():
            means = " | ".join(f"{value:.3f}" for value in np.mean(draws, axis=0))
            yield f"{'mixed' if mixed else 'plain'} | {kind} | {target} | {means}"


def _drawn(
    classes: Ids, vectors: Floats, texts: Floats, *, mixed: bool, seed: int
) -> tuple[Products, Ids]:
    """Draws products from four fifths of each class's photos; returns the others as queries."""
    chance = np.random.default_rng(seed)
    groups: list[Ids] = []
    held: list[int] = []
    for label in np.unique(classes):
        members = chance.permutation(np.flatnonzero(classes == label))
        cut = len(members) // 5
        held += members[:cut].tolist()
        left = members[cut:]
        while len(left) >= 3:
            size = min(int(chance.integers(3, 6)), len(left))
            groups.append(left[:size])
            left = left[size:]
    labels = np.array([classes[group[0]] for group in groups])
    slots = np.zeros((len(groups), 5, vectors.shape[1]), np.float32)
    for place, group in enumerate(groups):
        slots[place, : len(group)] = vectors[group]
        if mixed:
            others = np.flatnonzero(classes != labels[place])
            slots[place, len(group) - 1] = vectors[chance.choice(others)]
    return Products(slots, texts[labels], labels), np.array(held)


def _methods(
    products: Products, asked: Floats, classes: Ids, *, target: str, modality: str
) -> list[float]:
    """Returns the mean average precision of mean, best and attention."""
    present: NDArray[np.bool_] = np.asarray(products.photos.any(axis=2))
    texts = products.texts if target == "product" else np.zeros_like(products.texts)
    flat = products.photos[present]
    means: dict[Modality, Floats] = {
        "image": np.asarray(flat.mean(axis=0)),
        "text": np.asarray(products.texts.mean(axis=0)),
    }
    fusion = LateFusion(means=means, image_weight=0.5)
    if target == "product":
        asked = fusion.centre(asked, "image" if modality == "image" else "text")

    def fused(photos: Floats) -> Floats:
        return fusion.products(photos, texts) if target == "product" else photos

    def pooled(sharpness: float) -> Floats:
        centred = unit(flat - means["image"])
        guide = unit(products.texts - means["text"])
        if target == "image":
            guide = unit(unit(products.photos.sum(axis=1)) - means["image"])
        owners = np.nonzero(present)[0]
        weights = np.exp(sharpness * (centred * guide[owners]).sum(axis=1, keepdims=True))
        sums = np.zeros_like(products.texts)
        np.add.at(sums, owners, weights * flat)
        return asked @ fused(unit(sums)).T

    slots = [
        np.where(present[:, slot], asked @ fused(products.photos[:, slot]).T, -np.inf)
        for slot in range(present.shape[1])
    ]
    tuning = np.asarray(np.arange(len(asked)) % 2 == 0)
    chosen = max(
        SHARPNESS,
        key=lambda t: _precision(pooled(t)[tuning], classes[tuning], products.classes),
    )
    tables = (pooled(0.0), np.max(slots, axis=0), pooled(chosen))
    return [_precision(table[~tuning], classes[~tuning], products.classes) for table in tables]


def _precision(similarities: Floats, asked: Ids, classes: Ids) -> float:
    """Returns the mean average precision. similarities: float32 (queries, products)."""
    order = np.argsort(-similarities, axis=1)
    relevant = classes[order] == asked[:, None]
    hits = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    return float(((hits * relevant).sum(axis=1) / relevant.sum(axis=1)).mean())


if __name__ == "__main__":
    main()
