"""Plans: which file could be removed because another one is kept, one JSON object per line.

Only files that show the same image as the kept one are planned, and edited versions on request. The
pair itself must have been confirmed, the texts must be equal, and a file that another row of the
store uses or that is in a reference folder is never planned. Nor are images of items with several,
which would lose a view of their product: they are reported only.
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
    """A file of a plan.

    path: as written by `printable_path`.
    size: in bytes.
    hash: of the content, as in the store.
    """

    key: str
    uid: int
    path: str
    size: int
    hash: str

    @property
    def place(self) -> Path:
        """The path of the file."""
        return real_path(self.path)


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A file that can be removed because another one is kept.

    root: folder of the source; links out of it are not followed.
    relative: path of the file below the root.
    relation: what `remove` is to `keep`.
    reason: why `keep` is kept.
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
    """Plans one entry for each removable copy, in the order of the groups.

    versions: whether to include edited versions, which do not show the same as the kept one.
    """
    relations: tuple[Relation, ...] = SAME_PICTURE + (("edited version",) if versions else ())
    uses = Counter(store.scan(["uri"], LIVE).column("uri").to_pylist())
    if (images := store.known_images(["uri"])) is not None:
        uses.update(images.column("uri").to_pylist())
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
    if kept.part_of is not None:
        return
    for member in group.others:
        item = member.item
        if member.relation not in relations or item.part_of is not None:
            continue
        says_more = normalised(item.text) not in ("", normalised(kept.text))
        shared = uses[item.uri] > 1 or item.uri == kept.uri
        if member.via or item.protected or says_more or shared or not (item.uri and kept.uri):
            continue
        location = real_path(roots[item.source])
        root = location if location.is_dir() else location.parent
        path = real_path(item.uri)
        # Older stores may hold raw photos by their previews.
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
    """Writes a plan to a file."""
    lines = [json.dumps({"version": VERSION, **asdict(entry)}) for entry in entries]
    try:
        write_atomically(path, "".join(f"{line}\n" for line in lines))
    except OSError as fault:
        raise InputError(f"cannot write the plan to {path}: {fault.strerror}") from fault


def read_plan(path: Path) -> list[PlanEntry]:
    """Reads a plan. Raises InputError if it is damaged, or keeps a file that it also removes."""
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
