"""Cursors: where a page of hits ended, for which query and which state of the store.

A cursor is valid until the store changes: the same query over the same rows gives the same order.
"""

import base64
import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

from mmsearch.errors import BadQuery
from mmsearch.media import ImageInput
from mmsearch.query import Query


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position after a page of hits.

    state: identifies the store's rows and index. query: the query's fingerprint. offset: the
    number of hits before the next page. depth: the search depth of the first page, on which the
    order of merged lists depends.
    """

    state: str
    query: str
    offset: int
    depth: int

    def __str__(self) -> str:
        content = json.dumps([self.state, self.query, self.offset, self.depth])
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, query: Query, state: str) -> Self:
        """Parses a cursor. Raises BadQuery unless it belongs to this query and state."""
        try:
            padded = text + "=" * (-len(text) % 4)
            content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            written_state, written_query, offset, depth = content
            cursor = cls(written_state, written_query, int(offset), int(depth))
        except (ValueError, TypeError) as error:
            raise BadQuery(
                f"invalid cursor {text!r}; use the 'next' of the previous page"
            ) from error
        if cursor.query != fingerprint(query):
            raise BadQuery(
                "the cursor belongs to another query; request the first page of this one"
            )
        if cursor.state != state:
            raise BadQuery(
                "the store has changed since the cursor was issued; request the first page again"
            )
        if cursor.offset < 0 or cursor.depth < 1:
            raise BadQuery(f"invalid cursor {text!r}: its numbers are out of range")
        return cursor


def fingerprint(query: Query) -> str:
    """Returns a hash of what determines the order of hits; k and the cursor are left out."""
    digest = blake2b(digest_size=8)
    for term in query.terms:
        vector = b"" if term.vector is None else term.vector.tobytes()
        digest.update(repr((term.text, term.key, term.weight)).encode() + vector)
        digest.update(_image_bytes(term.image))
    rest = (query.where, query.target, query.keyword, query.unique, query.diverse, query.threshold)
    digest.update(repr((*rest, query.fuse, query.keyword_weight, query.parts)).encode())
    return digest.hexdigest()


def _image_bytes(image: ImageInput | None) -> bytes:
    """A path as such, anything else by its content."""
    if image is None or isinstance(image, Path | str):
        return str(image).encode("utf-8", "surrogateescape")
    return image if isinstance(image, bytes) else image.tobytes()
