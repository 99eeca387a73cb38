"""Which of a group stays: rules in order, each breaking the ties of those before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mmsearch.dedup.items import Item
from mmsearch.errors import InputError

DEFAULT_RULES = "largest,sharpest,oldest"
# Smaller comes first; the key at the end makes every choice unique.
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
    """Parsed from `largest,sharpest,path:GLOB`; what is protected comes before any rule."""

    rules: tuple[Callable[[Item], float], ...]

    @classmethod
    def parse(cls, text: str) -> "KeepRules":
        """Raises InputError, naming the rules that there are."""
        return cls(tuple(_rule(name.strip()) for name in text.split(",")))

    def order(self, items: Sequence[Item]) -> list[Item]:
        """The one to keep first."""
        return sorted(
            items,
            key=lambda item: (not item.protected, *(rule(item) for rule in self.rules), item.key),
        )


def _rule(name: str) -> Callable[[Item], float]:
    if name.startswith("path:") and len(name) > len("path:"):
        glob = name.removeprefix("path:")
        return lambda item: not (fnmatchcase(item.uri, glob) or fnmatchcase(item.key, glob))
    if name not in _RULES:
        raise InputError(
            f"no rule '{name}' to keep by; there are {', '.join(_RULES)} and path:GLOB"
        )
    return _RULES[name]
