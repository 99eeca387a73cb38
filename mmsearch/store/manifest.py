"""The store's manifest: which space its vectors lie in, where they came from, what was last done.

A small JSON file, replaced whole by rename, so that a reader sees the old one or the new one.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mmsearch.errors import CorruptIndex, StoreNotFound
from mmsearch.files import write_atomically
from mmsearch.records import FusionWish, SpaceId

FORMAT = 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A catalog that was indexed: its name (the first part of its keys), place and options."""

    name: str
    location: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """model: what to load the encoder by. next_uid: uids below it are taken for ever.

    fusion: what makes products, 'auto' for what the model brings; image_weight: the image's share
    in late fusion, None where nobody has said.
    index, recall, memory: the kind, recall@10 and bytes asked for; 0 bytes: half of the machine's.
    running: what an index run noted at its start; None once it ended.
    """

    model: str
    space: SpaceId
    image_weight: float | None = None
    fusion: FusionWish = "auto"
    index: str = "auto"
    recall: float = 0.95
    memory: int = 0
    sources: tuple[SourceEntry, ...] = ()
    next_uid: int = 0
    running: dict[str, Any] | None = None
    last_run: dict[str, Any] | None = None

    def with_source(self, entry: SourceEntry) -> "Manifest":
        others = tuple(source for source in self.sources if source.name != entry.name)
        return replace(self, sources=(*others, entry))


def write_manifest(manifest: Manifest, folder: Path) -> None:
    content = {"format": FORMAT, **asdict(manifest)}
    write_atomically(folder / FILE_NAME, json.dumps(content, indent=2, ensure_ascii=False))


def read_manifest(folder: Path) -> Manifest:
    """Raises StoreNotFound without a manifest, CorruptIndex for one that cannot be used."""
    path = folder / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
        if version != FORMAT:
            raise CorruptIndex(
                f"{path} has format {version}, this mmsearch reads format {FORMAT}; "
                "install the version that wrote it, or index into another folder with --store"
            )
        content["space"] = SpaceId(**content["space"])
        content["sources"] = tuple(SourceEntry(**entry) for entry in content["sources"])
        return Manifest(**content)
    except FileNotFoundError:
        raise StoreNotFound(
            f"no store in {folder}; run 'mmsearch index FOLDER' to create one, "
            "or name one with --store"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, CorruptIndex):
            raise
        raise CorruptIndex(
            f"{path} is damaged ({error}); restore it from a copy, or move {folder} away "
            "and index again"
        ) from error
