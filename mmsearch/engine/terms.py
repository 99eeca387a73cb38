"""Turns the terms of queries into vectors; texts and images are encoded in batches."""

import re
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mmsearch.arrays import blocks, unit
from mmsearch.encoders.base import Encoder, TextEncoder
from mmsearch.errors import BadQuery, RecordNotFound
from mmsearch.generations import IMAGE, TEXT
from mmsearch.media import ImageInput, MediaBounds, load_image, require_image
from mmsearch.query import Query, Term, TermVectors
from mmsearch.records import Floats, Ids, Modality
from mmsearch.store import Store
from mmsearch.text import one_line

T = TypeVar("T")

# Texts or images per forward pass.
BATCH = 64
# Characters of a long text in a message.
_SHOWN = 40
# The key of a part: that of its item and the part's locator.
_PART_KEY = re.compile(r"(?P<key>.+)#(?P<kind>image|passage)=(?P<number>\d+)")


class TermReader:
    """Turns terms into vectors.

    encoder, text_encoder: return the encoder of images and the one of texts, which may be lighter.
    Each is called whenever a term needs it.
    """

    def __init__(
        self,
        store: Store,
        *,
        encoder: Callable[[], Encoder],
        text_encoder: Callable[[], TextEncoder],
        bounds: MediaBounds,
    ) -> None:
        self._store, self._bounds = store, bounds
        self._encoder, self._text_encoder = encoder, text_encoder

    def read(self, queries: Sequence[Query]) -> list[tuple[tuple[TermVectors, ...], Ids]]:
        """Returns each query's terms as vectors, and the uids of the items that it names.

        Raises RecordNotFound, UnreadableMedia, SpaceMismatch, BadQuery.
        """
        terms = [term for query in queries for term in query.terms]
        images = self._images([term.image for term in terms if term.image is not None])
        texts = self._texts({term.text for term in terms if term.text is not None})
        items = self._items({term.key for term in terms if term.key is not None})

        def vectors(term: Term) -> dict[Modality, Floats]:
            if term.text is not None:
                return {"text": texts[term.text]}
            if term.image is not None:
                return {"image": images[_identity(term.image)]}
            if term.key is not None:
                return stored_vectors(items[term.key])
            return {"image": self._checked(term.vector)}

        return [
            (
                tuple(TermVectors(vectors(term), term.weight) for term in query.terms),
                np.array([items[t.key]["_uid"] for t in query.terms if t.key], dtype=np.int64),
            )
            for query in queries
        ]

    def _images(self, images: Sequence[ImageInput]) -> dict[Path | int, Floats]:
        """By `_identity`: what several queries share is encoded once."""
        distinct = {_identity(image): image for image in images}
        if not distinct:
            return {}
        for image in distinct.values():
            require_image(image)
        encoder = self._encoder()
        self._require_space(encoder)

        # Decoded as indexing decodes it, the image of an item has the vector of that item.
        draft = (encoder.preprocessing.size, encoder.preprocessing.size)

        def encode(batch: Sequence[Path | int]) -> Floats:
            images = (distinct[each] for each in batch)
            return encoder.encode_images(
                [load_image(image, bounds=self._bounds, draft=draft) for image in images]
            )

        return _in_batches(list(distinct), encode)

    def _texts(self, texts: Set[str]) -> dict[str, Floats]:
        if not texts:
            return {}
        encoder = self._text_encoder()
        self._require_space(encoder)
        # Texts of equal length need no padding.
        ordered = sorted(texts, key=lambda text: (len(text), text))
        return _in_batches(ordered, encoder.encode_texts)

    def _require_space(self, encoder: TextEncoder) -> None:
        self._store.manifest.space.require(encoder.space, holder=str(self._store.folder))

    def notes(self, texts: Sequence[str]) -> list[str]:
        """Returns what the model did not read of texts that it has just encoded."""
        if not texts:
            return []
        encoder = self._text_encoder()
        return [
            *(
                f"the model knows no word of '{one_line(texts[place])}', so the order of the hits "
                "means nothing; use words of its languages, or `keyword`"
                for place in encoder.unknown(texts)
            ),
            *(
                f"'{one_line(texts[place])[:_SHOWN]}…' is longer than the model reads: only the "
                "beginning was used"
                for place in encoder.overlong(texts)
            ),
        ]

    def _items(self, keys: Set[str]) -> dict[str, dict[str, Any]]:
        rows = self._store.rows_of_keys(sorted(keys), ["key", "_uid", IMAGE, TEXT])
        items = {row["key"]: row for row in rows}
        for key in sorted(keys - items.keys()):
            named = _PART_KEY.fullmatch(key)
            if named is None:
                raise RecordNotFound(
                    f"no item '{key}' in {self._store.folder}; {self._store.key_hint(key)}"
                )
            (item,) = self._items({named["key"]}).values()
            items[key] = self._part(item, key, named["kind"], int(named["number"]))
        return items

    def _part(self, item: dict[str, Any], key: str, kind: str, number: int) -> dict[str, Any]:
        """Returns the row of an item with the vector of one of its parts alone."""
        rows = self._store.parts_of([item["_uid"]], extra=["_vector"]).to_pylist()
        of_kind = {row["number"]: row["_vector"] for row in rows if row["kind"] == kind}
        # An item without parts of a kind is its only one.
        column = IMAGE if kind == "image" else TEXT
        if not of_kind and item[column] is not None:
            of_kind = {1: item[column]}
        if number not in of_kind:
            raise RecordNotFound(f"no '{key}': the item has {len(of_kind)} of kind '{kind}'")
        return {**item, IMAGE: None, TEXT: None, column: of_kind[number]}

    def _checked(self, vector: Floats | None) -> Floats:
        values = np.asarray(vector, dtype=np.float32)
        if values.shape != (self._store.dim,) or not np.isfinite(values).all() or not values.any():
            raise BadQuery(
                f"a query vector must be {self._store.dim} finite numbers, not all zero, "
                f"got shape {values.shape}"
            )
        row: Floats = unit(values[None])[0]
        return row


def _in_batches(items: Sequence[T], encode: Callable[[Sequence[T]], Floats]) -> dict[T, Floats]:
    found: dict[T, Floats] = {}
    for block in blocks(len(items), BATCH):
        found.update(zip(items[block], encode(items[block]), strict=True))
    return found


def _identity(image: ImageInput) -> Path | int:
    """The path of a file; of an image in memory, the object."""
    return Path(image) if isinstance(image, Path | str) else id(image)


def stored_vectors(row: dict[str, Any]) -> dict[Modality, Floats]:
    """Returns the unit vectors of a row by modality."""
    named: list[tuple[Modality, str]] = [("image", IMAGE), ("text", TEXT)]
    return {
        modality: unit(np.asarray([row[column]], dtype=np.float32))[0]
        for modality, column in named
        if row[column] is not None
    }
