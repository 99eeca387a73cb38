"""Whether fusing picture and text finds products better than either alone, on groceries in shops.

    python benchmarks/fusion.py --grocery FOLDER
    python benchmarks/fusion.py --grocery FOLDER --model TUNED --vectors /tmp/vectors.npz

FOLDER is the Grocery Store Dataset: photos of 81 products in train.txt and val.txt, and for each
product a description and a picture on white. An item is a photo with every other sentence of its
product's description, beginning with the first. What asks for a product is never what its items
carry: its name, the sentences left out, another photo, the picture on white. Training asks with
words drawn from the items' own sentences, so that it has seen none of the validation's texts.
Each fusion is trained on train.txt and measured on val.txt; then again with half of the products
kept from the training, measured on those. --vectors keeps the encoded pictures between runs.
"""

import argparse
import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mmsearch.encoders.base import Encoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.finetuning.fusion_data import NO_ITEM, FusionData, FusionQueries
from mmsearch.finetuning.fusion_scores import FusionTable, fusion_table
from mmsearch.finetuning.fusion_training import train_fusion
from mmsearch.media import decode
from mmsearch.records import Floats, Ids

BATCH = 64
# Training queries of each product: so many halves and so many short phrases of its items' text.
HALVES, PHRASES = 6, 10


@dataclass(frozen=True)
class Products:
    """By product: its name, what its items carry, and the sentences that they do not."""

    names: list[str]
    texts: list[str]
    others: list[list[str]]
    pictures: list[Path]


@dataclass(frozen=True)
class Photos:
    """vectors: float32 (n, dim); products: int64 (n,)."""

    vectors: Floats
    products: Ids

    def of(self, products: Ids) -> "Photos":
        chosen = np.isin(self.products, products)
        return Photos(self.vectors[chosen], self.products[chosen])


@dataclass(frozen=True)
class Texts:
    """vectors: float32 (n, dim); products: int64 (n,), what each asks for."""

    vectors: Floats
    products: Ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--grocery", type=Path, required=True)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--vectors", type=Path, help="where encoded pictures are kept")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    encoder = load_encoder(options.model)
    products = read_products(options.grocery)
    pictures = encoded_pictures(encoder, options.grocery, products, options.vectors)
    own = encoder.encode_texts(products.texts)
    practice = practice_queries(encoder, products)
    asking = asking_queries(encoder, products)

    everything = np.arange(len(products.names))
    train, val = photos(pictures, "train"), photos(pictures, "val")
    run = train_fusion(
        "auto", data(train, own, practice), data(val, own, asking, pictures["white"])
    )
    shares = ", ".join(f"{kind} {score:.3f}" for kind, score in run.val_scores.items())
    print(f"products known from training; MRR that 'auto' chose {run.kind} by: {shares}")
    show(run.table)

    known, new = everything[0::2], everything[1::2]
    run = train_fusion(
        "auto",
        data(train.of(known), own, practice),
        data(val.of(known), own, asking, pictures["white"]),
    )
    print(f"\nproducts that no training saw; 'auto' chose {run.kind} on the others")
    show(fusion_table(run.fusions, data(val.of(new), own, asking, pictures["white"])))


def read_products(folder: Path) -> Products:
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    descriptions = [(folder / row[5].lstrip("/")).read_text(encoding="utf-8") for row in rows]
    sentences = [
        [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part] for text in descriptions
    ]
    return Products(
        names=[row[0].replace("-", " ") for row in rows],
        texts=[" ".join(parts[0::2]) for parts in sentences],
        others=[parts[1::2] for parts in sentences],
        pictures=[folder / row[4].lstrip("/") for row in rows],
    )


def encoded_pictures(
    encoder: Encoder, folder: Path, products: Products, kept: Path | None
) -> dict[str, np.ndarray]:
    """train, val, white: float32 (n, dim); train_products, val_products: int64 (n,)."""
    if kept and kept.exists():
        return dict(np.load(kept))
    found: dict[str, np.ndarray] = {"white": encode(encoder, products.pictures)}
    for name in ("train", "val"):
        with (folder / f"{name}.txt").open(encoding="utf-8", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
        found[name] = encode(encoder, [folder / row[0] for row in rows])
        found[f"{name}_products"] = np.array([int(row[1]) for row in rows])
    if kept:
        np.savez(kept, **found)
    return found


def encode(encoder: Encoder, paths: list[Path]) -> Floats:
    parts = [
        encoder.encode_images([decode(path).image for path in paths[start : start + BATCH]])
        for start in range(0, len(paths), BATCH)
    ]
    return np.concatenate(parts)


def photos(pictures: dict[str, np.ndarray], name: str) -> Photos:
    return Photos(pictures[name], pictures[f"{name}_products"])


def practice_queries(encoder: Encoder, products: Products) -> Texts:
    rng = np.random.default_rng(0)

    def half(words: list[str]) -> str:
        return " ".join(word for word in words if rng.random() < 0.5) or words[0]

    def phrase(words: list[str]) -> str:
        start = int(rng.integers(len(words)))
        return " ".join(words[start : start + int(rng.integers(2, 6))])

    drawn = [
        (product, draw(text.split()))
        for product, text in enumerate(products.texts)
        for draw, count in ((half, HALVES), (phrase, PHRASES))
        for _ in range(count)
    ]
    return encoded_texts(encoder, drawn)


def asking_queries(encoder: Encoder, products: Products) -> Texts:
    names = list(enumerate(products.names))
    sentences = [(product, text) for product, texts in enumerate(products.others) for text in texts]
    return encoded_texts(encoder, names + sentences)


def encoded_texts(encoder: Encoder, texts: list[tuple[int, str]]) -> Texts:
    vectors = encoder.encode_texts([text for _, text in texts])
    return Texts(vectors, np.array([product for product, _ in texts]))


def data(items: Photos, own: Floats, texts: Texts, white: Floats | None = None) -> FusionData:
    """own: float32 (products, dim), what the items carry; white: pictures that ask as well."""
    extra = np.arange(0 if white is None else len(white))
    asking = items.vectors if white is None else np.concatenate([items.vectors, white])
    return FusionData(
        items.vectors,
        own[items.products],
        items.products,
        FusionQueries(texts.vectors, texts.products, np.full(len(texts.products), NO_ITEM)),
        FusionQueries(
            asking,
            np.concatenate([items.products, extra]),
            np.concatenate([np.arange(len(items.products)), np.full(len(extra), NO_ITEM)]),
        ),
    )


def show(table: FusionTable) -> None:
    for score in table.scores:
        missing = f"{score.missing:.0%} of texts missing" if score.missing else "complete"
        metrics = "  ".join(
            f"{name} {each.value:.3f} [{each.low:.3f}, {each.high:.3f}]"
            for name, each in score.metrics.items()
        )
        print(f"{missing:20}  {score.name:10}  {score.queries:5}  {score.count:4}  {metrics}")
    for each in table.differences:
        print(
            f"{each.model} against {each.part}: {each.metric} {each.value:+.3f} "
            f"[{each.low:+.3f}, {each.high:+.3f}], p {each.p_value:.4f}"
        )


if __name__ == "__main__":
    main()
