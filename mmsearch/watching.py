"""Keeps a store up to date with its sources: what changes on disk is indexed a moment later.

Every update is a run of `index` over the sources that changed, with its lock, its ledger and its
treatment of sources that are not there. Changes in folders are reported by the operating system;
tables, and whether a folder was replaced, are looked at every second. Since reports can be lost,
every source is looked at from time to time as well.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import inf
from pathlib import Path
from threading import Event

import watchfiles

from mmsearch.catalog.indexing import IndexRun, index_sources
from mmsearch.catalog.opening import manifest_of
from mmsearch.catalog.resolve import Encoders
from mmsearch.config import Settings
from mmsearch.errors import SourceUnavailable, StoreLocked
from mmsearch.progress import NullProgress
from mmsearch.records import IngestReport, printable_path, real_path
from mmsearch.store.manifest import SourceEntry

TICK_SECONDS = 1.0
# Where files change without a pause, as during a long copy, an update comes after so many delays.
MOST_DELAYS = 10


@dataclass(frozen=True, slots=True)
class Update:
    """A run of `index` that a change led to. sources: their names, () for all of the store."""

    sources: tuple[str, ...]
    report: IngestReport


class Watcher:
    """Watches the sources of a store until it is stopped; the model stays loaded.

    on_note: receives lines that the user should read.
    """

    def __init__(self, root: Path, settings: Settings, on_note: Callable[[str], None]) -> None:
        self._root, self._settings, self._on_note = root.absolute(), settings, on_note
        self._progress = _NewNotes(on_note)
        self._encoders = Encoders(settings)
        self._problem = ""
        self._stopped = Event()
        self._polling = False

    def stop(self) -> None:
        """Ends `run` after the update that is under way."""
        self._stopped.set()

    def look(self, locations: Sequence[Path | str] = ()) -> Iterator[Update]:
        """Updates the store to these sources once, or to all of its sources.

        Raises InputError, SpaceMismatch, MissingModel.
        """
        update = self._update(locations)
        if isinstance(update, Update):
            yield update

    def run(self, locations: Sequence[Path | str] = ()) -> Iterator[Update]:
        """Updates the store to these sources, or to all of its sources, whenever they change.

        Raises InputError, SpaceMismatch, MissingModel.
        """
        places = {printable_path(Path(location).absolute()) for location in locations}
        if not self._sources() or places - {each.location for each in self._sources()}:
            yield from self.look(locations)
        while not self._stopped.is_set():
            yield from self._watch(
                [each for each in self._sources() if not places or each.location in places]
            )

    def _watch(self, sources: Sequence[SourceEntry]) -> Iterator[Update]:
        """Looks at all of the sources, then at those that change, until it is time for the next.

        The watch begins before the look, and continues during updates, so that nothing is missed.
        """
        delay, began = self._settings.watch_delay, time.monotonic()
        pending = {each.name for each in sources}
        first = last = -inf
        with closing(self._changes(sources)) as changes:
            for name in changes:
                now = time.monotonic()
                if name is not None:
                    first = first if pending else now
                    pending.add(name)
                    last = now
                if pending and (now - last >= delay or now - first >= MOST_DELAYS * delay):
                    changed = [each for each in sources if each.name in pending]
                    update = self._update(
                        [real_path(each.location) for each in changed],
                        tuple(each.name for each in changed),
                    )
                    if isinstance(update, StoreLocked):
                        first = last = time.monotonic()
                    else:
                        pending = set()
                    if isinstance(update, Update):
                        yield update
                if now - began >= self._settings.watch_interval or self._stopped.is_set():
                    return

    def _update(
        self, locations: Sequence[Path | str], names: tuple[str, ...] = ()
    ) -> Update | SourceUnavailable | StoreLocked:
        """Runs `index`; returns why it could not, where that may be otherwise later."""
        try:
            report = index_sources(
                self._root,
                locations,
                IndexRun(),
                self._settings,
                progress=self._progress,
                encoders=self._encoders,
            )
        except (SourceUnavailable, StoreLocked) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                self._on_note(self._problem)
            return error
        self._problem = ""
        return Update(names, report)

    def _sources(self) -> tuple[SourceEntry, ...]:
        manifest = manifest_of(self._root)
        return manifest.sources if manifest else ()

    def _changes(self, sources: Sequence[SourceEntry]) -> Generator[str | None, None, None]:
        """Yields the name of each source that has changed, and None at least every second.

        Ends where a folder has come, gone or been replaced, since it has to be watched again then.
        """
        places = {each.name: real_path(each.location) for each in sources}
        states = {name: _state(place) for name, place in places.items()}
        folders = {name: place.resolve() for name, place in places.items() if place.is_dir()}
        for changed in self._reported(list(folders.values())):
            for name, folder in folders.items():
                if any(self._is_watched(path, folder) for path in changed):
                    yield name
            for name, place in places.items():
                state = _state(place)
                if state == states[name]:
                    continue
                if name in folders or place.is_dir():
                    return
                states[name] = state
                yield name
            yield None

    def _reported(self, folders: Sequence[Path]) -> Iterator[list[Path]]:
        """Yields the paths that have changed in the folders, every second or sooner."""
        if not folders:
            while not self._stopped.wait(TICK_SECONDS):
                yield []
            return
        try:
            for changes in watchfiles.watch(
                *folders,
                watch_filter=None,
                debounce=100,
                stop_event=self._stopped,
                rust_timeout=int(TICK_SECONDS * 1000),
                yield_on_timeout=True,
                force_polling=self._polling,
                ignore_permission_denied=True,
            ):
                yield [Path(path) for _, path in changes]
        except FileNotFoundError:
            # A folder went in between; it is watched again once it is back.
            self._stopped.wait(TICK_SECONDS)
        except OSError as error:
            if self._polling:
                raise
            self._polling = True
            self._on_note(f"the system reports no changes ({error}); looking for them instead")

    def _is_watched(self, path: Path, folder: Path) -> bool:
        """Whether a path may be a file of the folder: not hidden, and not one of the store."""
        if not path.is_relative_to(folder) or path.is_relative_to(self._root.resolve()):
            return False
        return not any(part.startswith(".") for part in path.relative_to(folder).parts)


class _NewNotes(NullProgress):
    """Passes on each note once, since every run of `index` has the same ones."""

    def __init__(self, on_note: Callable[[str], None]) -> None:
        self._on_note, self._seen = on_note, set[str]()

    def note(self, message: str) -> None:
        """Passes a note on that is new."""
        if message not in self._seen:
            self._seen.add(message)
            self._on_note(message)


def _state(place: Path) -> tuple[int, ...] | None:
    """Returns what changes with a table, or when a folder is replaced; None if it is not there."""
    try:
        status = place.stat()
    except OSError:
        return None
    identity = (status.st_dev, status.st_ino)
    return identity if place.is_dir() else (*identity, status.st_size, status.st_mtime_ns)
