"""Cache of full comparisons by two content hashes, so that no pair is decoded twice."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from mmsearch.dedup.cache.alignment_cache import HashPair
from mmsearch.dedup.cache.database import CacheDatabase
from mmsearch.dedup.comparison import PairComparison
from mmsearch.dedup.originals import Choice
from mmsearch.dedup.results import Box

# Changes whenever the comparison may give other results for the same images.
_VERSION = 9


class ComparisonCache:
    """Comparisons by two content hashes, held in memory; `save` writes new ones."""

    def __init__(self, database: CacheDatabase) -> None:
        self._database = database
        self._known: dict[HashPair, PairComparison] = {}
        self._new: set[HashPair] = set()
        self._choices: dict[str, Choice] = {}
        self._new_choices: set[str] = set()
        database.run(self._load)

    def _load(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT first, second, found FROM comparison WHERE version = ?", (_VERSION,)
        )
        self._known = {(first, second): _parsed(found) for first, second, found in rows}
        choices = connection.execute(
            "SELECT files, choice FROM original WHERE version = ?", (_VERSION,)
        )
        self._choices = {files: _parsed_choice(choice) for files, choice in choices}

    def get(self, pair: HashPair) -> PairComparison | None:
        """The cached comparison of a pair in the order given, the smaller hash first."""
        return self._known.get(pair)

    def add(self, found: Mapping[HashPair, PairComparison]) -> None:
        """Adds comparisons."""
        self._known.update(found)
        self._new.update(found)

    def choice(self, files: str) -> Choice | None:
        """The cached choice among candidates. files: their name, see `grouping.originals_kept`."""
        return self._choices.get(files)

    def add_choice(self, files: str, choice: Choice) -> None:
        """Adds a choice."""
        self._choices[files] = choice
        self._new_choices.add(files)

    def save(self) -> None:
        """Writes new entries in one transaction."""
        if self._new or self._new_choices:
            self._database.run(self._write)
        self._new.clear()
        self._new_choices.clear()

    def _write(self, connection: sqlite3.Connection) -> None:
        rows = [(*pair, _VERSION, _written(self._known[pair])) for pair in sorted(self._new)]
        choices = [
            (files, _VERSION, json.dumps(asdict(self._choices[files])))
            for files in sorted(self._new_choices)
        ]
        connection.executemany("INSERT OR REPLACE INTO comparison VALUES (?, ?, ?, ?)", rows)
        connection.executemany("INSERT OR REPLACE INTO original VALUES (?, ?, ?)", choices)


def _parsed_choice(text: str) -> Choice:
    fields: dict[str, Any] = json.loads(text)
    return Choice(**{**fields, "order": tuple(fields["order"])})


def _written(found: PairComparison) -> str:
    return json.dumps({**asdict(found), "matrix": found.matrix.ravel().tolist()})


def _parsed(text: str) -> PairComparison:
    fields: dict[str, Any] = json.loads(text)
    fields["matrix"] = np.array(fields["matrix"]).reshape(3, 3)
    fields["changes"] = tuple(Box(**box) for box in fields["changes"])
    return PairComparison(**fields)
