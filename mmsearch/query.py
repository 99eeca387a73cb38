"""Queries: weighted terms, a filter, a target and the number of hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, get_args

import numpy as np

from mmsearch.arrays import unit
from mmsearch.errors import BadQuery
from mmsearch.fusion import Fusion
from mmsearch.records import Floats, Modality, Target, TargetChoice

if TYPE_CHECKING:
    from mmsearch.media import ImageInput

MAX_HITS = 10_000
Fuse: TypeAlias = Literal["rrf", "weighted"]


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a query: exactly one of text, image, key or vector, with a weight.

    image: a path, the file's content as bytes, a Pillow image, or uint8 (height, width[, 3 or 4]).
    key: of an item of the store. vector: float32 (dim,), an image embedding. weight: a negative one
    steers away. Raises BadQuery.

    >>> Term(text="red shoes")
    Term(text='red shoes', image=None, key=None, vector=None, weight=1.0)
    """

    text: str | None = None
    image: "ImageInput | None" = None
    key: str | None = None
    vector: Floats | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.image, str):
            object.__setattr__(self, "image", Path(self.image))
        given = [self.text, self.image, self.key, self.vector]
        if sum(part is not None for part in given) != 1:
            raise BadQuery("a query term is one of text, image, key or vector, got none or several")
        if self.text is not None and not isinstance(self.text, str):
            raise BadQuery(f"`text` must be a str, got {type(self.text).__name__}")
        if self.text is not None and not self.text.strip():
            raise BadQuery("the query text is empty; type what to look for")
        if not np.isfinite(self.weight) or self.weight == 0:
            raise BadQuery(f"a term's weight must be a number other than 0, got {self.weight}")


@dataclass(frozen=True, slots=True)
class Query:
    """A search made of any number of weighted terms; `Catalog.query` and `search_many` run it.

    terms: combined into one query vector. The other fields are parameters of `Catalog.search`.
    Raises BadQuery.

    >>> boots = Query((Term(text="boots"), Term(text="leather", weight=-0.5)), k=3)
    >>> boots.k, len(boots.terms)
    (3, 2)
    """

    terms: tuple[Term, ...] = ()
    k: int = 10
    where: str | None = None
    target: TargetChoice = "auto"
    keyword: str | None = None
    fuse: Fuse = "rrf"
    keyword_weight: float = 0.5
    unique: bool = False
    diverse: float | None = None
    threshold: float | None = None
    after: str | None = None
    parts: bool = False

    def __post_init__(self) -> None:
        if not self.terms and self.keyword is None:
            raise BadQuery("nothing to search for; give a text, `image`, `like` or `keyword`")
        if self.keyword is not None and not self.keyword.strip():
            raise BadQuery("the keyword is empty; type the words to look for")
        if not 1 <= self.k <= MAX_HITS:
            raise BadQuery(f"`k` must be from 1 to {MAX_HITS:,}, got {self.k}")
        if self.terms and all(term.weight < 0 for term in self.terms):
            raise BadQuery("every term is negative; give at least one to look for")
        if self.target not in ("auto", "image", "text", "product"):
            raise BadQuery(f"`target` must be auto, image, text or product, got {self.target!r}")
        if self.parts and self.target == "product":
            raise BadQuery(
                "a product vector is of a whole item; search the image or text of `parts`"
            )
        if self.fuse not in get_args(Fuse):
            raise BadQuery(f"`fuse` must be {' or '.join(get_args(Fuse))}, got {self.fuse!r}")
        if not 0 <= self.keyword_weight <= 1:
            raise BadQuery(f"`keyword_weight` must be from 0 to 1, got {self.keyword_weight}")
        if self.diverse is not None and not 0 <= self.diverse <= 1:
            raise BadQuery(
                f"`diverse` must be from 0 (diverse) to 1 (relevant), got {self.diverse}"
            )
        if self.threshold is not None and not self.terms:
            raise BadQuery("`threshold` is a similarity; give a text, `image` or `like` as well")
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise BadQuery(f"`threshold` must be from -1 to 1, got {self.threshold}")


