"""Makes texts from sources safe to display: on one line, without control characters."""

import unicodedata

# Right-to-left overrides and isolates can make 'gpj.exe' read as 'exe.jpg'.
_REORDERING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def first_line(text: str) -> str:
    """Returns the first line that is not empty, without the marks of a Markdown heading."""
    lines = (one_line(line).lstrip("# ") for line in text.splitlines())
    return next((line for line in lines if line), "")


def one_line(text: str) -> str:
    """Returns the text without line breaks and runs of spaces, and made `visible`."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    r"""Escapes control, line-breaking and reordering characters, lone surrogates: '\x1b', '\u202e'.

    Texts of sources are untrusted: printed raw, they could move the cursor or hide their content.
    """
    return "".join(_escaped(char) if _is_unseen(char) else char for char in text)


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or ord(char) in _REORDERING


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
