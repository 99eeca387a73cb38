"""Images, texts and products as examples in the report."""

from mmsearch.evaluation.labels import NONE, LabelledSet, Pool
from mmsearch.evaluation.results import Example
from mmsearch.evaluation.tasks import Products
from mmsearch.records import Target, printable_path
from mmsearch.text import one_line

_TITLE_CHARACTERS = 160


class Examples:
    """Makes examples of a labelled set."""

    def __init__(self, catalog: LabelledSet) -> None:
        self._pool, self._products = catalog.pool, Products.of(catalog.items)

    def example(self, target: Target, place: int) -> Example:
        """Returns an example. place: in the pool, or among the products, shown by their image."""
        if target == "product":
            image = int(self._products.images[place])
            text = int(self._products.texts[place])
            return _text(self._pool, text) if image == NONE else _image(self._pool, image)
        return _image(self._pool, place) if target == "image" else _text(self._pool, place)


def _image(pool: Pool, place: int) -> Example:
    return Example(pool.titles[place], printable_path(pool.images[place]))


def _text(pool: Pool, place: int) -> Example:
    text = one_line(pool.texts[place])
    cut = f"{text[: _TITLE_CHARACTERS - 1].rstrip()}…" if len(text) > _TITLE_CHARACTERS else text
    return Example(cut)
