"""Plans applied and undone on real files: links, unusual names, concurrent changes, kills."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.dedup.actions.apply import ACTIONS, Action, apply_plan, require_own, undo_last
from mmsearch.dedup.actions.journal import journals
from mmsearch.dedup.actions.plan import PlanEntry, PlannedFile, read_plan, write_plan
from mmsearch.errors import CorruptIndex, InputError, NotFound
from mmsearch.media import content_hash
from mmsearch.records import SpaceId, printable_path
from mmsearch.store import Store
from mmsearch.store.hidden import read_hidden
from mmsearch.store.manifest import Manifest
from tests.support.raw_files import raw_photo

NOBODY = 65534
NAMES = ("plain.png", "with space.png", 'it\'s "quoted".png', os.fsdecode(b"not-utf8-\xff.png"))
Snapshot = dict[bytes, tuple[bytes, int, int]]


def filled(folder: Path) -> Path:
    (folder / "shop" / "kept").mkdir(parents=True)
    (folder / "shop" / "sub").mkdir()
    for number, name in enumerate(NAMES):
        (folder / "shop" / "kept" / name).write_bytes(b"picture %d" % number)
        (folder / "shop" / "sub" / name).write_bytes(b"picture %d" % number)
    (folder / "shop" / "sub" / NAMES[0]).chmod(0o444)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return filled(tmp_path)


@pytest.fixture
def open_root() -> Iterator[Path]:
    """Makes pytest's folders accessible to the user nobody, if tests run as root."""
    with tempfile.TemporaryDirectory() as folder:
        yield filled(Path(folder))


@pytest.fixture
def store(root: Path) -> Path:
    return create_store(root)


def create_store(root: Path) -> Path:
    folder = root / ".mmsearch"
    Store.create(folder, Manifest("none", SpaceId("none", "0" * 8, 4, "0" * 8)))
    return folder


def planned(path: Path, uid: int) -> PlannedFile:
    data = path.read_bytes()
    return PlannedFile(
        f"shop/{printable_path(path.name)}",
        uid,
        printable_path(path),
        len(data),
        content_hash(path),
    )


def entry(root: Path, copy: Path, kept: Path, uid: int = 7, tier: str = "bytes") -> PlanEntry:
    relative = printable_path(copy.relative_to(root / "shop"))
    return PlanEntry(
        *("g", tier, "equal", printable_path(root / "shop"), relative),
        remove=planned(copy, uid),
        keep=planned(kept, uid + 100),
        relation="exact" if tier == "bytes" else "same image",
    )


def entries(root: Path) -> list[PlanEntry]:
    shop = root / "shop"
    return [entry(root, shop / "sub" / n, shop / "kept" / n, i) for i, n in enumerate(NAMES)]


def snapshot(root: Path) -> Snapshot:
    """Name, content, mode and mtime of every file below the root; links are not followed."""
    found = {}
    for path in (root / "shop").rglob("*"):
        if path.is_symlink() or path.is_file():
            status = path.lstat()
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            found[os.fsencode(path)] = (content, status.st_mode, status.st_mtime_ns)
    return found


@pytest.mark.parametrize("action", ["hide", "move", "hardlink", "symlink", "trash"])
def test_apply_then_undo_leaves_everything_as_it_was(
    root: Path, store: Path, action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(root / "data"))
    before = snapshot(root)
    write_plan(entries(root), root / "plan.jsonl")
    outcome = apply_plan(store, read_plan(root / "plan.jsonl"), action, to=root / "aside")
    assert outcome.skipped == ()
    assert len(outcome.done) == len(NAMES)
    gone = [name for name in NAMES if not os.path.lexists(root / "shop" / "sub" / name)]
    assert gone == (list(NAMES) if action in ("move", "trash") else [])
    assert all((root / "shop" / "kept" / name).is_file() for name in NAMES)
    if action == "hide":
        assert read_hidden(store) == set(range(len(NAMES)))
    if action == "trash":
        assert len(list((root / "data" / "Trash" / "info").iterdir())) == len(NAMES)
    undone = undo_last(store)
    assert undone.skipped == ()
    assert snapshot(root) == before
    assert read_hidden(store) == set()
    with pytest.raises(NotFound, match="nothing to undo"):
        undo_last(store)


