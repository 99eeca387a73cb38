"""Whether fusing picture and text finds products better than either alone, on groceries in shops.

    python benchmarks/fusion.py --grocery FOLDER
    python benchmarks/fusion.py --grocery FOLDER --model TUNED --vectors /tmp/vectors.npz

FOLDER is the Grocery Store Dataset: photos of 81 products in train.txt and val.txt, and for each
product a description and a picture on white. An item's text is every other sentence of its
product's description, beginning with the first, and what asks for a product is never what its items
carry:

photos: items are the photos; asked for by the product's name, by the sentences left out, by other
        photos and by the picture on white
pages:  items are the products, each with its picture on white; asked for by the name, by the
        sentences left out and by photos from shops

Each fusion is trained on train.txt and measured on val.txt, whose texts no training has seen: it
asks with words drawn from the items' own sentences. The pages come a second time with half of the
products kept from the training, measured on those. --vectors keeps encoded pictures between runs.
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
from mmsearch.finetuning.fusion.data import NO_ITEM, FusionData, FusionQueries
from mmsearch.finetuning.fusion.scores import FusionTable, fusion_table
from mmsearch.finetuning.fusion.training import FusionRun, train_fusion
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
class Texts:
    """vectors: float32 (n, dim); products: int64 (n,), what each asks for."""

    vectors: Floats
    products: Ids

    def of(self, products: Ids) -> FusionQueries:
        chosen = np.isin(self.products, products)
        return queries(self.vectors[chosen], self.products[chosen])


@dataclass(frozen=True)
class Catalog:
    """pictures: see `encoded_pictures`. texts: float32 (products, dim), what items carry."""

    pictures: dict[str, np.ndarray]
    texts: Floats

    def photos(self, split: str, texts: Texts, products: Ids) -> FusionData:
        """Items: the split's photos of these products."""
        vectors, shown = self._photos(split, products)
        others = queries(vectors, shown, np.arange(len(shown)))
        white = queries(self.pictures["white"][products], products)
        # What is asked in validation stays out of the training.
        asking = joined(others, white) if split == "val" else others
        return FusionData(vectors, self.texts[shown], shown, texts.of(products), asking)

    def pages(self, split: str, texts: Texts, products: Ids) -> FusionData:
        """Items: these products."""
        white = self.pictures["white"][products]
        asking = queries(*self._photos(split, products))
        return FusionData(white, self.texts[products], products, texts.of(products), asking)

    def _photos(self, split: str, products: Ids) -> tuple[Floats, Ids]:
        shown = self.pictures[f"{split}_products"]
        chosen = np.isin(shown, products)
        return self.pictures[split][chosen], shown[chosen]


def queries(vectors: Floats, products: Ids, own: Ids | None = None) -> FusionQueries:
    taken = np.full(len(products), NO_ITEM) if own is None else own
    return FusionQueries(vectors, products, taken)


def joined(one: FusionQueries, other: FusionQueries) -> FusionQueries:
    return FusionQueries(
        np.concatenate([one.vectors, other.vectors]),
        np.concatenate([one.groups, other.groups]),
        np.concatenate([one.own, other.own]),
    )


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
    practice = practice_queries(encoder, products)
    asking = asking_queries(encoder, products)

    catalog = Catalog(pictures, encoder.encode_texts(products.texts))
    every = np.arange(len(products.names))
    report(
        "photos",
        train_fusion(
            "auto", catalog.photos("train", practice, every), catalog.photos("val", asking, every)
        ),
    )
    report(
        "pages",
        train_fusion(
            "auto", catalog.pages("train", practice, every), catalog.pages("val", asking, every)
        ),
    )
    known, new = every[0::2], every[1::2]
    run = train_fusion(
        "auto", catalog.pages("train", practice, known), catalog.pages("val", asking, known)
    )
    report("pages, products that no training saw", run, catalog.pages("val", asking, new))


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
        np.savez(kept, allow_pickle=False, **found)
    return found


def encode(encoder: Encoder, paths: list[Path]) -> Floats:
    parts = [
        encoder.encode_images([decode(path).image for path in paths[start : start + BATCH]])
        for start in range(0, len(paths), BATCH)
    ]
    return np.concatenate(parts)


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


def report(task: str, run: FusionRun, data: FusionData | None = None) -> None:
    """The table of the validation part, or of other data."""
    weight = run.fusions["late"].weights["image_weight"][0]
    shares = ", ".join(f"{kind} {score:.3f}" for kind, score in run.val_scores.items())
    print(f"\n{task}: chosen {run.kind} by MRR ({shares}); late fusion's weight {weight:.2f}")
    show(fusion_table(run.fusions, data) if data else run.table)


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
