"""Reads IPTC-IIM, which newsrooms and older photo programs write."""

from mmsearch.media.metadata import values
from mmsearch.media.metadata.image_metadata import ImageMetadata

_MARKER = 0x1C
_MOST_BYTES = 2**20
_CHARSET = (1, 90)
_TITLE, _KEYWORD, _DATE, _TIME, _CREATOR = (2, 5), (2, 25), (2, 55), (2, 60), (2, 80)
_CITY, _SUBLOCATION, _STATE, _COUNTRY = (2, 90), (2, 92), (2, 95), (2, 101)
_HEADLINE, _CAPTION = (2, 105), (2, 120)
_PLACE = (_CITY, _STATE, _COUNTRY)
_UTF8 = b"\x1b%G"


def read_iptc(block: bytes) -> ImageMetadata:
    """Reads a block of IPTC-IIM records up to the first damaged one."""
    found = _records(block[:_MOST_BYTES])
    utf8 = _UTF8 in found.get(_CHARSET, [])

    def texts(record: tuple[int, int]) -> list[str]:
        return [_decode(raw, utf8=utf8) for raw in found.get(record, [])]

    def first(*records: tuple[int, int]) -> str | None:
        return next((text for record in records for text in texts(record)), None)

    return ImageMetadata(
        title=values.line(first(_TITLE, _HEADLINE)),
        description=values.line(first(_CAPTION), most=values.MAX_DESCRIPTION),
        keywords=values.lines(texts(_KEYWORD)),
        creator=values.line("; ".join(texts(_CREATOR))),
        taken=values.moment(" ".join(filter(None, (first(_DATE), first(_TIME))))),
        place=values.line(", ".join(filter(None, map(first, _PLACE)))),
        sublocation=values.line(first(_SUBLOCATION)),
    )


def iptc_of_photoshop(block: bytes) -> bytes:
    """Returns the IPTC block among Photoshop's image resources, as JPEG files hold it."""
    at = 0
    while block[at : at + 4] == b"8BIM":
        kind = block[at + 4 : at + 6]
        # Name and content are padded to even lengths.
        named = at + 6 + (1 + block[at + 6] + 1) // 2 * 2
        size = int.from_bytes(block[named : named + 4], "big")
        if kind == b"\x04\x04":
            return block[named + 4 : named + 4 + size]
        at = named + 4 + (size + 1) // 2 * 2
    return b""


def _records(block: bytes) -> dict[tuple[int, int], list[bytes]]:
    found: dict[tuple[int, int], list[bytes]] = {}
    at = 0
    while at + 5 <= len(block) and block[at] == _MARKER:
        size = int.from_bytes(block[at + 3 : at + 5], "big")
        # The highest bit announces an extended size, which no text needs.
        if size >= 0x8000 or at + 5 + size > len(block):
            break
        found.setdefault((block[at + 1], block[at + 2]), []).append(block[at + 5 : at + 5 + size])
        at += 5 + size
    return found


def _decode(raw: bytes, *, utf8: bool) -> str:
    """Decodes a text in UTF-8, which many programs write without saying so, or else Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(errors="replace") if utf8 else raw.decode("latin-1")