def change(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"pictured!")


def replace_by_symlink(path: Path) -> None:
    elsewhere = path.parent.parent.parent / "elsewhere.png"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def swap_folder(path: Path) -> None:
    outside = path.parent.parent.parent / "outside"
    shutil.move(path.parent, outside)
    path.parent.symlink_to(outside)


@pytest.mark.parametrize(
    ("tamper", "which", "reason"),
    [
        (change, "sub", "the copy has changed"),
        (change, "kept", "the one to keep has changed"),
        (Path.unlink, "kept", "the one to keep is gone"),
        (replace_by_symlink, "sub", "the copy is a symbolic link"),
        (replace_by_symlink, "kept", "the one to keep is a symbolic link"),
        (swap_folder, "sub", "the copy lies outside its source's folder"),
    ],
)
def test_what_is_no_longer_as_planned_is_left_alone(
    root: Path, store: Path, tamper: Callable[[Path], None], which: str, reason: str
) -> None:
    plan = entries(root)[:1]
    tamper(root / "shop" / which / NAMES[0])
    before = snapshot(root)
    outcome = apply_plan(store, plan, "move", to=root / "aside")
    assert outcome.done == ()
    assert outcome.skipped[0][1].startswith(reason)
    assert snapshot(root) == before


def test_two_names_of_one_folder_never_cost_the_last_copy(root: Path, store: Path) -> None:
    (root / "shop" / "alias").symlink_to(root / "shop" / "kept")
    alias = root / "shop" / "alias" / NAMES[1]
    plan = [entry(root, alias, root / "shop" / "kept" / NAMES[1])]
    outcome = apply_plan(store, plan, "move", to=root / "aside")
    assert outcome.skipped[0][1] == "both names lead to one file"
    assert alias.exists()


def test_links_are_for_equal_bytes_only_and_references_are_never_touched(
    root: Path, store: Path
) -> None:
    shop = root / "shop"
    edited = [entry(root, shop / "sub" / NAMES[1], shop / "kept" / NAMES[2], tier="edited")]
    links: tuple[Action, ...] = ("hardlink", "symlink")
    for action in links:
        assert "would lose it" in apply_plan(store, edited, action).skipped[0][1]
    outcome = apply_plan(store, entries(root), "move", to=root / "x", references=[shop / "sub"])
    assert {reason for _, reason in outcome.skipped} == {"it lies in a reference folder"}


def test_a_camera_raw_photo_never_goes(root: Path, store: Path) -> None:
    """Not even by a plan from before raw photos were recognised."""
    kept = root / "shop" / "kept" / NAMES[1]
    negative = root / "shop" / "sub" / "negative.nef"
    negative.write_bytes(raw_photo(Image.new("RGB", (40, 30), "teal")))
    plan = [entry(root, negative, kept, tier="edited")]
    for action in ACTIONS[:2]:
        outcome = apply_plan(store, plan, action, to=root / "aside")
        assert outcome.done == ()
        assert outcome.skipped[0][1] == "the copy is a camera raw photo (NEF)"
    assert negative.exists()


def test_hardlinks_that_are_there_already_stay(root: Path, store: Path) -> None:
    copy, kept = (root / "shop" / place / NAMES[1] for place in ("sub", "kept"))
    copy.unlink()
    copy.hardlink_to(kept)
    plan = [entry(root, copy, kept)]
    assert apply_plan(store, plan, "hardlink").skipped[0][1] == "they are one file already"
    assert apply_plan(store, plan, "move", to=root / "aside").skipped == ()
    assert kept.exists()


def test_a_plan_that_keeps_what_it_removes_is_refused(root: Path) -> None:
    shop = root / "shop"
    one, two = shop / "kept" / NAMES[1], shop / "sub" / NAMES[1]
    write_plan([entry(root, one, two), entry(root, two, one)], root / "plan.jsonl")
    with pytest.raises(InputError, match="would keep and remove"):
        read_plan(root / "plan.jsonl")
    (root / "plan.jsonl").write_text('{"version": 1, "group": ')
    with pytest.raises(InputError, match="line 1"):
        read_plan(root / "plan.jsonl")


