"""Turns a batch of planned work into rows: encodes what is new, fetches vectors that stay."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from mmsearch.encoders.base import Encoder
from mmsearch.ingest.changes import Work, row_hash
from mmsearch.ingest.item_images import combined_hash, key_of_image
from mmsearch.ingest.known import FileState
from mmsearch.ingest.text_vectors import EncodedText, encode_texts, mean_vector
from mmsearch.media import PreparedImage
from mmsearch.records import Failure, Floats, Record
from mmsearch.store import Store
from mmsearch.store.rows import EMBEDDED, vectors_to_numpy

_FACTS = ("width", "height", "format")
_KEPT_COLUMNS = ["_uid", *_FACTS, "_image_vector", "_text_vector"]
# The parts of an item's row that a copy of a passage has as well.
_PASSAGE_COLUMNS = ("kind", "number", "text", "start", "end", "_hash", "_vector")
# A text of so many characters counts as another item of a batch: it has some passages.
_CHARACTERS_PER_ITEM = 4_096


@dataclass(frozen=True, slots=True)
class Job:
    """The work on one record, with its images, by number, once they have been decoded."""

    work: Work
    images: Mapping[int, PreparedImage] = field(default_factory=dict)

    @property
    def needs_decoding(self) -> bool:
        """Whether an image has not been decoded yet."""
        return any(
            image.known is None and image.number not in self.images for image in self.work.images
        )

    @property
    def size(self) -> int:
        """The number of images, or of average texts, that it takes as long as."""
        text = self.work.record.text if self.work.encode_text else None
        return max(1, len(self.images)) + len(text or "") // _CHARACTERS_PER_ITEM


def batched(jobs: Iterator[Job], size: int) -> Iterator[list[Job]]:
    """Yields the jobs in batches of about `size` images or texts."""
    batch: list[Job] = []
    filled = 0
    for job in jobs:
        batch.append(job)
        filled += job.size
        if filled >= size:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The rows of a batch.

    rows: for `Store.write_rows`; a uid of None is assigned there. truncated: how many texts have
    more passages than are kept.
    """

    rows: list[dict[str, Any]]
    failures: list[Failure]
    truncated: int


class BatchEncoder:
    """Encodes jobs with one call per modality; equal texts are encoded once.

    max_passages: of a long text.
    """

    def __init__(self, encoder: Encoder, store: Store, *, max_passages: int) -> None:
        self._encoder, self._store, self._max_passages = encoder, store, max_passages

    def encode(self, jobs: Sequence[Job], when: datetime) -> BatchResult:
        """Encodes the jobs' images and texts; a vector that is not finite becomes a Failure."""
        images = self._encode_images(jobs)
        texts = self._encode_texts(jobs)
        kept = self._fetch_kept(jobs)
        passages = self._fetch_passages(jobs)
        rows, failures = [], []
        for position, job in enumerate(jobs):
            record = job.work.record
            found = {number: images[position, number] for number in job.images}
            broken = [number for number, vector in found.items() if not np.isfinite(vector).all()]
            failures += [_not_finite(record, number) for number in broken]
            if len(broken) == max(1, len(job.work.images)):
                continue
            found = {number: each for number, each in found.items() if number not in broken}
            text = texts.get(record.text or "")
            row = _row(job, found, text, kept=kept, when=when)
            if job.work.uid is None:
                row["parts"] += passages.get(job.work.text_from, ())
            rows.append(row)
        truncated = sum(text.cut for text in texts.values())
        return BatchResult(rows, failures, truncated)

    def _encode_images(self, jobs: Sequence[Job]) -> dict[tuple[int, int], Floats]:
        """Returns vectors, float32 (dim,), by position in `jobs` and number of the image."""
        images = {
            (position, number): image.pixels
            for position, job in enumerate(jobs)
            for number, image in job.images.items()
        }
        if not images:
            return {}
        vectors = self._encoder.encode_pixels(np.stack(list(images.values())))
        return dict(zip(images, vectors, strict=True))

    def _encode_texts(self, jobs: Sequence[Job]) -> dict[str, EncodedText]:
        """Returns vectors by text; long texts have one per passage and their mean."""
        encoded = [job.work for job in jobs if job.work.encode_text]
        texts = list({work.record.text or "": None for work in encoded})
        bases = [work.previous.uid for work in encoded if work.previous is not None]
        held = self._store.parts_of(bases, extra=["_hash", "_vector"])
        vectors = vectors_to_numpy(held.column("_vector").combine_chunks(), self._store.dim)
        known = dict(zip(held.column("_hash").to_pylist(), vectors, strict=True))
        return encode_texts(texts, self._encoder, known=known, most=self._max_passages)

    def _fetch_kept(self, jobs: Sequence[Job]) -> Mapping[int, Mapping[str, Any]]:
        """Reads vectors, float32 (dim,), and image sizes from the rows they are copied from.

        Returns them by uid.
        """
        uids = _copied_from(jobs)
        kept: dict[int, Mapping[str, Any]] = {}
        tables = [self._store.rows(uids, _KEPT_COLUMNS)]
        if self._store.has_parts:
            columns = ["_uid", *_FACTS, "_vector"]
            parts = self._store.part_rows(uids, columns)
            tables.append(parts.rename_columns(["_uid", *_FACTS, "_image_vector"]))
        for table in tables:
            vectors = {
                name: vectors_to_numpy(table.column(name).combine_chunks(), self._store.dim)
                for name in ("_image_vector", "_text_vector")
                if name in table.schema.names
            }
            for i, row in enumerate(table.select(["_uid", *_FACTS]).to_pylist()):
                kept[row["_uid"]] = {**row, **{name: each[i] for name, each in vectors.items()}}
        return kept

    def _fetch_passages(self, jobs: Sequence[Job]) -> Mapping[int | None, list[dict[str, Any]]]:
        """Reads the passages that new rows have from others, by the uid of the item's row."""
        uids = {job.work.text_from for job in jobs if job.work.uid is None} - {None}
        table = self._store.parts_of(sorted(uid for uid in uids if uid), extra=["_hash", "_vector"])
        vectors = vectors_to_numpy(table.column("_vector").combine_chunks(), self._store.dim)
        found: dict[int | None, list[dict[str, Any]]] = {}
        for row, vector in zip(table.drop_columns(["_vector"]).to_pylist(), vectors, strict=True):
            if row["kind"] == "passage":
                part = {**row, "_vector": vector}
                found.setdefault(row["item"], []).append(
                    {name: part[name] for name in _PASSAGE_COLUMNS}
                )
        return found


