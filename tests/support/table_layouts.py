"""Layouts of tables in several languages, orders and separators, as data: headings and cells."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.exports import Export, picture, write_csv


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A table whose rows are numbered from 0.

    table: its path. image: the path of an image, with {n} for the row and {v} for the view.
    most: images of an item, of which row n has n % most + 1. cell: how one is named, with {name}.
    columns: heading → cell, where {n} is the row, {images} all images joined by `join`, and {1},
    {2}, … single ones. key, text: what must be read.
    """

    name: str
    columns: dict[str, str]
    key: str
    text: str
    image: str
    cell: str = ""
    most: int = 1
    join: str = ","
    table: str = "table.csv"
    delimiter: str = ","
    encoding: str = "utf-8"
    rows: int = 25


def write_layout(folder: Path, layout: Layout) -> Export:
    """Writes the table and draws its images."""
    lines, items = [], {}
    for n in range(layout.rows):
        paths = [layout.image.format(n=n, v=v) for v in range(1, n % layout.most + 2)]
        names = [picture(folder / path) for path in paths]
        cells = [layout.cell.format(name=name, n=n) for name in names]
        numbered = cells + [""] * (10 - len(cells))
        joined = layout.join.join(cells)
        lines.append([cell.format("", *numbered, n=n, images=joined)
                      for cell in layout.columns.values()])  # fmt: skip
        items[layout.key.format(n=n)] = (layout.text.format(n=n), names)
    path = write_csv(
        folder / layout.table,
        [list(layout.columns), *lines],
        delimiter=layout.delimiter,
        encoding=layout.encoding,
    )
    return Export(path, items)


