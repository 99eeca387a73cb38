"""Guesses the roles of a table's columns, from their names and contents."""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from mmsearch.sources.fields import clean_text
from mmsearch.sources.image_paths import is_url, looks_like_image
from mmsearch.sources.row_images import image_cells
from mmsearch.sources.survey import Survey
from mmsearch.sources.values import Kind

# Headings in English, German, French, Spanish, Italian, Portuguese, Dutch and Polish, unaccented.
_PICTURE_WORDS = frozenset(
    {"image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos",
     "bild", "bilder", "abbildung", "foto", "fotos", "imagen", "imagenes", "imagem", "imagens",
     "immagine", "immagini", "afbeelding", "afbeeldingen", "zdjecie", "zdjecia", "obraz", "obrazek"}
)  # fmt: skip
_IMAGE_WORDS = _PICTURE_WORDS | {
    "thumbnail", "file", "filename", "filepath", "path", "src", "url", "datei", "fichier",
    "archivo", "plik", "pfad", "chemin",
}  # fmt: skip
# Columns of images that show the item no better than its first one, or something else.
_NOT_MORE_IMAGES = frozenset(
    {"thumbnail", "thumb", "thumbs", "icon", "logo", "swatch", "avatar", "alt", "vorschau",
     "vorschaubild", "miniature", "miniatura"}
)  # fmt: skip
_FURTHER = frozenset({"additional", "further", "other", "more", "variant", "gallery", "extra"})
_TITLES = (
    "title", "name", "headline", "heading", "titel", "bezeichnung", "artikelbezeichnung",
    "produktname", "artikelname", "titre", "nom", "titulo", "nombre", "nome", "titolo", "naam",
    "nazwa", "tytul", "designation", "libelle", "benaming", "benamning",
)  # fmt: skip
_TITLES_FIRST = ("nom", "nombre", "nome", "nazwa", "titre", "titulo", "titolo", "tytul")
_BODIES = (
    "caption", "description", "desc", "text", "summary", "abstract", "body", "content", "details",
    "overview", "prompt", "alt", "comment", "review", "beschreibung", "artikelbeschreibung",
    "produktbeschreibung", "kurzbeschreibung", "langtext", "descriptif", "descripcion",
    "descricao", "descrizione", "omschrijving", "beschrijving", "opis",
)  # fmt: skip
# Words before 'name' where the column does not name the item itself.
_NOT_THE_ITEMS = frozenset(
    {"author", "autor", "auteur", "brand", "marca", "marque", "marki", "category", "categorie",
     "categoria", "kategorii", "city", "color", "colour", "country", "file", "first", "folder",
     "last", "manufacturer", "option", "option1", "option2", "option3", "parent", "seller", "store",
     "supplier", "user", "vendor"}
)  # fmt: skip
_IDS = (
    "id", "key", "uid", "uuid", "guid", "sku", "asin", "gtin", "ean", "upc", "isbn", "handle",
    "artikelnummer", "artikelnr", "artnr", "ref", "bestellnummer", "produktnummer", "reference",
    "referenz", "referencia", "riferimento", "codigo", "codice", "kod", "symbol", "indeks",
)  # fmt: skip
# Ends of words such as 'ordernumber' and 'Artikel-Nr'.
_NUMBERS = ("number", "nummer", "nr", "numero")
_TYPE_WORDS = frozenset({"str", "string", "int", "integer", "float", "bool"})
_CASE_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"\d+|[^\W\d_]+")
_ROW_NUMBER = re.compile(r"column \d+")

# The share of cells of a kind from which a column is of that kind.
_MOST = 0.5
# Of the further rows of one item, the share whose title is empty.
_UNTITLED = 0.9
# Categories repeat and are short, which shows from this many rows on.
_ENOUGH_ROWS = 20
_CATEGORY_WORDS = 4.0
_LOOKED_AT = 200
# Columns whose first cells look nothing like images are not looked at further.
_FIRST = 20


def find_images(survey: Survey, exists: Callable[[str], bool]) -> tuple[str, ...]:
    """Returns the columns of images: the one with the most existing images, and those beside it.

    If none exist, the one that looks most like it. Others belong to it if they differ by a number
    alone, as 'image2' from 'image1', or hold images and are named so.
    """
    best: str | None = None
    best_rank: tuple[float, ...] = ()
    shares: dict[str, tuple[float, float]] = {}
    for column in survey.columns:
        named = len(_IMAGE_WORDS.intersection(words_of(column)))
        if not survey.rows and named and words_of(column) != ["url"]:
            return (column,)
        there, addressed = shares[column] = _image_shares(survey, column, exists)
        whole = not _NOT_MORE_IMAGES.intersection(words_of(column))
        rank = (there > _MOST, whole, there, addressed, named)
        if (there > 0 or addressed > _MOST) and rank > best_rank:
            best, best_rank = column, rank
    if best is None:
        return ()
    more = [
        column
        for column, (there, addressed) in shares.items()
        if column != best
        and (there > 0 or addressed > _MOST)
        and (_is_numbered(column, best) or _names_image(column))
        and not _NOT_MORE_IMAGES.intersection(words_of(column))
    ]
    return tuple(sorted((best, *more), key=_image_order))


