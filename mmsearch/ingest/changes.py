"""Compares records with the rows in the store and plans what each needs.

That is nothing, new metadata, a copied vector, or decoding and encoding. Size, mtime and ctime are
compared first (ctime catches an edit that keeps the mtime); a file is hashed only where they
differ, and decoded only where the hash is new.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mmsearch.digests import digest_of_bytes, digest_of_text
from mmsearch.errors import InputError
from mmsearch.ingest.embedded import MetadataOptions, StoredMetadata
from mmsearch.ingest.known import GIVEN, FileState, KnownRow, KnownRows
from mmsearch.media import content_hash
from mmsearch.media.metadata import ImageMetadata, MetadataRequest
from mmsearch.records import Failure, Record, real_path

Change: TypeAlias = Literal["added", "updated", "moved", "restored", "unchanged"]


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be done for one record.

    read: decode and encode the image. image_from, text_from: uid of the row whose vector is copied.
    encode_text: encode the record's text. uid: of the previous row if the vectors stay, else None.
    previous: the row that the record had before, perhaps under another key. embedded: what its
    image says of itself, already part of the record; metadata: that has still to be read.
    """

    record: Record
    change: Change
    state: FileState | None = None
    image_hash: str | None = None
    text_hash: str | None = None
    read: bool = False
    image_from: int | None = None
    encode_text: bool = False
    text_from: int | None = None
    uid: int | None = None
    previous: KnownRow | None = None
    embedded: StoredMetadata | None = None
    metadata: MetadataRequest | None = None

    @property
    def gives_vectors(self) -> bool:
        """Whether any of the record's vectors was made elsewhere."""
        return self.record.image_vector is not None or self.record.text_vector is not None

    @property
    def lacks_metadata(self) -> bool:
        """Whether its image was indexed before its metadata was read, and stays so."""
        return self.image_from is not None and self.embedded is None and self.metadata is None

    @property
    def drops(self) -> int | None:
        """The uid of a row under another key that the new row replaces."""
        if self.change == "moved" and self.uid is None and self.previous is not None:
            return self.previous.uid
        return None


def plan(
    record: Record,
    known: KnownRows,
    *,
    retry: bool,
    metadata: MetadataOptions | None = None,
) -> Work | Failure:
    """Plans what a record needs; returns a Failure if its image cannot be read.

    metadata: what to read of the image's own metadata; None: nothing.
    """
    if record.image_vector is not None:
        # Its vector is given, so the image itself is neither read nor compared.
        record = replace(record, image=None)
    previous = known.find(record.key)
    state: FileState | None = None
    problem: str | None = None
    if record.image is not None:
        try:
            state = FileState.of(record.image)
            problem = None if retry else known.failed_before(record.key, state)
        except OSError as error:
            problem = f"cannot be read ({error.strerror}); check that it is still there"
    if problem is not None:
        return Failure(record.key, record.uri, "decode", problem)
    return _plan_readable(record, state, previous, known, metadata=metadata)


def text_only(record: Record, known: KnownRows) -> Work:
    """Plans a record by its text alone, since its image cannot be read."""
    return _plan_readable(record, None, known.find(record.key), known)


def _plan_readable(
    record: Record,
    state: FileState | None,
    previous: KnownRow | None,
    known: KnownRows,
    *,
    metadata: MetadataOptions | None = None,
) -> Work:
    image_hash, image_owner = _find_image(record, state, previous, known)
    request, embedded = None, None
    if metadata is not None and state is not None:
        held = image_owner.embedded if image_owner else None
        request, embedded = metadata.needed(record, held, decoded=image_owner is None)
    if embedded is not None:
        record = embedded.applied_to(record)
    text_hash = digest_of_text(record.text) if record.text else None
    source = image_owner or previous
    is_document = record.image is None and record.image_vector is None and record.uri
    if source is None and is_document and text_hash:
        source = known.document(text_hash)
    moved = _moved_from(record, previous, source, known)
    base = previous or moved
    text_from = _text_from(base, text_hash)
    work = Work(
        record=record,
        change=_change(record, previous, moved),
        state=state,
        image_hash=image_hash,
        text_hash=text_hash,
        read=record.image is not None and state is not None and image_owner is None,
        image_from=image_owner.uid if image_owner else None,
        encode_text=text_hash is not None and text_from is None and record.text_vector is None,
        text_from=text_from,
        previous=base,
        embedded=embedded,
        metadata=request,
    )
    return _settle(work)


