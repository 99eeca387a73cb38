"""A store with items of several images and long texts, and the source that they come from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmsearch.config import read_settings
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.devices import choose_device
from mmsearch.indexes import IndexOptions
from mmsearch.ingest.run import Ingest, IngestOptions, LoadedEncoder
from mmsearch.progress import NullProgress
from mmsearch.records import Failure, Floats, ImageFile, IngestReport, Pixels, Record
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest

STORY = " ".join(f"Chapter {number} tells of the {number * 7} red shoes." for number in range(9))


@dataclass
class Shop:
    """A source of the records that a test gives it."""

    root: Path
    records: list[Record] = field(default_factory=list)
    name: str = "shop"
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Record | Failure]:
        return iter(self.records)

    def sells(self, key: str, *images: str, text: str | None = None, **metadata: Any) -> None:
        """Adds an item, replacing one of the same key."""
        self.records = [record for record in self.records if record.key != f"shop/{key}"]
        files = [ImageFile(str(self.root / name), self.root / name) for name in images]
        first = files[0] if files else None
        record = Record(
            f"shop/{key}",
            uri=first.uri if first else "",
            image=first.path if first else None,
            text=text,
            metadata=metadata,
            more_images=tuple(files[1:]),
        )
        self.records.append(record)


class Counted:
    """A real encoder that counts what it encodes."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.images, self.texts = 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_pixels(self, pixels: Pixels) -> Floats:
        self.images += len(pixels)
        return self._encoder.encode_pixels(pixels)

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        self.texts += len(texts)
        return self._encoder.encode_texts(texts)


class Bench:
    """A store, a source with four images, and what the last run did."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self.shop = Shop(folder / "images")
        self.shop.root.mkdir()
        for number in range(1, 5):
            self.draw(number, f"{number}.png")
        self.encoder = Counted(encoder)
        self.settings = read_settings(workers=1, commit_seconds=1e-6)
        self.store = Store.create(folder / "store", Manifest("tiny", encoder.space))

    def draw(self, seed: int, name: str) -> None:
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(self.shop.root / name)

    def index(
        self, *, retry: bool = False, prune: bool = False, dry_run: bool = False
    ) -> IngestReport:
        self.encoder.images = self.encoder.texts = 0
        with self.store.writing():
            ingest = Ingest(
                self.store,
                lambda: LoadedEncoder(self.encoder, choose_device("cpu")),
                self.settings,
                progress=NullProgress(),
                index=IndexOptions(),
            )
            report = ingest.run(
                [self.shop], IngestOptions(retry=retry, prune=prune, dry_run=dry_run)
            )
            self.store.remove_orphaned_parts()
        return report

    def row(self, key: str = "shop/shoe") -> dict[str, Any]:
        rows = self.store.scan(self.store.items.schema.names, f"key = '{key}'").to_pylist()
        assert len(rows) == 1
        return dict(rows[0])

    def parts(self, key: str = "shop/shoe", kind: str = "image") -> list[dict[str, Any]]:
        table = self.store.parts_of([self.row(key)["_uid"]], extra=["_hash", "_vector"])
        return [part for part in table.to_pylist() if part["kind"] == kind]

    def images(self, key: str = "shop/shoe") -> list[tuple[int, str]]:
        return [(part["number"], Path(part["uri"]).name) for part in self.parts(key)]
