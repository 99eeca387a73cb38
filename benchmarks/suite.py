"""Suites of image files with ground truth, and what the real code says about them.

A suite is a folder: `files/` holds the images under names that tell nothing, `truth.json` one
record per file, in which `photo` names what the file shows. A measurement indexes `files/` into a
real store with the built-in model, deduplicates it, and writes a plan.
"""

import json
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import mmsearch
from mmsearch.dedup.actions.plan import make_plan
from mmsearch.dedup.find import find_duplicates
from mmsearch.dedup.options import DedupOptions, parse_tiers
from mmsearch.dedup.results import DedupReport, Group
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress
from mmsearch.store import Store

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True)
class TrueFile:
    """A file of a suite. file: below `files/`. photo: files of one photo are copies of each other.

    relation: to the original, as in docs/decisions/0010; "original" for that one itself. family:
    files that are alike without being copies (a burst, a template), empty for the others. clean:
    whether the file shows the whole picture, unframed, unmarked and in its colours.
    """

    file: str
    photo: str
    kind: str
    relation: str
    clean: bool
    family: str = ""

    @property
    def original(self) -> bool:
        return self.relation == "original"


@dataclass(frozen=True, slots=True)
class Truth:
    """alike: pairs of photos that are nearly or truly one; right or wrong, they do not count."""

    seed: str
    files: tuple[TrueFile, ...]
    alike: tuple[tuple[str, str], ...] = ()

    def write(self, folder: Path) -> None:
        record = {
            "seed": self.seed,
            "alike": self.alike,
            "files": [asdict(each) for each in sorted(self.files, key=lambda each: each.file)],
        }
        (folder / "truth.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Truth":
        record = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        files = tuple(TrueFile(**each) for each in record["files"])
        return cls(record["seed"], files, tuple((one, two) for one, two in record["alike"]))


def photos_in(folders: Sequence[Path]) -> list[Path]:
    """Image files below the folders, in order."""
    found = (path for folder in folders for path in folder.rglob("*"))
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES)


def names(count: int, chance: random.Random) -> Iterator[str]:
    """File names without suffix, each once, in no order."""
    yield from (f"img_{number:06d}" for number in chance.sample(range(10 * count), count))


@dataclass(frozen=True, slots=True)
class Found:
    """What a run says. groups: of images, without the tier similar. steps: (removed, kept).

    Files are named as in the truth. seconds: of CPU, without indexing.
    """

    groups: tuple[tuple[str, ...], ...]
    kept: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    relations: Mapping[tuple[str, str], str]
    seconds: float

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The pairs of files that lie in one group."""
        for group in self.groups:
            yield from combinations(sorted(group), 2)


def run(folder: Path, *, tiers: str = "bytes,pixels,edited") -> Found:
    """Indexes `files/` of the suite into a store of its own, deduplicates and plans."""
    files = (folder / "files").absolute()
    with tempfile.TemporaryDirectory() as place:
        store = Path(place) / "store"
        mmsearch.open(store).index(files)
        started = time.process_time()
        report = find_duplicates(
            store, DedupOptions(tiers=parse_tiers(tiers)), MediaBounds(), NullProgress()
        )
        seconds = time.process_time() - started
        plan = make_plan(report.groups, Store.open(store))

    def name(path: str) -> str:
        return Path(path).relative_to(files).as_posix()

    steps = tuple((name(step.remove.path), name(step.keep.path)) for step in plan)
    return _found(report, files, steps, seconds)


def _found(
    report: DedupReport, files: Path, steps: tuple[tuple[str, str], ...], seconds: float
) -> Found:
    def name(path: str) -> str:
        return Path(path).relative_to(files).as_posix()

    def members(group: Group) -> tuple[str, ...]:
        return tuple(name(item.uri) for item in group.items)

    groups = [group for group in report.groups if group.family == "picture"]
    relations = {
        (name(member.item.uri), name(group.kept.uri)): member.relation
        for group in groups
        for member in group.others
        if not member.via
    }
    kept = tuple(name(group.kept.uri) for group in groups)
    return Found(tuple(map(members, groups)), kept, steps, relations, seconds)


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares what a run says with the truth."""

    truth: Truth

    def by_name(self) -> dict[str, TrueFile]:
        return {each.file: each for each in self.truth.files}

    def pair(self, one: TrueFile, other: TrueFile) -> bool | None:
        """Whether the two are copies of one photo; None where it is left open."""
        if one.photo == other.photo:
            return True
        alike = {frozenset(pair) for pair in self.truth.alike}
        return None if frozenset((one.photo, other.photo)) in alike else False


def share(hits: Iterable[bool]) -> float:
    """The share of those that are true, 1 for none."""
    listed = list(hits)
    return sum(listed) / len(listed) if listed else 1.0


def to_record(**numbers: Any) -> str:
    """One line of JSON with the numbers of a measurement."""
    return json.dumps(numbers)