class QueryParts(TypedDict, total=False):
    """The keyword arguments of `query_of`, for callers that pass them on as a mapping."""

    image: "ImageInput | None"
    image_weight: float
    like: str | None
    vector: Floats | None
    without: str | None
    keyword: str | None
    hybrid: bool
    fuse: Fuse
    keyword_weight: float
    where: str | None
    k: int
    target: TargetChoice
    unique: bool
    diverse: float | None
    threshold: float | None
    after: str | None
    parts: bool


def query_of(  # noqa: PLR0913 - the parameters of Catalog.search
    text: str | None = None,
    *,
    image: "ImageInput | None" = None,
    image_weight: float = 0.5,
    like: str | None = None,
    vector: Floats | None = None,
    without: str | None = None,
    keyword: str | None = None,
    hybrid: bool = False,
    fuse: Fuse = "rrf",
    keyword_weight: float = 0.5,
    where: str | None = None,
    k: int = 10,
    target: TargetChoice = "auto",
    unique: bool = False,
    diverse: float | None = None,
    threshold: float | None = None,
    after: str | None = None,
    parts: bool = False,
) -> Query:
    """Returns the query that the parameters of `Catalog.search` describe. Raises BadQuery."""
    both = text is not None and image is not None
    text_weight, own_weight = (1.0 - image_weight, image_weight) if both else (1.0, 1.0)
    if hybrid and keyword is None:
        if text is None:
            raise BadQuery("a hybrid search takes its keywords from the text; give one")
        keyword = text
    terms = (
        *([Term(text=text, weight=text_weight)] if text is not None and text_weight else []),
        *([Term(image=image, weight=own_weight)] if image is not None and own_weight else []),
        *([Term(key=like)] if like is not None else []),
        *([Term(vector=vector)] if vector is not None else []),
        *([Term(text=without, weight=-0.5)] if without is not None else []),
    )
    return Query(
        terms,
        k=k,
        where=where,
        target=target,
        keyword=keyword,
        fuse=fuse,
        keyword_weight=keyword_weight,
        unique=unique,
        diverse=diverse,
        threshold=threshold,
        after=after,
        parts=parts,
    )


def require_list(parameter: str, value: object) -> None:
    """Raises BadQuery for a single text, file or image where several are expected."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise BadQuery(f"`{parameter}` must be a list, got {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class TermVectors:
    """A term's unit vectors, float32 (dim,), by modality; an item may have both."""

    vectors: Mapping[Modality, Floats]
    weight: float

    def towards(self, target: Target) -> tuple[Modality, Floats]:
        """Returns the vector to compare with `target`: its own modality's if the term has it."""
        preferred: Modality = "text" if target == "text" else "image"
        modality = preferred if preferred in self.vectors else next(iter(self.vectors))
        return modality, self.vectors[modality]


def query_vector(terms: tuple[TermVectors, ...], target: Target, fusion: Fusion) -> Floats:
    """Combines the terms into one vector to search `target` with: float32 (1, dim), unit row.

    Terms of one modality are summed by weight, so that similarities to image and text vectors are
    cosines. Otherwise each term is centred by its modality's mean first (see `fusion`), since the
    modality gap would outweigh the differences between terms. Raises BadQuery if they cancel out.
    """
    if target == "product":
        total = sum(term.weight * _product(term, fusion) for term in terms)
    else:
        chosen = [(term.weight, *term.towards(target)) for term in terms]
        mixed = len({modality for _, modality, _ in chosen}) > 1
        total = sum(
            weight * (fusion.centre(vector[None], modality) if mixed else vector[None])
            for weight, modality, vector in chosen
        )
    combined = unit(np.asarray(total, dtype=np.float32))
    if not combined.any():
        raise BadQuery("the query's terms cancel each other out; change their weights")
    return combined


def _product(term: TermVectors, fusion: Fusion) -> Floats:
    """Returns float32 (1, dim): the product of an item with both vectors, else one centred."""
    if len(term.vectors) > 1:
        return fusion.products(term.vectors["image"][None], term.vectors["text"][None])
    modality, vector = next(iter(term.vectors.items()))
    return fusion.centre(vector[None], modality)