def test_moving_asks_where_to_and_takes_no_name_that_is_taken(root: Path, store: Path) -> None:
    with pytest.raises(InputError, match="with `to`"):
        apply_plan(store, entries(root), "move")
    taken = root / "aside" / "shop" / "sub" / NAMES[0]
    taken.parent.mkdir(parents=True)
    taken.write_text("mine")
    apply_plan(store, entries(root)[:1], "move", to=root / "aside")
    assert taken.read_text() == "mine"
    assert (taken.parent / "plain (2).png").read_bytes() == b"picture 0"


KILLED_MOVING = """
import os, sys
from pathlib import Path
from mmsearch.dedup.actions import apply as acting
from mmsearch.dedup.actions.plan import read_plan
moves, take = 0, acting.move
def move(source, target):
    global moves
    moves += 1
    if moves == 2 and sys.argv[3] == 'before': os.kill(os.getpid(), 9)
    take(source, target)
    if moves == 2: os.kill(os.getpid(), 9)
acting.move = move
folder = Path(sys.argv[1])
plan = read_plan(Path(sys.argv[2]))
acting.apply_plan(folder, plan, sys.argv[4], to=folder.parent / 'aside')
"""


def killed(root: Path, store: Path, when: str, action: Action, script: str = KILLED_MOVING) -> int:
    """Applies a plan in a process killed at its second step; returns how many files are gone."""
    before = snapshot(root)
    write_plan(entries(root), root / "plan.jsonl")
    arguments = (str(store), str(root / "plan.jsonl"), when, action)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True
    )
    assert done.returncode == -9, done.stderr
    return len(before) - len(snapshot(root))


def trashed(root: Path) -> dict[str, int]:
    """Number of files in each part of the trash."""
    return {part: len([*(root / "data" / "Trash" / part).glob("*")]) for part in ("files", "info")}


@pytest.fixture
def trash(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(root / "data"))


