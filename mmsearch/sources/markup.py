"""Strips HTML from the texts of a table's column, which shops write into descriptions."""

import html
import re
from collections.abc import Sequence

# Tags and entities as they occur in descriptions; 'a < b' and '<name>' are none.
_KNOWN = re.compile(
    r"</?(?:p|div|br|span|ul|ol|li|b|i|u|strong|em|h[1-6]|a|table|tbody|tr|td|th|img|font|hr|sup|sub|"
    r"blockquote|section|article|script|style|iframe|center|small|pre|label|figure)\b[^<>]*>"
    r"|&(?:nbsp|amp|lt|gt|quot|apos|rsquo|lsquo|ldquo|rdquo|ndash|mdash|hellip|bull|deg|trade|reg|copy"
    r"|[aouAOU]uml|szlig|[aeiouAEIOU](?:acute|grave|circ)|ntilde|ccedil|#\d{1,6}|#[xX][\da-fA-F]{1,5});",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(/?)([a-zA-Z][\w:-]*)[^<>]*>|<!--.{0,10000}?-->|<![^<>]*>", re.DOTALL)
_INLINE = frozenset(
    {"a", "abbr", "b", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "u"}
)
_HIDDEN = frozenset({"script", "style"})
# The share of the cells of a column from which it holds HTML.
_SOME = 0.1


def holds_markup(cells: Sequence[str]) -> bool:
    """Whether the texts of a column are HTML."""
    return bool(cells) and sum(map(bool, map(_KNOWN.search, cells))) >= _SOME * len(cells)


def plain_text(markup: str) -> str:
    """Returns the text of HTML, on one line.

    >>> plain_text("<p>Milk &amp; honey</p><p>sweet</p>")
    'Milk & honey sweet'
    """
    if "<" not in markup and "&lt;" in markup:
        markup = html.unescape(markup)
    pieces, position, hidden = [], 0, ""
    for tag in _TAG.finditer(markup):
        if not hidden:
            pieces.append(markup[position : tag.start()])
        name = (tag[2] or "").lower()
        if name in _HIDDEN:
            hidden = name if not tag[1] and not hidden else hidden.replace(name, "")
        if name not in _INLINE:
            pieces.append(" ")
        position = tag.end()
    if not hidden:
        pieces.append(markup[position:])
    return " ".join(html.unescape("".join(pieces)).split())