def cells_of_images(survey: Survey, columns: Sequence[str]) -> list[str]:
    """Returns the paths and URLs that the first cells of columns name, if they are of images."""
    cells: list[str] = []
    for row in survey.sample[:_LOOKED_AT]:
        for value in map(row.get, columns):
            if isinstance(value, str) and not _may_list_images(value):
                cells += [text] if (text := clean_text(value)) else []
            else:
                cells += image_cells(value)
    return cells[:_LOOKED_AT]


def image_samples(survey: Survey) -> list[str]:
    """Returns the first cells of each column that look like paths of images."""
    found: list[str] = []
    for column in survey.columns:
        cells = cells_of_images(survey, [column])[:_FIRST]
        found += [cell for cell in cells if looks_like_image(cell) and not is_url(cell)]
    return found


def named_like_ids(survey: Survey, images: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Returns the columns whose cells may be names of images without a suffix, with these cells."""
    ranks = {column: _id_rank(column) for column in survey.columns}
    likely = [column for column in images if column in ranks]
    likely += sorted((c for c in ranks if ranks[c] is not None), key=lambda c: ranks[c] or 0)
    likely += [column for column in survey.columns if _names_image(column)]
    return [(column, survey.texts(column)) for column in dict.fromkeys(likely)]


def find_ids(survey: Survey, taken: Collection[str | None]) -> list[str]:
    """Returns the columns that are named like ids and distinct in each sampled row, best first."""
    named = [
        (rank, position, column)
        for position, column in enumerate(survey.columns)
        if column not in taken and (rank := _id_rank(column)) is not None
    ]
    return [name for _, _, name in sorted(named) if _identifies(survey, name)]


def find_group(survey: Survey, texts: Sequence[str]) -> str | None:
    """Returns the id column whose value repeats in rows that follow each other without a title.

    So exports of shops write a product with several images or variants.
    """
    candidates = sorted(
        (rank, column)
        for column in survey.columns
        if column not in texts and (rank := _id_rank(column)) is not None
    )
    for _, column in candidates:
        further = [
            row
            for before, row in zip(survey.sample, survey.sample[1:], strict=False)
            if row.get(column) not in (None, "") and row.get(column) == before.get(column)
        ]
        untitled = sum(not str(row.get(texts[0]) or "").strip() for row in further) if texts else 0
        if further and untitled >= _UNTITLED * len(further):
            return column
    return None


def with_ids_as_they_are(survey: Survey, requested: str | None) -> Survey:
    """Returns the survey with columns of ids as texts where a few of them are no numbers.

    requested: the column that the user named.
    """
    ids = {name for name in survey.odd if name == requested or _id_rank(name) is not None}
    return replace(
        survey,
        kinds={name: Kind.TEXT if name in ids else kind for name, kind in survey.kinds.items()},
        odd={name: cell for name, cell in survey.odd.items() if name not in ids},
        loose=survey.loose - ids,
    )


def find_texts(survey: Survey, columns: list[str]) -> list[str]:
    """Returns the text columns: titles, then descriptions by name, then by content."""
    prose = [name for name in columns if _is_text(survey, name)]
    titles = _named(prose, _TITLES)
    if not titles:
        candidates = [name for name in prose if _ends_as_title(name) and not _repeats(survey, name)]
        titles = sorted(candidates, key=lambda name: -_distinct(survey, name))[:1]
    bodies = _named(prose, _BODIES)
    bodies += [name for name in prose if words_of(name)[-1:] and words_of(name)[-1] in _BODIES]
    natural = [name for name in prose if _is_natural(survey, name)]
    found = list(dict.fromkeys((*titles, *bodies, *natural)))
    if not found and len(columns) == 1 and len(prose) == 1:
        return prose
    return found


def words_of(name: str) -> list[str]:
    """Splits a name: 'Iconic Image Path (str)' or 'iconicImagePath' → iconic, image, path.

    The words are in lower case and without accents.
    """
    plain = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("Ł", "L"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = [word.lower() for word in _WORD.findall(_CASE_CHANGE.sub(" ", plain))]
    # 'Body (HTML)' is a body.
    words = words[:-1] if words[-1:] == ["html"] and len(words) > 1 else words
    return [word for word in words if word not in _TYPE_WORDS] or words


def _names_image(column: str) -> bool:
    return bool(_PICTURE_WORDS.intersection(words_of(column)))


def _is_numbered(column: str, image: str) -> bool:
    """Whether two names differ by a number alone."""
    first, second = (
        [word for word in words_of(name) if not word.isdigit()] for name in (column, image)
    )
    return first == second and not _ROW_NUMBER.fullmatch(column)


def _image_order(column: str) -> tuple[bool, int]:
    words = words_of(column)
    number = next((int(word) for word in reversed(words) if word.isdigit()), 0)
    return bool(_FURTHER.intersection(words)), number


def _image_shares(
    survey: Survey, column: str, exists: Callable[[str], bool]
) -> tuple[float, float]:
    """Returns the share of images that exist, and of those that look like paths or URLs of some."""
    cells = cells_of_images(survey, [column])
    there, like = _share(exists, cells[:_FIRST]), _share(looks_like_image, cells[:_FIRST])
    if there or like:
        there, like = _share(exists, cells), _share(looks_like_image, cells)
    addressed = like if like > _MOST else 0.0
    if not addressed and _names_image(column):
        addressed = _share(is_url, cells)
    return there, addressed


def _may_list_images(text: str) -> bool:
    """Whether a cell may hold names of images and nothing else; prose is not split."""
    last = text.strip(" \t\n,;|").rpartition("\n")[2]
    return looks_like_image(last) or last.endswith("]") or is_url(text.strip())


def _id_rank(column: str) -> int | None:
    words = words_of(column)
    if len(words) == 1 and words[0] in _IDS:
        return _IDS.index(words[0])
    # 'product_id', and 'id_produto' where the noun comes first.
    if words and (words[-1] in _IDS or words[0] == "id"):
        return len(_IDS)
    return len(_IDS) + 1 if words and words[-1].endswith(_NUMBERS) else None


def _identifies(survey: Survey, column: str) -> bool:
    if survey.kinds.get(column, Kind.TEXT) not in (Kind.TEXT, Kind.INT):
        return False
    values = survey.texts(column)
    return len(values) == len(survey.sample) == len(set(values))


def _is_text(survey: Survey, column: str) -> bool:
    if survey.kinds.get(column, Kind.TEXT) is not Kind.TEXT:
        return False
    cells = survey.texts(column)[:_LOOKED_AT]
    if not cells:
        return not survey.rows
    return _share(lambda cell: is_url(cell) or _is_path(cell), cells) <= _MOST


def _is_path(cell: str) -> bool:
    return re.fullmatch(r"\S*[/\\]\S*|\S+\.[A-Za-z0-9]{2,5}", cell) is not None


def _named(columns: list[str], names: tuple[str, ...]) -> list[str]:
    """Returns the columns with exactly these names, in their order."""
    ranked = [(names.index(words[0]), name) for name in columns if (words := words_of(name))
              and len(words) == 1 and words[0] in names]  # fmt: skip
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]


def _ends_as_title(column: str) -> bool:
    """Whether a column is called 'Product name', or 'Nom du produit' where the noun comes first."""
    words = words_of(column)
    if not words or _NOT_THE_ITEMS.intersection(words):
        return False
    return words[-1] in _TITLES or words[0] in _TITLES_FIRST


def _is_natural(survey: Survey, column: str) -> bool:
    """Whether a column holds prose: long texts of words that rarely repeat."""
    cells = survey.texts(column)[:_LOOKED_AT]
    if not cells or _repeats(survey, column):
        return False
    letters = sum(sum(c.isalpha() or c.isspace() for c in cell) for cell in cells)
    spoken = letters > 0.8 * sum(map(len, cells))
    # Lists of tags, words with separators, are for filters.
    listed = _share(lambda cell: len(re.split(r"[;,|]", cell)) > len(cell.split()) / 2, cells)
    return spoken and _mean_words(cells) >= _CATEGORY_WORDS and listed <= _MOST


def _repeats(survey: Survey, column: str) -> bool:
    cells = survey.texts(column)
    return len(cells) >= _ENOUGH_ROWS and _distinct(survey, column) < _MOST


def _distinct(survey: Survey, column: str) -> float:
    cells = survey.texts(column)
    return len(set(cells)) / len(cells) if cells else 0.0


def _mean_words(cells: list[str]) -> float:
    return sum(len(cell.split()) for cell in cells) / len(cells)


def _share(test: Callable[[str], bool], cells: list[str]) -> float:
    return sum(map(test, cells)) / len(cells) if cells else 0.0
