"""Exports of shops and data sets, in the layouts that these really write, with drawn images."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

COLOURS = ("red", "green", "blue", "gold", "purple", "orange", "teal", "navy")


@dataclass(frozen=True)
class Export:
    """An export on disk. items: by key, a part of the text and the names of the images."""

    location: Path
    items: dict[str, tuple[str, list[str]]]
    options: dict[str, str] = field(default_factory=dict)


Maker = Callable[[Path], Export]


def picture(path: Path) -> str:
    """Draws an image, whose name it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = COLOURS[sum(path.stem.encode()) % len(COLOURS)]
    Image.new("RGB", (8, 8), colour).save(path)
    return path.stem


def content(name: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), COLOURS[sum(name.encode()) % len(COLOURS)]).save(stream, "PNG")
    return stream.getvalue()


def write_csv(
    path: Path,
    rows: Iterable[Sequence[object]],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    before: str = "",
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = io.StringIO()
    csv.writer(lines, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    path.write_bytes((before + lines.getvalue()).encode(encoding))
    return path


SHOPIFY = (
    "Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published",
    "Option1 Name", "Option1 Value", "Variant SKU", "Variant Grams", "Variant Inventory Qty",
    "Variant Price", "Variant Compare At Price", "Variant Barcode", "Image Src", "Image Position",
    "Image Alt Text", "Gift Card", "SEO Title", "Variant Image", "Variant Weight Unit", "Status",
)  # fmt: skip


def shopify(folder: Path) -> Export:
    """A row for each variant or further image; the title and the text stand in the first one."""
    rows: list[Sequence[object]] = [SHOPIFY]
    items = {}
    for number in range(30):
        handle, names = f"mug-{number}", [f"mug-{number}-{view}" for view in range(1 + number % 4)]
        for name in names:
            picture(folder / "images" / f"{name}.jpg")
        for position in range(max(2, len(names))):
            first = position == 0
            src = f"images/{names[position]}.jpg?v=16{number}" if position < len(names) else ""
            rows.append((
                handle, f"Enamel mug {number}" if first else "",
                f"<p>A mug for <b>camping</b> number {number}</p>" if first else "",
                "Acme" if first else "", "Kitchen" if first else "", "Mugs" if first else "",
                "mug, camping" if first else "", "true" if first else "", "Size" if first else "",
                f"{position} l", f"MUG-{number}-{position}", 300, number, "12.50", "", "", src,
                position + 1 if src else "", "", "false" if first else "", "", "", "g",
                "active" if first else "",
            ))  # fmt: skip
        items[handle] = (f"Enamel mug {number}", names)
    return Export(write_csv(folder / "products_export_1.csv", rows), items)


WOOCOMMERCE = (
    "ID", "Type", "SKU", "Name", "Published", "Is featured?", "Short description", "Description",
    "In stock?", "Stock", "Regular price", "Categories", "Tags", "Images", "Parent", "Position",
)  # fmt: skip


def woocommerce(folder: Path) -> Export:
    """All images of a product in one cell, with a comma and a blank."""
    rows: list[Sequence[object]] = [WOOCOMMERCE]
    items = {}
    for number in range(100, 125):
        names = [f"lamp-{number}-{view}" for view in range(1 + number % 3)]
        for name in names:
            picture(folder / "wp-content" / "uploads" / f"{name}.png")
        rows.append((
            number, "simple", f"L-{number}", f"Desk lamp {number}", 1, 0, "Warm light",
            f"<ul><li>A lamp for desk {number}</li></ul>", 1, "", "49.9", "Home > Lamps", "light",
            ", ".join(f"wp-content/uploads/{name}.png" for name in names), "", 0,
        ))  # fmt: skip
        items[str(number)] = (f"Desk lamp {number}", names)
    return Export(write_csv(folder / "wc-product-export.csv", rows), items)


def google_merchant(folder: Path) -> Export:
    """Tab-separated; further images in a column of their own, separated by commas."""
    rows: list[Sequence[object]] = [
        ("id", "title", "description", "link", "image_link", "additional_image_link",
         "availability", "price", "brand", "gtin", "google_product_category"),
    ]  # fmt: skip
    items = {}
    for number in range(25):
        names = [
            picture(folder / "img" / f"p{number}_{view}.jpg") for view in range(number % 3 + 1)
        ]
        paths = [f"img/{name}.jpg" for name in names]
        rows.append((
            f"SKU{number:04}", f"Running shoe {number}", "Light shoe for long runs",
            f"https://shop.example/p/{number}", paths[0], ",".join(paths[1:]), "in stock",
            f"{number + 60}.00 EUR", "Fleet", f"40063813{number:05}", "Apparel > Shoes",
        ))  # fmt: skip
        items[f"SKU{number:04}"] = (f"Running shoe {number}", names)
    return Export(write_csv(folder / "feed.tsv", rows, delimiter="\t"), items)


def kaggle_fashion(folder: Path) -> Export:
    """No paths: images/<id>.jpg; beside it images.csv with file names and URLs."""
    rows: list[Sequence[object]] = [
        ("id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season",
         "year", "usage", "productDisplayName"),
    ]  # fmt: skip
    links: list[Sequence[object]] = [("filename", "link")]
    items = {}
    for number in range(15970, 16010):
        picture(folder / "images" / f"{number}.jpg")
        rows.append((
            number, "Men", "Apparel", "Topwear", "Shirts", "Navy Blue", "Fall", 2011, "Casual",
            f"Turtle Check Men Shirt number {number}",
        ))  # fmt: skip
        links.append((f"{number}.jpg", f"http://assets.example/{number}_t.jpg"))
        items[str(number)] = (f"number {number}", [str(number)])
    write_csv(folder / "images.csv", links)
    write_csv(folder / "styles.csv", rows)
    return Export(folder, items)


def flickr8k(folder: Path) -> Export:
    """Five captions of each image; bare names of files in Images/."""
    rows: list[Sequence[object]] = [("image", "caption")]
    items = {}
    for number in range(8):
        name = picture(folder / "Images" / f"10002{number}_693b08cb0e.jpg")
        for caption in range(5):
            rows.append((f"{name}.jpg", f"A dog runs over field {number} , view {caption} ."))
            items[str(len(rows) - 1)] = (f"field {number} , view {caption}", [name])
    return Export(write_csv(folder / "captions.csv", rows), items)


def flickr30k(folder: Path) -> Export:
    """'image_name| comment_number| comment', images in a folder of a folder."""
    lines = ["image_name| comment_number| comment"]
    items = {}
    for number in range(8):
        name = picture(folder / "flickr30k_images" / "flickr30k_images" / f"1000092{number}.jpg")
        for caption in range(5):
            lines.append(f"{name}.jpg| {caption}| Two men stand near house {number} , {caption} .")
            items[str(len(lines) - 1)] = (f"house {number} , {caption}", [name])
    path = folder / "results.csv"
    path.write_text("\n".join(lines) + "\n")
    return Export(path, items)


def image_folder(folder: Path) -> Export:
    """Hugging Face's ImageFolder: metadata beside the images of each split."""
    items = {}
    for split in ("train", "test"):
        rows = []
        for number in range(6):
            name = picture(folder / split / f"{number:04}.png")
            text = f"{split} pattern {number} of a quilt"
            rows.append({"file_name": f"{name}.png", "text": text, "label": number % 2})
            items[f"{split}/{name}.png"] = (text, [name])
        lines = "\n".join(map(json.dumps, rows)) + "\n"
        (folder / split / "metadata.jsonl").write_text(lines)
    return Export(folder, items)


def hugging_face_parquet(folder: Path) -> Export:
    """The images as bytes with their paths, as `datasets` writes them."""
    folder.mkdir(parents=True)
    count = 12
    names = [f"{number:05}.png" for number in range(count)]
    table = pa.table({
        "image": [{"bytes": content(name), "path": name} for name in names],
        "text": [f"a quilt with pattern {number}" for number in range(count)],
        "label": list(range(count)),
    })  # fmt: skip
    pq.write_table(table, folder / "train-00000-of-00001.parquet")
    items = {str(number + 1): (f"pattern {number}", ["?"]) for number in range(count)}
    return Export(folder / "train-00000-of-00001.parquet", items)


def price_list(folder: Path) -> Export:
    """A German price list as Excel saves it: semicolons, decimal commas, Windows paths."""
    rows: list[Sequence[object]] = [
        ("Artikelnummer", "Bezeichnung", "Beschreibung", "Warengruppe", "Preis", "Lagernd",
         "Verfügbar ab", "Bild"),
    ]  # fmt: skip
    items = {}
    for number in range(30):
        name = picture(folder / "Bilder" / f"schraube_{number}.jpg")
        rows.append((
            f"{number:05}", f"Schraube M{number}", f"Verzinkte Schraube für Holz, Größe {number}",
            "Eisenwaren", f"1.2{number:02},50", "Ja" if number % 2 else "Nein", "31.12.2025",
            f"Bilder\\{name.upper()}.JPG",
        ))  # fmt: skip
        items[f"{number:05}"] = (f"Schraube M{number}", [name])
    path = write_csv(
        folder / "preisliste.csv", rows, delimiter=";", encoding="cp1252", before="sep=;\r\n"
    )
    return Export(path, items)


def scraped_json(folder: Path) -> Export:
    """JSON lines of a scraper: lists of images, tags and breadcrumbs."""
    lines, items = [], {}
    for number in range(20):
        names = [
            picture(folder / "full" / f"{number:02}{view}.jpg") for view in range(number % 3 + 1)
        ]
        lines.append(json.dumps({
            "url": f"https://shop.example/dp/B{number:03}", "asin": f"B{number:03}",
            "title": f"Steel kettle {number}", "description": f"Boils water fast, model {number}",
            "breadcrumbs": ["Home", "Kitchen"], "price": number + 0.99,
            "images": [{"url": f"https://cdn.example/{name}.jpg", "path": f"full/{name}.jpg"}
                       for name in names],
        }))  # fmt: skip
        items[f"B{number:03}"] = (f"Steel kettle {number}", names)
    path = folder / "items.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return Export(path, items)


EXPORTS: tuple[Maker, ...] = (
    shopify,
    woocommerce,
    google_merchant,
    kaggle_fashion,
    flickr8k,
    flickr30k,
    image_folder,
    hugging_face_parquet,
    price_list,
    scraped_json,
)
