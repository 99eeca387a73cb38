"""A plan: which file could go because which other one stays, one JSON object a line.

Only files that show the same picture as the kept one are planned, and edited versions of it on
request. The pair itself must have been confirmed, the text must say nothing else, and a file that
another row of the store uses or a reference holds is never planned.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmsearch.dedup.items import Item
from mmsearch.dedup.results import SAME_PICTURE, Group, Relation
from mmsearch.dedup.tiers.texts import normalised
from mmsearch.errors import InputError
from mmsearch.files import write_atomically
from mmsearch.media import raw_format_of
from mmsearch.records import printable_path, real_path
from mmsearch.store import Store
from mmsearch.store.filters import LIVE

VERSION = 2


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """path: as `printable_path` writes it. size: bytes. hash: of the content, as in the store."""

    key: str
    uid: int
    path: str
    size: int
    hash: str

    @property
    def place(self) -> Path:
        return real_path(self.path)


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """remove may go since keep stays. root: the source's folder, out of which nothing is followed.

    relative: where the file lies below the root. relation: what `remove` is to `keep`. reason: why
    of the two `keep` stays.
    """

    group: str
    tier: str
    evidence: str
    root: str
    relative: str
    remove: PlannedFile
    keep: PlannedFile
    relation: str
    reason: str = ""


def make_plan(groups: Sequence[Group], store: Store, *, versions: bool = False) -> list[PlanEntry]:
    """One entry for each copy that may go, in the order of the groups.

    versions: also for edited versions, which show something else than the kept one.
    """
    relations: tuple[Relation, ...] = SAME_PICTURE + (("edited version",) if versions else ())
    uses = Counter(store.scan(["uri"], LIVE).column("uri").to_pylist())
    roots = {entry.name: entry.location for entry in store.manifest.sources}
    return [
        entry
        for group in groups
        if group.family == "picture"
        for entry in _entries(group, relations, uses, roots)
    ]


def _entries(
    group: Group, relations: Sequence[Relation], uses: Counter[str], roots: dict[str, str]
) -> Iterator[PlanEntry]:
    kept = group.kept
    for member in group.others:
        item = member.item
        if member.relation not in relations:
            continue
        says_more = normalised(item.text) not in ("", normalised(kept.text))
        shared = uses[item.uri] > 1 or item.uri == kept.uri
        if member.via or item.protected or says_more or shared or not (item.uri and kept.uri):
            continue
        location = real_path(roots[item.source])
        root = location if location.is_dir() else location.parent
        path = real_path(item.uri)
        # A store indexed before raw photos were recognised holds them by their previews.
        if path.is_relative_to(root) and raw_format_of(path) is None:
            relative = printable_path(path.relative_to(root))
            yield PlanEntry(
                *(group.id, member.tier, member.evidence, printable_path(root), relative),
                remove=_planned(item),
                keep=_planned(kept),
                relation=member.relation,
                reason=group.reason,
            )


def _planned(item: Item) -> PlannedFile:
    return PlannedFile(item.key, item.uid, item.uri, item.size, item.image_hash)


def write_plan(entries: Sequence[PlanEntry], path: Path) -> None:
    lines = [json.dumps({"version": VERSION, **asdict(entry)}) for entry in entries]
    try:
        write_atomically(path, "".join(f"{line}\n" for line in lines))
    except OSError as fault:
        raise InputError(f"cannot write the plan to {path}: {fault.strerror}") from fault


def read_plan(path: Path) -> list[PlanEntry]:
    """Raises InputError for a plan that is damaged, or that keeps what it also removes."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"cannot read the plan {path}: {fault}") from fault
    entries = [_parsed(line, number, path) for number, line in enumerate(lines, 1) if line.strip()]
    going = {entry.remove.path for entry in entries}
    both = [entry.keep.path for entry in entries if entry.keep.path in going]
    if both:
        raise InputError(f"{path} would keep and remove {both[0]}; write the plan again")
    return entries


def _parsed(line: str, number: int, path: Path) -> PlanEntry:
    try:
        fields: dict[str, Any] = json.loads(line)
        version = fields.pop("version")
        if version != VERSION:
            known = "an earlier" if version < VERSION else "a later"
            raise InputError(
                f"{path} was written by {known} mmsearch (plan version {version}, not {VERSION}); "
                "write it again with `catalog.plan(report)`"
            )
        fields["remove"] = PlannedFile(**fields["remove"])
        fields["keep"] = PlannedFile(**fields["keep"])
        return PlanEntry(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        if isinstance(fault, InputError):
            raise
        raise InputError(
            f"line {number} of {path} is not a step of a plan; write the plan again with "
            "`catalog.plan(report)`"
        ) from fault
