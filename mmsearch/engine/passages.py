"""Which passage of a long text has the words that were searched for."""

import re

import pyarrow as pa

_WORD = re.compile(r"\w+")
# Words of this length or more also match longer ones that begin like them, as plurals do.
_STEM = 4


def best_passages(words: str, parts: pa.Table) -> dict[int, int]:
    """Returns the passage with most of the words, by item; the first one of equals.

    parts: as `Store.parts_of` returns them. Both are uids.
    """
    wanted = set(_WORD.findall(words.casefold()))
    best: dict[int, tuple[int, int]] = {}
    for row in parts.select(["_uid", "item", "kind", "text"]).to_pylist():
        if row["kind"] == "passage":
            count = _count(wanted, str(row["text"]))
            if row["item"] not in best or count > best[row["item"]][0]:
                best[row["item"]] = count, row["_uid"]
    return {item: uid for item, (_, uid) in best.items()}


def _count(wanted: set[str], text: str) -> int:
    """Counts the words that occur in a text."""
    found = set(_WORD.findall(text.casefold()))
    return sum(
        word in found or (len(word) >= _STEM and any(each.startswith(word) for each in found))
        for word in wanted
    )
