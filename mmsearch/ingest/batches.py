"""A batch of planned work becomes rows: pictures and texts encoded, kept vectors fetched."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from mmsearch.encoders.base import Encoder
from mmsearch.ingest.changes import Work, row_hash
from mmsearch.media import PreparedImage
from mmsearch.records import Failure, Floats, Record
from mmsearch.store import Store
from mmsearch.store.rows import vectors_to_numpy

KEPT_COLUMNS = ["_uid", "width", "height", "format", "_image_vector", "_text_vector"]


@dataclass(frozen=True, slots=True)
class Job:
    """One record's work, with its picture once that has been read."""

    work: Work
    picture: PreparedImage | None = None

    @property
    def to_be_read(self) -> bool:
        """Whether its image has to be decoded still."""
        return self.work.read and self.picture is None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """rows: for `Store.upsert`, without uids where those are None. truncated: texts cut."""

    rows: list[dict[str, Any]]
    failures: list[Failure]
    truncated: int


class BatchEncoder:
    """Turns jobs into rows with one forward pass per modality; equal texts are encoded once."""

    def __init__(self, encoder: Encoder, store: Store) -> None:
        self._encoder, self._store = encoder, store

    def encode(self, jobs: Sequence[Job], when: datetime) -> BatchResult:
        """Encodes what the jobs have; a vector that is not finite becomes a Failure."""
        images = self._encode_pictures(jobs)
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

    def _encode_pictures(self, jobs: Sequence[Job]) -> dict[int, Floats]:
        read = [(i, job.picture) for i, job in enumerate(jobs) if job.picture is not None]
        if not read:
            return {}
        vectors = self._encoder.encode_pixels(np.stack([picture.pixels for _, picture in read]))
        return {position: vector for (position, _), vector in zip(read, vectors, strict=True)}

    def _encode_texts(self, jobs: Sequence[Job]) -> tuple[dict[str, Floats], int]:
        wanted = {job.work.record.text or "": None for job in jobs if job.work.encode_text}
        if not wanted:
            return {}, 0
        texts = list(wanted)
        vectors = self._encoder.encode_texts(texts)
        return dict(zip(texts, vectors, strict=True)), len(self._encoder.overlong(texts))

    def _fetch_kept(self, jobs: Sequence[Job]) -> Mapping[int, Mapping[str, Any]]:
        """What rows keep of their former selves, by uid: vectors float32 (dim,) and picture facts.

        Raises KeyError later, in `_row`, only if a row vanished under the write lock.
        """
        wanted = {job.work.image_from for job in jobs} | {job.work.text_from for job in jobs}
        uids = sorted(uid for uid in wanted if uid is not None)
        table = self._store.rows(uids, KEPT_COLUMNS)
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
    """Returns the jobs, none of which takes its vector from a row that has been replaced.

    Their images are read again and their texts encoded.
    """
    wanted = {job.work.image_from for job in jobs} | {job.work.text_from for job in jobs}
    uids = sorted(uid for uid in wanted if uid is not None)
    if not uids:
        return list(jobs)
    held = {None, *store.rows(uids, ["_uid"]).column("_uid").to_pylist()}
    return [
        job
        if job.work.image_from in held and job.work.text_from in held
        else replace(job, work=_on_its_own(job.work, held))
        for job in jobs
    ]


def _on_its_own(work: Work, held: Collection[int | None]) -> Work:
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
    work, picture = job.work, job.picture
    record, state = work.record, work.state
    facts: Mapping[str, Any] = kept[work.image_from] if work.image_from is not None else {}
    if work.image_from is not None:
        image = facts["_image_vector"]
    if work.text_from is not None:
        text = kept[work.text_from]["_text_vector"]
    return {
        "_uid": work.uid,
        "key": record.key,
        "source": record.key.split("/", 1)[0],
        "uri": record.uri,
        "text": record.text,
        "width": picture.width if picture else facts.get("width"),
        "height": picture.height if picture else facts.get("height"),
        "format": picture.format if picture else facts.get("format"),
        "_size": state.size if state else None,
        "_mtime": state.mtime if state else None,
        "_ctime": state.ctime if state else None,
        "_image_hash": picture.content_hash if picture else work.image_hash,
        "_text_hash": work.text_hash,
        "_row_hash": row_hash(record),
        "_missing": None,
        "_indexed": when,
        "_image_vector": image,
        "_text_vector": text if work.text_hash else None,
        "metadata": record.metadata,
    }


def _not_finite(record: Record) -> Failure:
    return Failure(
        record.key,
        record.uri,
        "encode",
        "the encoder gave a vector that is not finite; use another device or model",
    )
