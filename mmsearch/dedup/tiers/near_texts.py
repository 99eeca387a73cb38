"""Near-duplicate texts: MinHash proposes pairs, the Jaccard similarity of shingles decides.

Results are cached by the digests of the normalised texts, so that the next run only compares new
texts and finds what a full run finds.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.cache.database import CachedArrays
from mmsearch.records import Floats, Ids

# Minimum Jaccard similarity of shingles of near-duplicate texts.
NEAR_TEXT = 0.7
_SHINGLE = 5
_BANDS, _ROWS = 24, 4
_HASHES = _BANDS * _ROWS
_PRIME = np.uint64((1 << 31) - 1)
# Limit of texts compared per bucket: a boilerplate text would otherwise cause a quadratic number of
# pairs.
_LARGEST_BUCKET = 200
# Four standard deviations of a similarity estimated from 96 hashes: pairs further below the
# threshold are skipped. That loses one pair in 100,000, the buckets lose one in 700.
_SLACK = 0.2
_COMPARED_AT_ONCE = 1 << 18
# Cached sets of shingles: 16 kB for a text of 250 characters.
_SHINGLES_KEPT = 4096
# Changes whenever the results for the same texts change.
_VERSION = 1

Hashes = NDArray[np.uint32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NearTexts:
    """Result of a search for near-duplicate texts.

    digests: of distinct texts, in the order of the run that compared them.
    hashes: uint32 (n, bands * rows), see `signatures`.
    met: bool (n, bands), whether a text was compared within its bucket.
    pairs: int64 (m, 2), rows, the smaller first, ascending.
    shares: float64 (m,), Jaccard similarities.
    """

    digests: tuple[str, ...]
    hashes: Hashes
    met: Flags
    pairs: Ids
    shares: NDArray[np.float64]

    @classmethod
    def nothing(cls) -> "NearTexts":
        """The result for no texts."""
        hashes, met = np.zeros((0, _HASHES), np.uint32), np.zeros((0, _BANDS), np.bool_)
        return cls((), hashes, met, np.zeros((0, 2), np.int64), np.zeros(0))

    @classmethod
    def load(cls, memory: CachedArrays, threshold: float) -> "NearTexts":
        """Reads a result; an empty one if it is missing or of another threshold."""
        parts = memory.load(_setting(threshold))
        if parts is None:
            return cls.nothing()
        digests = tuple(parts["digests"].astype(np.str_).tolist())
        return cls(digests, *(parts[name] for name in ("hashes", "met", "pairs", "shares")))

    def save(self, memory: CachedArrays, threshold: float) -> None:
        """Writes the result for a threshold."""
        memory.save(
            _setting(threshold),
            digests=np.array(self.digests, dtype=np.bytes_),
            hashes=self.hashes,
            met=self.met,
            pairs=self.pairs,
            shares=self.shares,
        )


def _setting(threshold: float) -> str:
    return f"{_VERSION} text-near {threshold:.4f}"


def find_near_texts(
    texts: Sequence[str], threshold: float = NEAR_TEXT, known: NearTexts | None = None
) -> NearTexts:
    """Finds the pairs of near-duplicate texts.

    texts: normalised and distinct.
    known: the result of an earlier run with the same threshold.
    """
    known = known or NearTexts.nothing()
    digests = tuple(map(_digest, texts))
    row_of = {digest: row for row, digest in enumerate(known.digests)}
    before = np.array([row_of.get(digest, -1) for digest in digests], np.int64)
    fresh = before < 0
    hashes = np.zeros((len(texts), _HASHES), np.uint32)
    hashes[~fresh] = known.hashes[before[~fresh]]
    hashes[fresh] = signatures([texts[row] for row in np.flatnonzero(fresh).tolist()])
    buckets = Buckets.of(hashes)
    # Texts that were both compared within a bucket need not be compared there again.
    queries = buckets.met.copy()
    queries[~fresh] &= ~known.met[before[~fresh]]
    pairs, shares = _shared(texts, buckets.likely_pairs(hashes, queries, threshold), threshold)
    kept, kept_shares = _still_compared(known, before, buckets)
    pairs, shares = np.concatenate([kept, pairs]), np.concatenate([kept_shares, shares])
    pairs, places = np.unique(pairs, axis=0, return_index=True)
    return NearTexts(digests, hashes, buckets.met, pairs, shares[places])


def nearest_shares(texts: Sequence[str], queries: Ids, threshold: float, below: float) -> Floats:
    """Largest similarity of each query to another text, among similarities less than `below`.

    texts: normalised and distinct. Similarities less than the threshold count as 0.
    """
    hashes = signatures(texts)
    buckets = Buckets.of(hashes)
    is_query = np.zeros((len(texts), _BANDS), np.bool_)
    is_query[queries] = buckets.met[queries]
    pairs, shares = _shared(texts, buckets.likely_pairs(hashes, is_query, threshold), threshold)
    nearest = np.zeros(len(texts), np.float32)
    apart = shares < below
    for rows in pairs[apart].T:
        np.maximum.at(nearest, rows, shares[apart].astype(np.float32))
    return nearest[queries]


def jaccard(one: str, other: str) -> float:
    """Computes the Jaccard similarity of the shingles of two normalised texts, 0 to 1."""
    return _jaccard(_shingles(one), _shingles(other))


def _jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    common = len(first & second)
    return common / max(len(first) + len(second) - common, 1)


def _shingles(text: str) -> frozenset[int]:
    data = text.encode("utf-8", "replace")
    last = max(len(data) - _SHINGLE, 0)
    return frozenset([zlib.crc32(data[start : start + _SHINGLE]) for start in range(last + 1)])


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def signatures(texts: Sequence[str]) -> Hashes:
    """Computes MinHash signatures, uint32 (n, bands * rows)."""
    chance = np.random.default_rng(20)
    factors = chance.integers(1, int(_PRIME), _HASHES, dtype=np.uint64)
    offsets = chance.integers(0, int(_PRIME), _HASHES, dtype=np.uint64)
    hashes = np.zeros((len(texts), _HASHES), np.uint32)
    for row, text in enumerate(texts):
        shingles = np.fromiter(_shingles(text), np.uint64)[:, None] % _PRIME
        hashes[row] = ((shingles * factors + offsets) % _PRIME).min(axis=0)
    return hashes


@dataclass(frozen=True, slots=True)
class Buckets:
    """LSH buckets: texts with equal hashes in a band share a bucket.

    keys: uint64 (n, bands), the name of each bucket.
    met: bool (n, bands), whether a text is one of the first of its bucket, which are compared.
    """

    keys: NDArray[np.uint64]
    met: Flags

    @classmethod
    def of(cls, hashes: Hashes) -> "Buckets":
        """Assigns signatures to buckets."""
        keys = np.zeros((len(hashes), _BANDS), np.uint64)
        for row in range(_ROWS):
            # FNV-1a on 32-bit words: 64 bits identify a bucket as well as its four hashes do.
            keys = (keys ^ hashes[:, row::_ROWS]) * np.uint64(0x100000001B3)
            keys ^= keys >> np.uint64(29)
        met = np.zeros(keys.shape, np.bool_)
        for band, column in enumerate(keys.T):
            order, starts = _in_buckets(column)
            met[order, band] = np.arange(len(order)) - starts < _LARGEST_BUCKET
        return cls(keys, met)

    def likely_pairs(self, hashes: Hashes, queries: Flags, threshold: float) -> Ids:
        """Pairs within a bucket, at least one of them a query, that may reach the threshold.

        queries: bool (n, bands).
        Returns int64 (m, 2), unique, the smaller row first, ascending.
        """
        low = hashes.astype(np.uint8)
        least = (threshold - _SLACK) * _HASHES
        found = [np.zeros((0, 2), np.int64)]
        for pairs in self._pairs(queries):
            equal = np.count_nonzero(low[pairs[:, 0]] == low[pairs[:, 1]], axis=1)
            found.append(pairs[equal >= least])
        every: Ids = np.unique(np.concatenate(found), axis=0)
        return every

    def _pairs(self, queries: Flags) -> Iterator[Ids]:
        """Yields blocks of pairs; a pair that shares several buckets occurs several times."""
        for band in range(_BANDS):
            rows = np.flatnonzero(self.met[:, band])
            keys = self.keys[rows, band]
            rows = rows[np.isin(keys, keys[queries[rows, band]])]
            order, starts = _in_buckets(self.keys[rows, band])
            rows = rows[order]
            # Each text is paired with those before it in its bucket.
            counts = np.arange(len(rows)) - starts
            ends = np.cumsum(counts)
            done = ends - counts
            blocks = np.flatnonzero(np.diff(done // _COMPARED_AT_ONCE, prepend=-1)).tolist()
            for begin, end in pairwise([*blocks, len(rows)]):
                part = slice(begin, end)
                later = np.repeat(np.arange(begin, end), counts[part])
                place = np.arange(done[begin], ends[end - 1])
                place -= np.repeat(done[part], counts[part])
                pairs = np.stack([rows[starts[later] + place], rows[later]], axis=1)
                yield pairs[queries[pairs, band].any(axis=1)]


def _in_buckets(keys: NDArray[np.uint64]) -> tuple[Ids, Ids]:
    """Rows sorted by bucket, ascending within each, and the start of each row's bucket."""
    order = np.argsort(keys, kind="stable")
    first = np.ones(len(keys), np.bool_)
    first[1:] = keys[order][1:] != keys[order][:-1]
    starts = np.flatnonzero(first)
    return order, np.repeat(starts, np.diff([*starts, len(keys)]))


def _shared(texts: Sequence[str], pairs: Ids, threshold: float) -> tuple[Ids, NDArray[np.float64]]:
    """The pairs that reach the threshold, and their similarities."""
    shingles = lru_cache(_SHINGLES_KEPT)(_shingles)
    shares = np.array(
        [_jaccard(shingles(texts[one]), shingles(texts[two])) for one, two in pairs.tolist()],
        np.float64,
    )
    near = shares >= threshold
    return pairs[near], shares[near]


def _still_compared(
    known: NearTexts, before: Ids, buckets: Buckets
) -> tuple[Ids, NDArray[np.float64]]:
    """Known pairs whose texts both exist and still share a bucket, and their similarities."""
    now = np.full(len(known.digests), -1)
    now[before[before >= 0]] = np.flatnonzero(before >= 0)
    pairs = np.sort(now[known.pairs], axis=1)
    there = (pairs >= 0).all(axis=1)
    pairs, shares = pairs[there], known.shares[there]
    one, two = pairs.T
    together = (buckets.keys[one] == buckets.keys[two]) & buckets.met[one] & buckets.met[two]
    shared = together.any(axis=1)
    return pairs[shared], shares[shared]
