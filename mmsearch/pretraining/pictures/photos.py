"""Reads the photo sets: products on grocery shelves, and garments."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from mmsearch.pretraining.pictures.data import Picture, concept_of, require


def read_grocery(path: Path) -> Iterator[Picture]:
    """The Grocery Store Dataset: train.txt photos, and one iconic picture for each class."""
    require(path, "classes.csv", "train.txt")
    classes: dict[int, tuple[str, str, str]] = {}
    with (path / "classes.csv").open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            name, number, coarse, _, iconic, described = row[:6]
            text = (path / described.lstrip("/")).read_text("utf-8", errors="replace")
            classes[int(number)] = (name.replace("-", " "), coarse.replace("-", " "), text)
            yield _product(path, path / iconic.lstrip("/"), classes[int(number)], weight=1.0)
    for line in (path / "train.txt").read_text("utf-8").splitlines():
        image, number, _ = (part.strip() for part in line.split(","))
        yield _product(path, path / image, classes[int(number)], weight=0.25)


def _product(root: Path, file: Path, labels: tuple[str, str, str], *, weight: float) -> Picture:
    name, coarse, text = labels
    sentences = [" ".join(s.split()) for s in re.split(r"(?<=[.!?])\s+", text)]
    return Picture(
        key=f"grocery/{file.relative_to(root).as_posix()}",
        source="grocery",
        concept=concept_of(name),
        captions=(name, f"{name} {coarse}".strip(), *[s for s in sentences[:2] if len(s) > 15]),
        keywords=(coarse.lower(),),
        path=file,
        photo=True,
        weight=weight,
    )


_GARMENTS = {
    "Longsleeve": ("long-sleeve shirt", "long sleeve top", "longsleeve"),
    "Outwear": ("jacket", "outerwear", "coat"),
    "Polo": ("polo shirt", "polo"),
    "T-Shirt": ("t-shirt", "tee shirt", "T shirt"),
    "Undershirt": ("undershirt", "tank top", "sleeveless shirt"),
    "Top": ("top", "women's top", "sleeveless top"),
    "Body": ("bodysuit", "baby bodysuit", "onesie"),
    "Shoes": ("shoes", "a pair of shoes", "footwear"),
    "Pants": ("pants", "trousers", "a pair of trousers"),
    "Shorts": ("shorts", "a pair of shorts"),
}


def read_clothing(path: Path) -> Iterator[Picture]:
    """The Clothing Dataset's small set: images.csv with one label for each photo."""
    require(path, "images.csv", "images")
    with (path / "images.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            label = row["label"]
            if label in {"Not sure", "Other", "Skip"}:
                continue
            names = _GARMENTS.get(label, (label.lower(),))
            kind = "children's clothing" if row["kids"] == "True" else "clothing"
            yield Picture(
                key=f"clothing/{row['image']}",
                source="clothing",
                concept=concept_of(names[0]),
                captions=names,
                keywords=(kind, "garment", "clothes"),
                path=path / row["image"],
                photo=True,
                weight=0.2,
            )
