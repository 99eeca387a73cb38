"""Splits texts that are longer than an encoder reads into passages.

Passages end at headings, paragraphs and sentences as far as they can. One begins with the last
sentence of the one before, where that is short enough, so that a thought that spans two sentences
is found too.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmsearch.encoders.base import TextEncoder

# Of a passage, at most this share repeats the one before.
_OVERLAP = 0.5
# A paragraph begins a new passage where the current one has at least this share of its tokens.
_FULL_ENOUGH = 0.5

_PARAGRAPH = re.compile(r"\n[^\S\n]*(?:\n\s*|(?=(?:[-*+•]|\d+[.)])\s))")
_HEADING = re.compile(r"^[^\S\n]*#{1,6}[^\S\n]\S.*$|^\S.*\n(?:={3,}|-{3,})[^\S\n]*$", re.MULTILINE)
# Latin, Greek, Cyrillic, Arabic and Indic sentences end before a space, Chinese and Japanese ones
# anywhere.
_SENTENCE = re.compile(r"""[.!?…؟۔।።]+["'”’»)\]]*\s+|[。！？｡．]+[」』”’）]*\s*""")
_CLAUSE = re.compile(r"[,;:،؛]\s+|[、，；：]")


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text: its characters from `start` up to `end`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence or a part of one, with its tokens.

    heading: it begins a section. paragraph: it begins a paragraph.
    """

    start: int
    end: int
    tokens: int = 0
    heading: bool = False
    paragraph: bool = False


def split_passages(text: str, encoder: TextEncoder) -> list[Passage]:
    """Returns the passages of a text, in order; together they have all its words.

    None is longer than what the encoder reads. A text that fits is one passage.
    """
    frame = int(encoder.text_lengths([""])[0])
    room = encoder.context - frame
    pieces = _short_pieces(text, list(_sentences(text)), encoder, frame=frame)
    spans = list(_packed(pieces, room))
    # Words of two pieces that meet may make other tokens than apart.
    while overlong := set(encoder.overlong([text[start:end] for start, end in spans])):
        spans = [
            part
            for place, span in enumerate(spans)
            for part in (_halves(text, *span) if place in overlong else [span])
        ]
        if all(end - start == 1 for place, (start, end) in enumerate(spans) if place in overlong):
            break
    return [Passage(start, end, text[start:end]) for start, end in spans]


def _sentences(text: str) -> Iterator[_Piece]:
    """Yields the sentences of a text, without the spaces between them."""
    headings = [match.span() for match in _HEADING.finditer(text)]
    cuts = {0, len(text), *(place for span in headings for place in span)}
    paragraphs = {match.end() for match in _PARAGRAPH.finditer(text)}
    cuts |= paragraphs | {match.end() for match in _SENTENCE.finditer(text)}
    inside = dict(headings)
    starts, ends = set(inside), set(inside.values())
    closed, paragraph = 0, True
    for start, end in pairwise(sorted(cuts)):
        if start in inside:
            closed = inside[start]
        elif end <= closed:
            # A heading is one piece, whatever marks it has.
            continue
        if start in starts:
            end = closed
        paragraph |= start in paragraphs or start in ends
        span = _stripped(text, start, end)
        if span is not None:
            yield _Piece(*span, heading=start in starts, paragraph=paragraph)
            paragraph = False


def _stripped(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Returns the span without spaces at its ends; None if there is nothing else."""
    content = text[start:end]
    first = start + len(content) - len(content.lstrip())
    last = start + len(content.rstrip())
    return (first, last) if first < last else None


def _short_pieces(
    text: str, pieces: Sequence[_Piece], encoder: TextEncoder, *, frame: int
) -> list[_Piece]:
    """Counts the tokens of pieces, and halves those that the encoder would cut."""
    done: list[_Piece] = []
    left = list(pieces)
    while left:
        lengths = encoder.text_lengths([text[piece.start : piece.end] for piece in left])
        halved = []
        for piece, length in zip(left, lengths.tolist(), strict=True):
            if length <= encoder.context or piece.end - piece.start == 1:
                counted = _Piece(
                    piece.start, piece.end, length - frame, piece.heading, piece.paragraph
                )
                done.append(counted)
                continue
            first, *others = _halves(text, piece.start, piece.end)
            halved.append(_Piece(*first, heading=piece.heading, paragraph=piece.paragraph))
            halved += [_Piece(*other) for other in others]
        left = halved
    return sorted(done, key=lambda piece: piece.start)


def _halves(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cuts a span near its middle: after a clause, at a space, or between any two characters."""
    middle = (start + end) // 2
    low, high = start + (end - start) // 4, end - (end - start) // 4
    for pattern in (_CLAUSE, re.compile(r"\n+"), re.compile(r"\s+")):
        places = [match.end() for match in pattern.finditer(text, low, high)]
        if places:
            middle = min(places, key=lambda place: abs(place - middle))
            break
    spans = (_stripped(text, start, middle), _stripped(text, middle, end))
    return [span for span in spans if span is not None]


def _packed(pieces: Sequence[_Piece], room: int) -> Iterator[tuple[int, int]]:
    """Yields the spans of passages of at most `room` tokens."""
    current: list[_Piece] = []
    used = 0
    for piece in pieces:
        begins = piece.heading or (piece.paragraph and used >= room * _FULL_ENOUGH)
        if current and (begins or used + piece.tokens > room):
            yield current[0].start, current[-1].end
            last = current[-1]
            repeated = (
                not begins
                and not piece.paragraph
                and len(current) > 1
                and last.tokens <= room * _OVERLAP
                and last.tokens + piece.tokens <= room
            )
            current, used = ([last], last.tokens) if repeated else ([], 0)
        current.append(piece)
        used += piece.tokens
    if current:
        yield current[0].start, current[-1].end
