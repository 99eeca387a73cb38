"""Detects sources inside one another, whose common files are indexed under two keys."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path


def overlap_notes(folders: Mapping[str, Path], concerned: set[str]) -> Iterator[str]:
    """Yields a note on each pair of overlapping folders.

    folders: by the source's name; other paths are ignored. concerned: the sources of this run.
    """
    places = {name: place.resolve() for name, place in folders.items() if place.is_dir()}
    for one, other in combinations(places, 2):
        if concerned.isdisjoint((one, other)):
            continue
        if places[one] == places[other]:
            yield _note(other, f"is the same folder as '{one}'")
        elif places[other].is_relative_to(places[one]):
            yield _note(other, f"lies inside '{one}'")
        elif places[one].is_relative_to(places[other]):
            yield _note(one, f"lies inside '{other}'")


def _note(name: str, how: str) -> str:
    return (
        f"source '{name}' {how}: files of both are indexed twice, and count once as duplicates; "
        f"`catalog.drop_source('{name}')` removes one of them"
    )
