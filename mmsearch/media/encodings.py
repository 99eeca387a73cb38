"""Detects text encodings: by byte order mark, else Windows-1252 where that is plausible.

All callers try UTF-8 first.
"""

import codecs

LEGACY = "cp1252"
# UTF-32 first, as its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# In Western European prose about 1 letter in 20 lies outside ASCII; in Greek or Cyrillic most do.
_MAX_LEGACY_SHARE = 0.3
# With fewer such bytes, a share means nothing.
_SHORT = 8


def marked_encoding(start: bytes) -> str | None:
    """Returns the encoding of a byte order mark, None without one. start: four bytes or more."""
    return next((name for mark, name in _MARKS if start.startswith(mark)), None)


def legacy_text(data: bytes) -> str | None:
    """Decodes bytes as Windows-1252; None where that is implausible."""
    outside = sum(byte > 127 for byte in data)
    if 0 in data or (outside > _SHORT and outside > _MAX_LEGACY_SHARE * len(data)):
        return None
    try:
        return data.decode(LEGACY)
    except UnicodeDecodeError:
        return None
