"""The forms of words that keyword search adds to the words themselves, in the column `_words`.

LanceDB's index of each text column finds words and their English stems. This column makes other
spellings findable: codes with and without separators, accents and umlauts written either way,
beginnings of words, parts of codes, and texts in Chinese, Japanese and Korean, which do not
separate words. Forms are separated by spaces; one that begins with '*' is a beginning of a word.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

COLUMN = "_words"
# Of each row this much text is read: the forms of a whole book would find it by anything.
MAX_CHARACTERS = 20_000
# Longer runs of letters are no words.
_MAX_RUN = 40
_PREFIX_LETTERS, _PREFIX_CODE = range(3, 9), range(2, 17)
# A word of this length is hardly ever another one with a typo.
TYPO_LENGTH = 6
# Groups of digits that are one number have at least so many in all.
_NUMBER_LENGTH = 8

_RUN = re.compile(r"[^\W_]+")
_CJK = re.compile("[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_PIECE = re.compile(r"\d+|[^\W\d_]+")
_DIGRAPH = re.compile(r"([aou])e")
_LETTERS = str.maketrans({"æ": "a", "œ": "o", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
_STOP_WORDS = frozenset(
    {
        "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "if", "in", "into",
        "is", "it", "no", "not", "of", "on", "or", "such", "that", "the", "their", "then",
        "there", "these", "they", "this", "to", "was", "will", "with",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueryForms:
    """The forms of a query, those of each kind separated by spaces as in the column.

    codes: several parts as one, such as '9783161484100'. equal: words in one spelling. prefixes:
    beginnings of words. typos: words that may have a typo.
    """

    codes: str
    equal: str
    prefixes: str
    typos: str


def indexed_forms(texts: Iterable[str]) -> str:
    """Returns the forms of the texts of a row."""
    found: dict[str, None] = {}
    left = MAX_CHARACTERS
    for text in texts:
        text = text[:left]
        left -= len(text)
        chunks = _chunks(text)
        for run in (run for chunk in chunks for run in chunk):
            found.update(dict.fromkeys([run, *_pieces(run), *_prefixes(run)]))
        found.update(dict.fromkeys([*_joined(chunks), *_ngrams(text, single=True)]))
    return " ".join(found)


def query_forms(words: str) -> QueryForms:
    """Returns the forms by which to look for the words of a query."""
    words = words[:MAX_CHARACTERS]
    chunks = _chunks(words)
    codes = dict.fromkeys(_joined(chunks))
    runs = [
        run
        for chunk in chunks
        for run in chunk
        if len(chunk) == 1 or (len(run) > 1 and not run.isdigit())
    ]
    meaningful = [run for run in runs if run not in _STOP_WORDS]
    ngrams = list(_ngrams(words, single=False))
    if not meaningful and not codes and not ngrams:
        # A query of stop words alone looks for these.
        meaningful = runs
    equal = dict.fromkeys([*meaningful, *ngrams])
    prefixes = dict.fromkeys(f"*{form}" for form in [*meaningful, *codes])
    typos = [run for run in meaningful if len(run) >= TYPO_LENGTH and run.isalpha()]
    return QueryForms(" ".join(codes), " ".join(equal), " ".join(prefixes), " ".join(typos))


def _chunks(text: str) -> list[list[str]]:
    """Returns the runs of letters and digits of each part between spaces, in one spelling."""
    plain = _CJK.sub(" ", unicodedata.normalize("NFKC", text)).casefold()
    found = ([_spelt(run) for run in _RUN.findall(chunk)] for chunk in plain.split())
    return [chunk for chunk in found if chunk]


def _spelt(run: str) -> str:
    """Returns a run without accents, and 'ae', 'oe', 'ue' as the letters with an umlaut."""
    if not run.isascii():
        letters = unicodedata.normalize("NFKD", run.translate(_LETTERS))
        run = "".join(char for char in letters if not unicodedata.combining(char))
    return _DIGRAPH.sub(r"\1", run)[:_MAX_RUN]


def _joined(chunks: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields codes without their separators: 'AT&T', '978-3-16', 'iPhone 15', '256 GB'."""
    for chunk in chunks:
        if len(chunk) > 1 and len(code := "".join(chunk)) <= _MAX_RUN:
            yield code
    runs = [run for chunk in chunks for run in chunk]
    for run, following in pairwise(runs):
        if (run.isdigit() and following.isalpha()) or (run.isalpha() and following.isdigit()):
            yield run + following
    number = ""
    for run in [*runs, ""]:
        if run.isdigit():
            number += run
            continue
        if _NUMBER_LENGTH <= len(number) <= _MAX_RUN:
            yield number
        number = ""


def _pieces(run: str) -> Iterator[str]:
    """Yields the numbers inside a code, also without leading zeros: 'dsc08155'."""
    if run.isalpha() or run.isdigit():
        return
    for piece in _PIECE.findall(run)[1:]:
        if piece.isdigit() and len(piece) >= 3:
            yield piece
            yield piece.lstrip("0") or piece


def _prefixes(run: str) -> Iterator[str]:
    """Yields the beginnings of a run, and the whole of it, so that it ranks no lower by them."""
    lengths = _PREFIX_LETTERS if run.isalpha() else _PREFIX_CODE
    for length in lengths:
        if length >= len(run):
            break
        yield f"*{run[:length]}"
    yield f"*{run}"


def _ngrams(text: str, *, single: bool) -> Iterator[str]:
    """Yields pairs of neighbouring CJK characters.

    single: also each character; else only those without a neighbour.
    """
    for found in _CJK.findall(unicodedata.normalize("NFKC", text)):
        if single or len(found) == 1:
            yield from found
        yield from (found[i : i + 2] for i in range(len(found) - 1))
