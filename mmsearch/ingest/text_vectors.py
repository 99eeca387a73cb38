"""Vectors of texts: one of a text that the encoder reads whole, one per passage of a longer one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsearch.arrays import unit
from mmsearch.digests import digest_of_text
from mmsearch.encoders.base import TextEncoder
from mmsearch.ingest.passages import split_passages
from mmsearch.records import Floats


@dataclass(frozen=True, slots=True)
class EncodedText:
    """The vector of a text, float32 (dim,), and its passages as parts for `Store.write_rows`.

    cut: it has more passages than are kept.
    """

    vector: Floats
    passages: tuple[dict[str, Any], ...] = ()
    cut: bool = False


def encode_texts(
    texts: Sequence[str], encoder: TextEncoder, *, known: Mapping[str, Floats], most: int
) -> dict[str, EncodedText]:
    """Encodes distinct texts; returns their vectors, and the passages of long ones, by text.

    known, most: as in `encode_passages`.
    """
    if not texts:
        return {}
    long = {texts[place] for place in encoder.overlong(texts)}
    short = [text for text in texts if text not in long]
    vectors = encoder.encode_texts(short) if short else ()
    found = {text: EncodedText(each) for text, each in zip(short, vectors, strict=True)}
    for text in long:
        found[text] = encode_passages(text, encoder, known=known, most=most)
    return found


def encode_passages(
    text: str, encoder: TextEncoder, *, known: Mapping[str, Floats], most: int
) -> EncodedText:
    """Encodes the passages of a long text; its own vector is their mean.

    known: vectors by the hash of a passage, which are not computed again. most: passages kept.
    """
    passages = split_passages(text, encoder)
    kept = passages[:most]
    hashes = [digest_of_text(passage.text) for passage in kept]
    new = {h: p.text for h, p in zip(hashes, kept, strict=True) if h not in known}
    encoded = dict(zip(new, encoder.encode_texts(list(new.values())), strict=True)) if new else {}
    vectors = {**known, **encoded}
    parts = tuple(
        {
            "kind": "passage",
            "number": number,
            "text": passage.text,
            "start": passage.start,
            "end": passage.end,
            "_hash": value,
            "_vector": vectors[value],
        }
        for number, (passage, value) in enumerate(zip(kept, hashes, strict=True), 1)
    )
    mean = mean_vector([part["_vector"] for part in parts])
    return EncodedText(mean, parts, cut=len(passages) > most)


def mean_vector(vectors: Sequence[Floats]) -> Floats:
    """Returns the direction of the mean of unit vectors, float32 (dim,), a unit vector."""
    total: Floats = np.stack(vectors).astype(np.float32).sum(axis=0, keepdims=True)
    # Opposite vectors have no mean direction.
    return unit(total)[0] if total.any() else np.asarray(vectors[0], np.float32)
