"""The store's manifest: its embedding space, its sources, its settings and its last run.

A small JSON file, replaced atomically.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mmsearch.errors import CorruptIndex, StoreNotFound
from mmsearch.files import write_atomically
from mmsearch.records import FusionChoice, SpaceId
from mmsearch.system_errors import refused_by_system
from mmsearch.typed_json import parse_json

# What is written, and the oldest that is read; `migrations` leads from one to the next.
FORMAT, OLDEST_FORMAT = 2, 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class _Version:
    format: int


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A source that was indexed: its name (the first part of its keys), location and options."""

    name: str
    location: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of manifest.json.

    model: the name by which to load the encoder. fusion: how product vectors are computed, 'auto':
    by the model's own fusion; image_weight: the image's weight in late fusion, None if not set.
    index, recall, memory: the requested kind, recall@10 and bytes; 0 bytes: half of the machine's.
    next_uid: uids below it are never assigned again. running: what an index run recorded at its
    start; None once it has ended.
    """

    model: str
    space: SpaceId
    image_weight: float | None = None
    fusion: FusionChoice = "auto"
    index: str = "auto"
    recall: float = 0.95
    memory: int = 0
    sources: tuple[SourceEntry, ...] = ()
    next_uid: int = 0
    running: dict[str, Any] | None = None
    last_run: dict[str, Any] | None = None
    format: int = FORMAT

    def with_source(self, entry: SourceEntry) -> "Manifest":
        """Returns a manifest with this source added or replaced."""
        others = tuple(source for source in self.sources if source.name != entry.name)
        return replace(self, sources=(*others, entry))


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Writes the manifest atomically. Raises OSError."""
    content = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
    write_atomically(folder / FILE_NAME, content)


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest. Raises StoreNotFound if there is none, CorruptIndex if it is unusable."""
    path = folder / FILE_NAME
    try:
        content = path.read_bytes()
        version = parse_json(_Version, content, extra="ignore").format
        if OLDEST_FORMAT <= version <= FORMAT:
            return parse_json(Manifest, content)
    except FileNotFoundError:
        raise StoreNotFound(
            f"no store in {folder}; run `catalog.index(FOLDER)` to create one, or open another "
            "`path`"
        ) from None
    except OSError as error:
        if refused := refused_by_system(error):
            raise refused from error
        raise
    except ValueError as error:
        raise CorruptIndex(
            f"{path} is damaged ({error}); restore it from a copy, or move {folder} away "
            "and index again"
        ) from error
    raise CorruptIndex(
        f"{path} has format {version}, this mmsearch reads formats {OLDEST_FORMAT} to {FORMAT}; "
        "install the version that wrote it, or index into another `path`"
    )