LAYOUTS = (
    Layout(
        name="prestashop",
        columns={
            "ID": "{n}",
            "Actif (0/1)": "1",
            "Nom": "Théière émaillée {n}",
            "Catégories (x,y,z...)": "Accueil,Cuisine",
            "Prix TTC": "12,50",
            "Référence": "REF{n}",
            "Description": "<p>Une belle théière numéro {n}</p>",
            "URL des images (x,y,z...)": "{images}",
        },
        key="{n}",
        text="Théière émaillée {n}",
        image="img/p/{n}-{v}.jpg",
        cell="img/p/{name}.jpg",
        most=4,
        delimiter=";",
    ),
    Layout(
        name="polish price list",
        columns={
            "Cena brutto": "{n},99",
            "Nazwa towaru": "Kubek ceramiczny {n}",
            "Indeks": "KB-{n}",
            "Opis": "Duży kubek do kawy numer {n}",
            "Zdjęcie 1": "{1}",
            "Zdjęcie 2": "{2}",
        },
        key="KB-{n}",
        text="Kubek ceramiczny {n}",
        image="zdjecia/t{n}_{v}.jpg",
        cell="zdjecia\\{name}.jpg",
        most=2,
        delimiter=";",
    ),
    Layout(
        name="spanish catalog",
        columns={
            "Precio": "{n}.99",
            "Imágenes": "{images}",
            "Título": "Zapato rojo {n}",
            "Descripción": "Zapato cómodo para correr, modelo {n}",
            "Referencia": "Z{n}",
        },
        key="Z{n}",
        text="Zapato rojo {n}",
        image="fotos/z{n}_{v}.png",
        cell="{name}.png",
        most=3,
        join="|",
        delimiter="\t",
    ),
    Layout(
        name="shopware",
        columns={
            "ordernumber": "SW{n}",
            "mainnumber": "SW{n}",
            "name": "Gartenstuhl {n}",
            "supplier": "Huber",
            "price": "49,90",
            "description_long": "<p>Ein Stuhl für den Garten Nr. {n}</p>",
            "imageUrl": "{images}",
        },
        key="SW{n}",
        text="Gartenstuhl {n}",
        image="media/image/sw{n}_{v}.jpg",
        cell="media/image/{name}.jpg",
        most=3,
        join="|",
        delimiter=";",
    ),
    Layout(
        name="magento",
        columns={
            "sku": "24-MB{n}",
            "attribute_set_code": "Bag",
            "product_type": "simple",
            "categories": "Default/Gear",
            "name": "Duffle bag {n}",
            "description": "<p>A bag for sports {n}</p>",
            "base_image": "{1}",
            "small_image": "{1}",
            "thumbnail_image": "{1}",
            "additional_images": "{images}",
            "qty": "100",
        },
        key="24-MB{n}",
        text="Duffle bag {n}",
        image="media/catalog/product/m/b/mb{n}-{v}.jpg",
        cell="/m/b/{name}.jpg",
        most=3,
    ),
    Layout(
        name="etsy",
        columns={
            "TITLE": "Silver ring {n}",
            "DESCRIPTION": "Handmade ring number {n} of sterling silver",
            "PRICE": "2{n}",
            "CURRENCY_CODE": "USD",
            "TAGS": "ring,silver",
            **{f"IMAGE{v}": f"{{{v}}}" for v in range(1, 11)},
            "SKU": "R{n}",
        },
        key="R{n}",
        text="Silver ring {n}",
        image="etsy_{n}_{v}.jpg",
        cell="{name}.jpg",
        most=5,
    ),
    Layout(
        name="german feed",
        columns={
            "titel": "Teekanne {n}",
            "artikelnr": "TK{n}",
            "beschreibung": "Kanne aus Glas für Tee, Nummer {n}",
            "bild_url_2": "{2}",
            "bild_url_1": "{1}",
            "preis": "9,90",
        },
        key="TK{n}",
        text="Teekanne {n}",
        image="produktbilder/a{n}_{v}.webp",
        cell="{name}.webp",
        most=2,
        table="daten/feed.csv",
        delimiter="|",
        encoding="cp1252",
    ),
    Layout(
        name="museum",
        columns={
            "Artist": "Painter of harbours",
            "Object ID": "1{n}",
            "Title": "View of harbour {n}",
            "Medium": "Oil",
            "Image File": "{1}",
        },
        key="1{n}",
        text="View of harbour {n}",
        image="scans/2024/obj_{n}.tif",
        cell="scans/2024/{name}.tif",
        table="metadata/objects.csv",
    ),
    Layout(
        name="paths of another machine",
        columns={"id": "{n}", "name": "Produkt Nummer {n}", "foto": "{1}"},
        key="{n}",
        text="Produkt Nummer {n}",
        image="bilder/p{n}.jpg",
        cell="C:\\Users\\Max\\shop\\bilder\\{name}.jpg",
        delimiter=";",
    ),
    Layout(
        name="dutch, named by sku",
        columns={
            "sku": "AB{n}",
            "naam": "Houten stoel {n}",
            "omschrijving": "Mooie stoel van hout nummer {n}",
        },
        key="AB{n}",
        text="Houten stoel {n}",
        image="fotos/AB{n}-{v}.jpg",
        most=3,
        delimiter=";",
    ),
    Layout(
        name="URLs beside files that are named by an id",
        columns={
            "photo_id": "Xq{n}k",
            "photo_url": "https://photos.example/Xq{n}k",
            "photo_description": "view of mountain {n}",
            "stats_views": "{n}",
        },
        key="Xq{n}k",
        text="view of mountain {n}",
        image="photos/Xq{n}k.jpg",
        table="photos.tsv",
        delimiter="\t",
    ),
    Layout(
        name="italian",
        columns={
            "Codice": "C{n}",
            "Nome prodotto": "Tavolo {n}",
            "Descrizione": "Un bel tavolo di legno numero {n}",
            "Immagine principale": "{1}",
            "Altre immagini": "{2};{3}",
            "Prezzo": "10,00",
        },
        key="C{n}",
        text="Tavolo {n}",
        image="immagini/it{n}_{v}.jpg",
        cell="immagini/{name}.jpg",
        most=3,
        delimiter=";",
    ),
    Layout(
        name="portuguese",
        columns={
            "id_produto": "{n}",
            "titulo": "Cadeira {n}",
            "descricao": "Cadeira confortável de madeira {n}",
            "imagem": "{1}",
            "imagem2": "{2}",
        },
        key="{n}",
        text="Cadeira {n}",
        image="imagens/c{n}_{v}.png",
        cell="{name}.png",
        most=2,
    ),
    Layout(
        name="french",
        columns={
            "Réf": "F{n}",
            "Désignation": "Lampe {n}",
            "Descriptif": "Lampe de bureau numéro {n}",
            "Photos": "{images}",
        },
        key="F{n}",
        text="Lampe {n}",
        image="photos/l{n}_{v}.jpg",
        cell="photos/{name}.jpg",
        most=3,
        join=" ; ",
        delimiter="\t",
    ),
)
