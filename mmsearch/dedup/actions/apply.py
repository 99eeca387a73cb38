"""Applies a plan step by step, each verified and journalled, and undoes it."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from mmsearch.dedup.actions.file_moves import fault_of, free_name, link, move, unlink_copy
from mmsearch.dedup.actions.journal import Journal, steps_to_undo
from mmsearch.dedup.actions.plan import PlanEntry
from mmsearch.dedup.find import FOLDER
from mmsearch.dedup.not_duplicates import MarkedItem, ruled_out_pairs
from mmsearch.dedup.results import RELATIONS
from mmsearch.deprecation import moved_names
from mmsearch.errors import InputError
from mmsearch.media import content_hash
from mmsearch.records import printable_path, real_path
from mmsearch.store import Store
from mmsearch.store.hidden import change_hidden
from mmsearch.store.spaces import root_of

Action: TypeAlias = Literal["hide", "move", "hardlink", "symlink", "trash"]
ACTIONS: tuple[Action, ...] = ("hide", "move", "hardlink", "symlink", "trash")
_LINKS = ("hardlink", "symlink")


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """Result of applying or undoing a plan.

    action: of the plan.
    done: keys of the steps taken or undone.
    skipped: keys of skipped steps with the reason.
    """

    done: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    journal: str
    action: Action


def apply_plan(
    folder: Path,
    entries: Sequence[PlanEntry],
    action: Action,
    *,
    to: Path | None = None,
    references: Sequence[Path] = (),
) -> ApplyReport:
    """Applies a plan to the files of a store.

    folder: of the store.
    to: target folder of `move`.
    references: folders that are never changed.

    A step is skipped if its files have changed since it was planned, or if the user has marked them
    as not duplicates. Raises InputError, StoreLocked.
    """
    target = _target(action, to)
    store = Store.open(folder)
    ignored = _ignored(entries, store)
    done: list[str] = []
    hidden: list[int] = []
    skipped: list[tuple[str, str]] = []
    with store.writing(), Journal.begin(root_of(folder) / FOLDER) as journal:
        try:
            for step, entry in enumerate(entries):
                refusal = "you said that they are not duplicates" if ignored[step] else ""
                reason = refusal or _refusal(entry, action, references) or fault_of(entry)
                if reason:
                    skipped.append((entry.remove.key, reason))
                    continue
                facts = _facts(entry, action, target)
                journal.write("begin", step, facts)
                try:
                    _take(facts)
                except OSError as fault:
                    journal.write("undone", step, {})
                    skipped.append((entry.remove.key, str(fault.strerror or fault)))
                    continue
                journal.write("done", step, {})
                done.append(entry.remove.key)
                hidden += [entry.remove.uid] if action == "hide" else []
        finally:
            # Also on Ctrl-C, so that the store matches the files.
            change_hidden(folder, hide=hidden)
            if action in ("move", "trash"):
                store.mark_missing(done, datetime.now(UTC))
    return ApplyReport(tuple(done), tuple(skipped), printable_path(journal.path), action)


def require_own(folder: Path, entries: Sequence[PlanEntry]) -> None:
    """Checks that every item of the plan is in this store as planned. Raises InputError."""
    rows = Store.open(folder).scan(["_uid", "key"])
    known = set(zip(*(rows.column(name).to_pylist() for name in ("_uid", "key")), strict=True))
    for entry in entries:
        if (entry.remove.uid, entry.remove.key) not in known:
            raise InputError(
                f"the plan names {entry.remove.key!r}, which {printable_path(folder)} does not "
                "hold as planned; open its store by `path`, or plan again"
            )


def undo_last(folder: Path) -> ApplyReport:
    """Undoes the last plan applied to this store. Raises NotFound if there is none."""
    store = Store.open(folder)
    done: list[str] = []
    shown: list[int] = []
    skipped: list[tuple[str, str]] = []
    with store.writing():
        path, steps = steps_to_undo(root_of(folder) / FOLDER)
        with Journal(path) as journal:
            for facts in steps:
                try:
                    reason = _take_back(facts)
                except OSError as fault:
                    reason = str(fault.strerror or fault)
                if reason:
                    skipped.append((facts["key"], reason))
                else:
                    journal.write("undone", facts["step"], {})
                    done.append(facts["key"])
                    shown.append(facts["uid"])
        change_hidden(folder, show=shown)
        store.mark_missing(done, None)
    return ApplyReport(tuple(done), tuple(skipped), printable_path(path), steps[0]["action"])


def _ignored(entries: Sequence[PlanEntry], store: Store) -> list[bool]:
    """Which steps the user has ruled out since the plan was written."""
    files = [file for entry in entries for file in (entry.remove, entry.keep)]
    marked = [MarkedItem(file.key, file.hash) for file in files]
    ruled = ruled_out_pairs(marked, store)
    return [ruled.rules_out(2 * step, 2 * step + 1) for step in range(len(entries))]


def _target(action: Action, to: Path | None) -> Path | None:
    if action not in ACTIONS:
        raise InputError(f"no action '{action}'; there are {', '.join(ACTIONS)}")
    if action == "move":
        if to is None:
            raise InputError("'move' needs a folder to move the copies to; name it with `to`")
        return to.absolute()
    if action == "trash":
        if sys.platform in ("win32", "darwin"):
            raise InputError("'trash' works on Linux desktops only; use 'move' with a folder `to`")
        data = os.environ.get("XDG_DATA_HOME")
        return (Path(data) if data else Path.home() / ".local" / "share") / "Trash"
    return None


def _refusal(entry: PlanEntry, action: Action, references: Sequence[Path]) -> str:
    copy = entry.remove.place.absolute()
    if any(copy.is_relative_to(place.absolute()) for place in references):
        return "it lies in a reference folder"
    if action in _LINKS and entry.tier != "bytes":
        return f"'{action}' would lose it: the files differ ({entry.tier})"
    if action in _LINKS and entry.remove.hash != entry.keep.hash:
        return f"'{action}' would lose it: the files differ"
    if action == "hardlink" and _one_file(copy, entry.keep.place):
        return "they are one file already"
    return ""


def _one_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _facts(entry: PlanEntry, action: Action, target: Path | None) -> dict[str, Any]:
    status = entry.remove.place.stat()
    facts: dict[str, Any] = {
        "action": action,
        "key": entry.remove.key,
        "uid": entry.remove.uid,
        "from": entry.remove.path,
        "keep": entry.keep.path,
        "hash": entry.remove.hash,
        "mode": status.st_mode & 0o7777,
        "modified": status.st_mtime_ns,
    }
    if target is not None:
        below = "files" if action == "trash" else entry.remove.key.split("/", 1)[0]
        name = entry.remove.place.name if action == "trash" else real_path(entry.relative)
        facts["to"] = printable_path(free_name(target / below / name))
    return facts


def _take(facts: dict[str, Any]) -> None:
    """Applies a step to its file; the action 'hide' leaves it unchanged."""
    place = real_path(facts["from"])
    if facts["action"] in _LINKS:
        kept = real_path(facts["keep"]).absolute()
        link(place, kept, symbolic=facts["action"] == "symlink")
    elif facts["action"] in ("move", "trash"):
        target = real_path(facts["to"])
        if facts["action"] == "trash":
            _describe(place, _description(target))
        try:
            move(place, target)
        except OSError:
            if facts["action"] == "trash":
                _description(target).unlink()
            raise


def _describe(place: Path, description: Path) -> None:
    """Writes the .trashinfo file by which desktops list and restore a file (freedesktop.org)."""
    description.parent.mkdir(parents=True, exist_ok=True)
    when = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    path = quote(os.fsencode(place.absolute()))
    description.write_text(f"[Trash Info]\nPath={path}\nDeletionDate={when}\n", encoding="utf-8")


def _description(trashed: Path) -> Path:
    return trashed.parent.parent / "info" / f"{trashed.name}.trashinfo"


def _take_back(facts: dict[str, Any]) -> str:
    """Undoes a step, even if it was only begun; returns '' or the reason why it failed."""
    place, kept = real_path(facts["from"]), real_path(facts["keep"])
    if facts["action"] == "hide":
        return ""
    if facts["action"] in _LINKS:
        return _take_link_back(facts, place, kept)
    reason = _move_back(facts, place)
    if not reason and facts["action"] == "trash":
        _description(real_path(facts["to"])).unlink(missing_ok=True)
    return reason


def _move_back(facts: dict[str, Any], place: Path) -> str:
    moved = real_path(facts["to"])
    if not os.path.lexists(moved):
        return "" if _is(place, facts["hash"]) else "it is neither where it was nor where it went"
    if os.path.lexists(place):
        if not (_is(place, facts["hash"]) and _is(moved, facts["hash"])):
            return "another file lies in its place now"
        # Interrupted after a complete copy across file systems: the original still exists.
        moved.unlink()
    else:
        move(moved, place)
    return ""


def _take_link_back(facts: dict[str, Any], place: Path, kept: Path) -> str:
    linked = place.is_symlink() or (place != kept and _one_file(place, kept))
    if not linked:
        return "" if _is(place, facts["hash"]) else "another file lies in its place now"
    if not _is(kept, facts["hash"]):
        return "the file that it links to has changed"
    unlink_copy(place, kept, facts["mode"], facts["modified"])
    return ""


def _is(path: Path, expected: str) -> bool:
    try:
        return not path.is_symlink() and content_hash(path) == expected
    except InputError:
        return False


def summary_lines(entries: Sequence[PlanEntry]) -> Iterator[str]:
    """What a plan would do, by relation."""
    for relation in RELATIONS:
        chosen = [entry for entry in entries if entry.relation == relation]
        megabytes = sum(entry.remove.size for entry in chosen) / 1e6
        if chosen:
            files = "file" if len(chosen) == 1 else "files"
            yield f"{relation}: {len(chosen):,} {files}, {megabytes:,.1f} MB"


__getattr__ = moved_names(
    "mmsearch.dedup.actions.apply", {"Outcome": "mmsearch.dedup.actions.apply.ApplyReport"}
)
