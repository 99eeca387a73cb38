"""Locations that a user names become sources: with a name, and options that the store remembers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmsearch.config import Settings
from mmsearch.errors import InputError, SourceUnavailable
from mmsearch.records import Failure, Record, printable_path, real_path
from mmsearch.sources import Source, SourceOptions, open_source
from mmsearch.sources.first_rows import require_images
from mmsearch.sources.overlaps import overlap_notes
from mmsearch.sources.picture_files import FOLDER_NAME, PictureFiles
from mmsearch.store.manifest import Manifest, SourceEntry


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """A source that is about to be read: its entry in the manifest, and the source itself."""

    entry: SourceEntry
    source: Source


class UnavailableSource:
    """A source of the store that cannot be opened; reading it raises the reason."""

    def __init__(self, entry: SourceEntry, reason: InputError) -> None:
        self.name, self.root = entry.name, real_path(entry.location)
        self.notes: tuple[str, ...] = ()
        self.error = SourceUnavailable(
            f"{reason}; its items are left as they are; if it is gone for good, run "
            f"`catalog.drop_source('{entry.name}')`"
        )

    def __iter__(self) -> Iterator[Record | Failure]:
        raise self.error


def plan_sources(
    locations: Sequence[Path | str],
    manifest: Manifest | None,
    options: SourceOptions | None,
    settings: Settings,
    *,
    purpose: str = "index",
    skip_unavailable: bool = False,
    pictures: PictureFiles | None = None,
    changes: Mapping[str, Any] | None = None,
) -> list[SourcePlan]:
    """Opens the sources at `locations`, or every source of the store if there are none.

    options: how to read them; None: as the store remembers. purpose: verb of the error message.
    skip_unavailable: plan an UnavailableSource where a source that the store knows cannot be
    opened, unless there is no other. pictures: keeps images that are no files; None: in a temporary
    folder. changes: fields of the options, of each of these sources. Raises InputError.
    """
    known = manifest.sources if manifest else ()
    if not locations and not known:
        raise InputError(f"nothing to {purpose}; name a folder or a table")
    plans: list[SourcePlan] = []
    for entry in _entries(locations, known, options) if locations else known:
        source: Source
        entry = replace(entry, options={**entry.options, **(changes or {})})
        try:
            source = _open(real_path(entry.location), entry, settings, pictures)
            if purpose == "index":
                require_images(source)
        except InputError as error:
            if not skip_unavailable or entry.name not in {each.name for each in known}:
                raise
            source = UnavailableSource(entry, error)
        plans.append(SourcePlan(entry, source))
    unavailable = [plan.source for plan in plans if isinstance(plan.source, UnavailableSource)]
    if len(unavailable) == len(plans):
        raise unavailable[0].error
    return plans


def _entries(
    locations: Sequence[Path | str],
    known: Sequence[SourceEntry],
    options: SourceOptions | None,
) -> list[SourceEntry]:
    """Returns the store's entry of each location, or a new one; with the options, if any."""
    entries: list[SourceEntry] = []
    for location in locations:
        place = Path(location).absolute()
        entry = next((each for each in known if each.location == printable_path(place)), None)
        if entry is None:
            name = unused_name(place, [each.name for each in (*known, *entries)])
            entry = SourceEntry(name, printable_path(place), kept_options(SourceOptions()))
        if options is not None:
            entry = replace(entry, options=kept_options(options))
        entries.append(entry)
    return entries


def new_locations(locations: Sequence[Path | str], manifest: Manifest) -> list[Path]:
    """Returns those locations that are not a source of the store yet."""
    known = {entry.location for entry in manifest.sources}
    places = [Path(location) for location in locations]
    return [place for place in places if printable_path(place.absolute()) not in known]


def source_notes(plans: Sequence[SourcePlan]) -> list[str]:
    """What was recognised in each source, and what its last iteration skipped."""
    return [f"{plan.entry.name}: {note}" for plan in plans for note in plan.source.notes]


def overlaps(plans: Sequence[SourcePlan], manifest: Manifest | None) -> Iterator[str]:
    """A note for each of these sources that shares files with another one of the store."""
    known = [*(manifest.sources if manifest else ()), *(plan.entry for plan in plans)]
    folders = {entry.name: real_path(entry.location) for entry in known}
    return overlap_notes(folders, {plan.entry.name for plan in plans})


def store_pictures(root: Path, *, read_only: bool = False) -> PictureFiles:
    """Returns where a store keeps images that are no files, such as bytes in tables.

    read_only: new ones are written to a temporary folder.
    """
    return PictureFiles(root / FOLDER_NAME, read_only=read_only)


def _open(
    place: Path, entry: SourceEntry, settings: Settings, pictures: PictureFiles | None
) -> Source:
    options = replace(restored_options(entry.options), max_text_bytes=settings.max_text_bytes)
    return open_source(place, name=entry.name, options=options, pictures=pictures)


def unused_name(place: Path, taken: Sequence[str]) -> str:
    """Returns a source's name from its file or folder name: 'catalog', then 'catalog-2'."""
    base = printable_path(place.stem if place.is_file() else place.name).replace("/", "-") or "root"
    names = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def kept_options(options: SourceOptions) -> dict[str, Any]:
    """The options as the manifest keeps them: bounds are settings of the run, not of the source."""
    kept = {name: value for name, value in asdict(options).items() if name != "max_text_bytes"}
    if options.image_root is not None:
        kept["image_root"] = printable_path(real_path(options.image_root).absolute())
    return kept


def restored_options(kept: Mapping[str, Any]) -> SourceOptions:
    """Returns the options that `kept_options` gave."""
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in kept.items()}
    return SourceOptions(**values)
