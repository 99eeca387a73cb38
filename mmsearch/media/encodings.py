"""Detects text encodings: by byte order mark, by zero bytes, else with charset-normalizer.

All callers try UTF-8 first.
"""

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

# UTF-32 first, as its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings that are considered; the first of equally likely ones wins.
_LEGACY = (
    *("cp1252", "cp1250", "cp1251", "cp932", "gb18030", "cp949", "big5", "euc_jp"),
    *("cp1253", "cp1254", "cp1257", "cp1255", "koi8_r"),
)
# What people call them, where that is not the name in Python.
_NAMES = {"cp932": "Shift-JIS", "cp949": "EUC-KR", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
# In Western European prose about 1 letter in 20 lies outside ASCII; in Greek or Cyrillic most do.
_MAX_WESTERN_SHARE = 0.3
# With fewer such bytes a share means nothing, and with very few no other encoding is plausible.
_SHORT, _VERY_SHORT = 8, 4
# Windows-1252 is the most common by far: another encoding must be clearer by one of these. With
# 0.06, no Western table of the measurement in decision 0013 is misread; with 0.05, one in 158 is.
_CHAOS_MARGIN, _COHERENCE_MARGIN = 0.02, 0.06
_EXAMINED_BYTES = 2**16
_FEWEST_ZEROS = 4


def marked_encoding(start: bytes) -> str | None:
    """Returns the encoding of a byte order mark, None without one. start: four bytes or more."""
    return next((name for mark, name in _MARKS if start.startswith(mark)), None)


def unmarked_utf16(data: bytes) -> str | None:
    """Returns the UTF-16 of text without a mark, by the zero bytes of its ASCII characters."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    if max(even, odd) < max(_FEWEST_ZEROS, len(data) / 10):
        return None
    if odd > 4 * even:
        return "utf-16-le"
    return "utf-16-be" if even > 4 * odd else None


def legacy_encoding(data: bytes) -> str | None:
    """Returns the likeliest encoding of text that is not Unicode; None if none fits."""
    from charset_normalizer import from_bytes

    if 0 in data:
        return None
    if len(data) > _EXAMINED_BYTES:
        # Not in the middle of a character.
        data = data[:_EXAMINED_BYTES].rpartition(b"\n")[0] or data
    outside = sum(byte > 127 for byte in data)
    maybe_western = outside <= max(_SHORT, _MAX_WESTERN_SHARE * len(data)) and _decodes(data)
    if outside < _VERY_SHORT and maybe_western:
        return "cp1252"
    matches = list(from_bytes(data, cp_isolation=list(_LEGACY)))
    if not matches:
        return "cp1252" if maybe_western else None
    best = min(matches, key=lambda each: (round(each.chaos, 2), -each.coherence, _rank(each)))
    western = next((each for each in matches if "cp1252" in each.could_be_from_charset), None)
    if (
        maybe_western
        and western is not None
        and western.chaos < best.chaos + _CHAOS_MARGIN
        and western.coherence > best.coherence - _COHERENCE_MARGIN
    ):
        return "cp1252"
    return _LEGACY[_rank(best)]


def encoding_name(encoding: str) -> str:
    """Returns the name of an encoding for people."""
    return _NAMES.get(encoding) or re.sub("^CP125", "Windows-125", encoding.upper())


def _rank(match: "CharsetMatch") -> int:
    """Returns the place in _LEGACY of the first encoding that decodes the text like this."""
    return min(place for place, name in enumerate(_LEGACY) if name in match.could_be_from_charset)


def _decodes(data: bytes) -> bool:
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True