def _text_from(base: KnownRow | None, text_hash: str | None) -> int | None:
    """Returns the uid of the row if its vector is that of this text."""
    if base is None or text_hash is None or base.has_given_vectors:
        return None
    return base.uid if base.text_hash == text_hash else None


def with_metadata(work: Work, metadata: ImageMetadata | None) -> Work:
    """Completes the plan of an image whose metadata has been read, if it was requested."""
    if metadata is None or work.metadata is None:
        return work
    embedded = StoredMetadata.of(metadata, work.metadata)
    record = embedded.applied_to(work.record)
    text_hash = digest_of_text(record.text) if record.text else None
    text_from = _text_from(work.previous, text_hash)
    return _settle(
        replace(
            work,
            record=record,
            text_hash=text_hash,
            encode_text=text_hash is not None and text_from is None,
            text_from=text_from,
            embedded=embedded,
            metadata=None,
        )
    )


def _find_image(
    record: Record, state: FileState | None, previous: KnownRow | None, known: KnownRows
) -> tuple[str | None, KnownRow | None]:
    """Returns the hash of the image if it is known already, and the row that has its vector."""
    if record.image is None or state is None:
        return None, None
    if previous and previous.image_hash and previous.state == state:
        return previous.image_hash, previous
    if not known.with_size(state.size):
        return None, None
    try:
        image_hash = content_hash(record.image)
    except InputError:
        return None, None
    if previous and previous.image_hash == image_hash:
        return image_hash, previous
    return image_hash, known.with_content(image_hash)


def _moved_from(
    record: Record, previous: KnownRow | None, source: KnownRow | None, known: KnownRows
) -> KnownRow | None:
    """Returns the row that the content had under another key, if that file no longer exists."""
    if previous is not None or source is None or not source.uri or known.taken(source):
        return None
    return None if _may_exist(real_path(source.uri)) else source


def _may_exist(path: Path) -> bool:
    """Whether a file is there, or lies in a folder that cannot be read."""
    try:
        return path.exists()
    except OSError:
        return True


def _change(record: Record, previous: KnownRow | None, moved: KnownRow | None) -> Change:
    if moved is not None:
        return "moved"
    if previous is None:
        return "added"
    return "restored" if previous.missing else "updated"


def _settle(work: Work) -> Work:
    """Keeps the uid where the vectors stay, and detects records that have not changed."""
    base = work.previous
    if base is not None and (work.gives_vectors or base.has_given_vectors):
        # Without hashes of images and texts, vectors stay only where nothing has changed.
        same = row_hash(work.record) == base.row_hash and not work.read
        unchanged = same and work.change == "updated"
        return replace(work, uid=base.uid, change="unchanged") if unchanged else work
    if base is None or work.read or work.encode_text or work.metadata is not None:
        return work
    kept_image = work.image_from == (base.uid if base.image_hash else None)
    kept_text = work.text_from == (base.uid if base.text_hash else None)
    if not (kept_image and kept_text):
        return work
    if base.missing:
        # The live index may have been built without the row, so it counts as new there.
        return work
    same_row = (
        row_hash(work.record) == base.row_hash
        and work.state == base.state
        and work.embedded == base.embedded
    )
    change: Change = "unchanged" if same_row and work.change == "updated" else work.change
    return replace(work, uid=base.uid, change=change)


def row_hash(record: Record) -> str:
    """Returns a hash of key, path, text, metadata and given vectors, not of the image's content."""
    digest = digest_of_text(
        repr((record.key, record.uri, record.text, sorted(_plain(record.metadata))))
    )
    given = [each for each in (record.image_vector, record.text_vector) if each is not None]
    if not given:
        return digest
    content = b"".join(each.tobytes() for each in given)
    return f"{GIVEN}{digest_of_bytes(digest.encode() + content)}"


def _plain(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    # 4 and 4.0 are equal: a column of integers becomes one of floats when another row needs it.
    return [
        (name, repr(int(value) if isinstance(value, float) and value.is_integer() else value))
        for name, value in metadata.items()
    ]
