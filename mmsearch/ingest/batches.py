"""Turns a batch of planned work into rows: encodes what is new, fetches vectors that stay."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from mmsearch.encoders.base import Encoder
from mmsearch.ingest.changes import Work, row_hash
from mmsearch.ingest.known import FileState
from mmsearch.media import PreparedImage
from mmsearch.records import Failure, Floats, Record
from mmsearch.store import Store
from mmsearch.store.rows import EMBEDDED, vectors_to_numpy

KEPT_COLUMNS = ["_uid", "width", "height", "format", "_image_vector", "_text_vector"]


@dataclass(frozen=True, slots=True)
class Job:
    """The work on one record, with its image once that has been decoded."""

    work: Work
    image: PreparedImage | None = None

    @property
    def needs_decoding(self) -> bool:
        """Whether its image has not been decoded yet."""
        return self.work.read and self.image is None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The rows of a batch.

    rows: for `Store.write_rows`; a uid of None is assigned there. truncated: how many texts exceed
    the context length.
    """

    rows: list[dict[str, Any]]
    failures: list[Failure]
    truncated: int


class BatchEncoder:
    """Encodes jobs with one call per modality; equal texts are encoded once."""

    def __init__(self, encoder: Encoder, store: Store) -> None:
        self._encoder, self._store = encoder, store

    def encode(self, jobs: Sequence[Job], when: datetime) -> BatchResult:
        """Encodes the jobs' images and texts; a vector that is not finite becomes a Failure."""
        images = self._encode_images(jobs)
        texts, truncated = self._encode_texts(jobs)
        kept = self._fetch_kept(jobs)
        rows, failures = [], []
        for position, job in enumerate(jobs):
            image = images.get(position)
            if image is not None and not np.isfinite(image).all():
                failures.append(_not_finite(job.work.record))
                continue
            rows.append(
                _row(job, image, texts.get(job.work.record.text or ""), kept=kept, when=when)
            )
        return BatchResult(rows, failures, truncated)

    def _encode_images(self, jobs: Sequence[Job]) -> dict[int, Floats]:
        """Returns vectors, float32 (dim,), by position in `jobs`."""
        images = {i: job.image.pixels for i, job in enumerate(jobs) if job.image is not None}
        if not images:
            return {}
        vectors = self._encoder.encode_pixels(np.stack(list(images.values())))
        return dict(zip(images, vectors, strict=True))

    def _encode_texts(self, jobs: Sequence[Job]) -> tuple[dict[str, Floats], int]:
        """Returns vectors, float32 (dim,), by text, and how many texts are truncated."""
        texts = list({job.work.record.text or "": None for job in jobs if job.work.encode_text})
        if not texts:
            return {}, 0
        vectors = self._encoder.encode_texts(texts)
        return dict(zip(texts, vectors, strict=True)), len(self._encoder.overlong(texts))

    def _fetch_kept(self, jobs: Sequence[Job]) -> Mapping[int, Mapping[str, Any]]:
        """Reads vectors, float32 (dim,), and image sizes from the rows they are copied from.

        Returns them by uid.
        """
        table = self._store.rows(_copied_from(jobs), KEPT_COLUMNS)
        vectors = {
            name: vectors_to_numpy(table.column(name).combine_chunks(), self._store.dim)
            for name in ("_image_vector", "_text_vector")
        }
        facts = table.select(["_uid", "width", "height", "format"]).to_pylist()
        return {
            row["_uid"]: {**row, **{name: column[i] for name, column in vectors.items()}}
            for i, row in enumerate(facts)
        }


def without_copies_of_lost_rows(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Returns the jobs; those that copy a vector from a row that is gone encode it instead."""
    uids = _copied_from(jobs)
    if not uids:
        return list(jobs)
    held = {None, *store.rows(uids, ["_uid"]).column("_uid").to_pylist()}
    return [replace(job, work=_without_lost_rows(job.work, held)) for job in jobs]


def _copied_from(jobs: Sequence[Job]) -> list[int]:
    """Returns the uids of the rows that vectors are copied from, ascending."""
    uids = {job.work.image_from for job in jobs} | {job.work.text_from for job in jobs}
    return sorted(uid for uid in uids if uid is not None)


def _without_lost_rows(work: Work, held: Collection[int | None]) -> Work:
    if work.image_from not in held:
        work = replace(work, read=True, image_from=None, uid=None)
    if work.text_from not in held:
        work = replace(work, encode_text=True, text_from=None, uid=None)
    return work


def _row(
    job: Job,
    image: Floats | None,
    text: Floats | None,
    *,
    kept: Mapping[int, Mapping[str, Any]],
    when: datetime,
) -> dict[str, Any]:
    work, decoded = job.work, job.image
    record, state = work.record, work.state
    facts: Mapping[str, Any] = kept[work.image_from] if work.image_from is not None else {}
    if work.image_from is not None:
        image = facts["_image_vector"]
    if record.image_vector is not None:
        image = record.image_vector
    if work.text_from is not None:
        text = kept[work.text_from]["_text_vector"]
    return {
        "_uid": work.uid,
        "key": record.key,
        "source": record.key.split("/", 1)[0],
        "uri": record.uri,
        "text": record.text,
        "width": decoded.width if decoded else facts.get("width"),
        "height": decoded.height if decoded else facts.get("height"),
        "format": decoded.format if decoded else facts.get("format"),
        **FileState.columns(state),
        "_image_hash": decoded.content_hash if decoded else work.image_hash,
        "_text_hash": work.text_hash,
        "_row_hash": row_hash(record),
        "_missing": None,
        "_indexed": when,
        EMBEDDED: work.embedded.to_column() if work.embedded else None,
        "_image_vector": image,
        "_text_vector": _text_vector(work, text),
        "metadata": record.metadata,
    }


def _text_vector(work: Work, encoded: Floats | None) -> Floats | None:
    if work.record.text_vector is not None:
        return work.record.text_vector
    return encoded if work.text_hash else None


def _not_finite(record: Record) -> Failure:
    return Failure(
        record.key,
        record.uri,
        "encode",
        "the encoder gave a vector that is not finite; use another device or model",
    )
