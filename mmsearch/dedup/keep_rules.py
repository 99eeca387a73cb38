"""Rules that choose which item of a group to keep; each one breaks the ties of the previous."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mmsearch.dedup.items import Item
from mmsearch.errors import InputError

DEFAULT_RULES = "original,largest,sharpest,oldest"
_ORIGINAL = "original"
# Sorted ascending; the key comes last to make every choice unique.
_RULES: dict[str, Callable[[Item], float]] = {
    "largest": lambda item: -item.width * item.height,
    "smallest": lambda item: item.width * item.height,
    "sharpest": lambda item: -item.sharpness,
    "oldest": lambda item: item.modified,
    "newest": lambda item: -item.modified,
    "metadata:complete": lambda item: -sum(v is not None for v in item.metadata.values()),
}


@dataclass(frozen=True, slots=True)
class KeepRules:
    """Keep rules parsed from `largest,sharpest,path:GLOB`; protected items precede all others."""

    rules: tuple[str | Callable[[Item], float], ...]

    @classmethod
    def parse(cls, text: str) -> "KeepRules":
        """Parses rules. Raises InputError for an unknown one, naming the known ones."""
        return cls(tuple(_rule(name.strip()) for name in text.split(",")))

    @property
    def wants_original(self) -> bool:
        """Whether one of the rules prefers the original, see `mmsearch.dedup.originals`."""
        return _ORIGINAL in self.rules

    def order(
        self, items: Sequence[Item], originals: Mapping[int, int] | None = None
    ) -> list[Item]:
        """Sorts items, the one to keep first.

        originals: rank of each uid as the original, 0 first.
        """
        rank = originals or {}

        def value(rule: str | Callable[[Item], float], item: Item) -> float:
            return rank.get(item.uid, len(rank)) if isinstance(rule, str) else rule(item)

        return sorted(
            items,
            key=lambda item: (
                not item.protected,
                *(value(rule, item) for rule in self.rules),
                item.key,
            ),
        )


def _rule(name: str) -> str | Callable[[Item], float]:
    if name == _ORIGINAL:
        return name
    if name.startswith("path:") and len(name) > len("path:"):
        glob = name.removeprefix("path:")
        return lambda item: not (fnmatchcase(item.uri, glob) or fnmatchcase(item.key, glob))
    if name not in _RULES:
        raise InputError(
            f"no rule '{name}' to keep by; there are {_ORIGINAL}, {', '.join(_RULES)} and path:GLOB"
        )
    return _RULES[name]