def without_copies_of_lost_rows(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Returns the jobs; those that copy a vector from a row that is gone encode it instead."""
    uids = _copied_from(jobs)
    if not uids:
        return list(jobs)
    held = {None, *store.rows(uids, ["_uid"]).column("_uid").to_pylist()}
    if store.has_parts:
        held |= set(store.part_rows(uids, ["_uid"]).column("_uid").to_pylist())
    return [replace(job, work=_without_lost_rows(job.work, held)) for job in jobs]


def _copied_from(jobs: Sequence[Job]) -> list[int]:
    """Returns the uids of the rows and parts that vectors are copied from, ascending."""
    uids = {job.work.text_from for job in jobs}
    uids |= {image.copied_from for job in jobs for image in job.work.images}
    return sorted(uid for uid in uids if uid is not None)


def _without_lost_rows(work: Work, held: Collection[int | None]) -> Work:
    if work.text_from not in held:
        work = replace(work, encode_text=True, text_from=None, uid=None)
    if any(image.copied_from not in held for image in work.images):
        images = tuple(
            image if image.copied_from in held else replace(image, known=None)
            for image in work.images
        )
        work = replace(work, images=images, uid=None)
    return work


def _row(
    job: Job,
    images: Mapping[int, Floats],
    text: EncodedText | None,
    *,
    kept: Mapping[int, Mapping[str, Any]],
    when: datetime,
) -> dict[str, Any]:
    """Returns the row of a job. images: the vectors of its decoded images, by number."""
    work, record = job.work, job.work.record
    parts = list(_image_parts(job, images, kept))
    first: Mapping[str, Any] = next((part for part in parts if part["number"] == 1), {})
    image: Floats | None = first.get("_vector")
    image_hash: str | None = first.get("_hash")
    if work.several and parts:
        image = mean_vector([part["_vector"] for part in parts])
        image_hash = combined_hash(part["_hash"] for part in parts)
    if not work.several or (work.uid is not None and not work.renumbered):
        parts = []
    passages: Sequence[Mapping[str, Any]] = ()
    if work.text_from is not None:
        text_vector = kept[work.text_from]["_text_vector"]
    elif text is not None and work.encode_text:
        text_vector, passages = text.vector, text.passages
    else:
        text_vector = None
    return {
        "_uid": work.uid,
        "key": record.key,
        "source": record.key.split("/", 1)[0],
        "uri": record.uri,
        "text": record.text,
        **{name: first.get(name) for name in _FACTS},
        **FileState.columns(work.state),
        "_image_hash": image_hash,
        "_text_hash": work.text_hash,
        "_row_hash": row_hash(record),
        "_missing": None,
        "_indexed": when,
        EMBEDDED: work.embedded.to_column() if work.embedded else None,
        "_image_vector": image,
        "_text_vector": text_vector,
        "metadata": record.metadata,
        "parts": [*parts, *passages],
    }


def _image_parts(
    job: Job, images: Mapping[int, Floats], kept: Mapping[int, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yields the images of an item as parts; they keep their uids if the item does."""
    for planned in job.work.images:
        decoded = job.images.get(planned.number)
        source = planned.copied_from
        if source is None and planned.number not in images:
            continue
        yield {
            "_uid": source if job.work.uid is not None else None,
            "kind": "image",
            "number": planned.number,
            "uri": planned.file.uri,
            **(_facts(decoded) if source is None else {n: kept[source][n] for n in _FACTS}),
            **FileState.columns(planned.state),
            "_hash": decoded.content_hash if decoded else planned.content_hash,
            "_vector": images[planned.number] if source is None else kept[source]["_image_vector"],
        }


def _facts(image: PreparedImage | None) -> dict[str, Any]:
    if image is None:
        return dict.fromkeys(_FACTS)
    return {"width": image.width, "height": image.height, "format": image.format}


def _not_finite(record: Record, number: int) -> Failure:
    return Failure(
        key_of_image(record, number),
        record.images[number - 1].uri,
        "encode",
        "the encoder gave a vector that is not finite; use another device or model",
    )