@pytest.mark.usefixtures("trash")
@pytest.mark.parametrize("action", ["move", "trash"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_middle_of_a_step_can_be_undone(
    root: Path, store: Path, when: str, action: Action
) -> None:
    before = snapshot(root)
    assert killed(root, store, when, action) == (1 if when == "before" else 2)
    # A truncated last line, as after a power failure.
    with journals(store / "dedup")[-1].open("a") as journal:
        journal.write('{"state": "be')
    assert undo_last(store).skipped == ()
    assert snapshot(root) == before
    assert trashed(root) == {"files": 0, "info": 0}
    with pytest.raises(NotFound, match="nothing to undo"):
        undo_last(store)


@pytest.mark.usefixtures("trash")
@pytest.mark.parametrize("action", ["move", "trash"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_plan_goes_on_after_a_kill_and_all_of_it_is_undone(
    root: Path, store: Path, when: str, action: Action
) -> None:
    before = snapshot(root)
    taken = killed(root, store, when, action)
    outcome = apply_plan(store, read_plan(root / "plan.jsonl"), action, to=root / "aside")
    assert [reason for _, reason in outcome.skipped] == ["the copy is gone"] * taken
    assert len(outcome.done) == len(NAMES) - taken
    assert all(not (root / "shop" / "sub" / name).exists() for name in NAMES)
    if action == "trash":
        assert trashed(root)["files"] == len(NAMES)
    # The second run is undone first, then the one that was killed.
    assert [undo_last(store).skipped for _ in range(2)] == [(), ()]
    assert snapshot(root) == before
    assert trashed(root) == {"files": 0, "info": 0}


@contextmanager
def unprivileged(*folders: Path) -> Iterator[None]:
    """Drops root's privileges, which ignore permissions: nobody then owns the folders."""
    if os.geteuid() != 0:
        yield
        return
    for path in (each for folder in folders for each in (folder, *folder.rglob("*"))):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def leftovers(root: Path) -> list[Path]:
    """Files outside of the source and the store."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in ("shop", ".mmsearch")
    ]


@pytest.mark.parametrize("action", ["move", "hardlink", "symlink", "trash"])
@pytest.mark.parametrize(
    ("mode", "reason"),
    [(0o555, "Permission denied"), (0o000, "the copy cannot be reached (Permission denied)")],
)
def test_files_in_a_folder_that_may_not_be_changed_are_left_alone(
    open_root: Path, action: Action, mode: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(open_root / "data"))
    store, plan = create_store(open_root), entries(open_root)
    # Late imports come from folders that nobody may not read.
    apply_plan(store, plan, "hide")
    undo_last(store)
    before = snapshot(open_root)
    sub = open_root / "shop" / "sub"
    with unprivileged(open_root):
        sub.chmod(mode)
        outcome = apply_plan(store, plan, action, to=open_root / "aside")
        sub.chmod(0o755)
        assert outcome.done == ()
        assert {why for _, why in outcome.skipped} == {reason}
        assert snapshot(open_root) == before
        assert leftovers(open_root) == []
        with pytest.raises(NotFound, match="nothing to undo"):
            undo_last(store)


def test_a_move_to_another_file_system_leaves_no_second_copy(open_root: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == open_root.stat().st_dev:
        pytest.skip("no second file system here")
    store, plan = create_store(open_root), entries(open_root)
    sub = open_root / "shop" / "sub"
    with tempfile.TemporaryDirectory(dir=memory) as aside:
        before = snapshot(open_root)
        assert apply_plan(store, plan, "move", to=Path(aside)).skipped == ()
        assert undo_last(store).skipped == ()
        assert snapshot(open_root) == before
        with unprivileged(open_root, Path(aside)):
            sub.chmod(0o555)
            outcome = apply_plan(store, plan, "move", to=Path(aside))
            sub.chmod(0o755)
            assert {why for _, why in outcome.skipped} == {"Permission denied"}
            assert snapshot(open_root) == before
            assert leftovers(Path(aside)) == []


def test_an_undo_that_may_not_write_can_be_repeated(open_root: Path) -> None:
    store, plan = create_store(open_root), entries(open_root)
    before = snapshot(open_root)
    apply_plan(store, plan, "move", to=open_root / "aside")
    with unprivileged(open_root):
        (open_root / "shop" / "sub").chmod(0o555)
        assert {why for _, why in undo_last(store).skipped} == {"Permission denied"}
        (open_root / "shop" / "sub").chmod(0o755)
        assert undo_last(store).skipped == ()
    assert snapshot(open_root) == before


KILLED_LINKING = """
import os, sys
from pathlib import Path
from mmsearch.dedup.actions import apply as acting
from mmsearch.dedup.actions.plan import read_plan
links, take = 0, acting.link
def link(path, kept, *, symbolic):
    global links
    links += 1
    if links == 2 and sys.argv[3] == 'before': os.kill(os.getpid(), 9)
    take(path, kept, symbolic=symbolic)
    if links == 2: os.kill(os.getpid(), 9)
acting.link = link
acting.apply_plan(Path(sys.argv[1]), read_plan(Path(sys.argv[2])), sys.argv[4])
"""


@pytest.mark.parametrize("action", ["hardlink", "symlink"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_middle_of_linking_can_be_undone(
    root: Path, store: Path, when: str, action: Action
) -> None:
    before = snapshot(root)
    assert killed(root, store, when, action, KILLED_LINKING) == 0
    pairs = [(root / "shop" / "sub" / name, root / "shop" / "kept" / name) for name in NAMES]
    linked = [copy.samefile(kept) for copy, kept in pairs]
    assert linked == [True, when == "after", False, False]
    assert undo_last(store).skipped == ()
    assert snapshot(root) == before


def test_a_damaged_list_of_hidden_rows_is_told(store: Path) -> None:
    (store / "hidden.json").write_text("[1, ")
    with pytest.raises(CorruptIndex, match=r"hidden\.json is damaged"):
        read_hidden(store)


def test_a_plan_of_another_store_is_refused(root: Path, store: Path) -> None:
    require_own(store, [])
    with pytest.raises(InputError, match="does not hold as planned"):
        require_own(store, entries(root))
