"""Cache of full comparisons by two content hashes, so that no pair is decoded twice.

One SQLite table of derived data, which can be deleted.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mmsearch.dedup.comparison import PairComparison
from mmsearch.dedup.originals import Choice
from mmsearch.dedup.results import Box

# Two content hashes, the smaller first.
HashPair: TypeAlias = tuple[str, str]

# Changes whenever the comparison may give other results for the same images.
_VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS original (
    files TEXT PRIMARY KEY, version INTEGER NOT NULL, choice TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS comparison (
    first TEXT NOT NULL, second TEXT NOT NULL, version INTEGER NOT NULL, found TEXT NOT NULL,
    PRIMARY KEY (first, second)
) WITHOUT ROWID
"""


class ComparisonCache:
    """Comparisons by two content hashes, held in memory; `save` writes new ones."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[HashPair, PairComparison] = {}
        self._new: set[HashPair] = set()
        self._choices: dict[str, Choice] = {}
        self._new_choices: set[str] = set()
        try:
            self._load()
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            self._load()

    def _load(self) -> None:
        with closing(sqlite3.connect(self._path)) as table:
            table.executescript(_SCHEMA)
            rows = table.execute(
                "SELECT first, second, found FROM comparison WHERE version = ?", (_VERSION,)
            )
            self._known = {(first, second): _parsed(found) for first, second, found in rows}
            choices = table.execute(
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
        if not self._new and not self._new_choices:
            return
        choices = [
            (files, _VERSION, json.dumps(asdict(self._choices[files])))
            for files in sorted(self._new_choices)
        ]
        rows = [(*pair, _VERSION, _written(self._known[pair])) for pair in sorted(self._new)]
        with closing(sqlite3.connect(self._path)) as table, table:
            table.executemany("INSERT OR REPLACE INTO comparison VALUES (?, ?, ?, ?)", rows)
            table.executemany("INSERT OR REPLACE INTO original VALUES (?, ?, ?)", choices)
        self._new.clear()
        self._new_choices.clear()


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
