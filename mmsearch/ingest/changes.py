"""Compares records with the rows in the store and plans what each needs.

That is nothing, new metadata, a copied vector, or decoding and encoding. Size, mtime and ctime are
compared first (ctime catches an edit that keeps the mtime); a file is hashed only where they
differ, and decoded only where the hash is new.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mmsearch.digests import digest_of_text
from mmsearch.ingest.embedded import MetadataOptions, StoredMetadata
from mmsearch.ingest.item_images import PlannedImage, find_known, key_of_image
from mmsearch.ingest.known import FileState, KnownRow, KnownRows
from mmsearch.media.metadata import MetadataRequest
from mmsearch.records import Failure, Record, real_path

Change: TypeAlias = Literal["added", "updated", "moved", "restored", "unchanged"]


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be done for one record.

    images: those that can be read, each decoded or copied. text_from: uid of the row whose text
    vector and passages are copied. encode_text: encode the record's text. uid: of the previous row
    if the vectors stay, else None. previous: the row that the record had before, perhaps under
    another key. renumbered: of several images the order, paths or file states changed. embedded:
    what the first image says of itself, already part of the record; metadata: that has still to be
    read.
    """

    record: Record
    change: Change
    images: tuple[PlannedImage, ...] = ()
    text_hash: str | None = None
    encode_text: bool = False
    text_from: int | None = None
    uid: int | None = None
    previous: KnownRow | None = None
    renumbered: bool = False
    embedded: StoredMetadata | None = None
    metadata: MetadataRequest | None = None

    @property
    def lacks_metadata(self) -> bool:
        """Whether its image was indexed before its metadata was read, and stays so."""
        copied = bool(self.images) and self.images[0].known is not None
        return copied and self.embedded is None and self.metadata is None

    @property
    def several(self) -> bool:
        """Whether its images are parts."""
        return bool(self.record.more_images)

    @property
    def only_image(self) -> PlannedImage | None:
        """The image of an item with one."""
        return self.images[0] if self.images and not self.several else None

    @property
    def state(self) -> FileState | None:
        """The state of the file of an item with one image."""
        return None if self.only_image is None else self.only_image.state

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
) -> tuple[Work | None, list[Failure]]:
    """Plans what a record needs, and reports images that cannot be read.

    There is no work for a record without text whose images all cannot be read. metadata: what to
    read of the first image's own metadata; None: nothing.
    """
    previous = known.find(record.key)
    candidates = known.images_of(previous)
    several = bool(record.more_images)
    planned, failures = [], []
    for number, file in enumerate(record.images, 1):
        key = key_of_image(record, number)
        try:
            state = FileState.of(file.path)
            problem = None if retry else known.failed_before(key, state)
        except OSError as error:
            problem = f"cannot be read ({error.strerror}); check that it is still there"
        if problem is not None:
            failures.append(Failure(key, file.uri, "decode", problem))
            continue
        image_hash, source = find_known(file, state, candidates, known, alone=not several)
        planned.append(PlannedImage(number, file, state, image_hash, source))
    if record.image is not None and not planned and not record.text:
        known.lost(record.key)
        return None, failures
    return _plan_readable(record, planned, previous, known, metadata=metadata), failures


def text_only(record: Record, known: KnownRows) -> Work:
    """Plans a record by its text alone, since its images cannot be read."""
    return _plan_readable(record, [], known.find(record.key), known)


def encoding_text(work: Work) -> Work:
    """Returns the work with its text encoded again, though it has not changed."""
    change: Change = "updated" if work.change == "unchanged" else work.change
    return replace(work, change=change, encode_text=True, text_from=None, uid=None)


def without_images(work: Work, numbers: AbstractSet[int]) -> Work:
    """Returns the work without the images of these numbers, which cannot be read."""
    if not numbers:
        return work
    images = tuple(image for image in work.images if image.number not in numbers)
    return replace(work, images=images, uid=None)


def _plan_readable(
    record: Record,
    images: Sequence[PlannedImage],
    previous: KnownRow | None,
    known: KnownRows,
    *,
    metadata: MetadataOptions | None = None,
) -> Work:
    request, embedded = None, None
    if metadata is not None and images:
        first = images[0].known
        owner = None if first is None else known.row(first.item)
        held = None if owner is None else owner.embedded
        request, embedded = metadata.needed(record, held, decoded=first is None)
    if embedded is not None:
        record = embedded.applied_to(record)
    text_hash = digest_of_text(record.text) if record.text else None
    owners = (known.row(image.known.item) for image in images if image.known is not None)
    source = next(owners, None) or previous
    if source is None and record.image is None and record.uri and text_hash:
        source = known.document(text_hash)
    moved = _moved_from(record, previous, source, known)
    base = previous or moved
    text_from = base.uid if base and text_hash and base.text_hash == text_hash else None
    work = Work(
        record=record,
        change=_change(record, previous, moved),
        images=tuple(images),
        text_hash=text_hash,
        encode_text=text_hash is not None and text_from is None,
        text_from=text_from,
        previous=base,
        embedded=embedded,
        metadata=request,
    )
    return _settle(work, known)


def with_metadata(work: Work, embedded: StoredMetadata, known: KnownRows) -> Work:
    """Completes the plan of an image whose metadata has been read."""
    record = embedded.applied_to(work.record)
    text_hash = digest_of_text(record.text) if record.text else None
    base = work.previous
    text_from = base.uid if base and text_hash and base.text_hash == text_hash else None
    completed = replace(
        work,
        record=record,
        text_hash=text_hash,
        encode_text=text_hash is not None and text_from is None,
        text_from=text_from,
        embedded=embedded,
        metadata=None,
    )
    return _settle(completed, known)


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


def _settle(work: Work, known: KnownRows) -> Work:
    """Keeps the uid where the vectors stay, and detects records that have not changed."""
    base = work.previous
    if base is None or work.encode_text or work.metadata is not None:
        return work
    held = known.images_of(base)
    uids = [image.copied_from for image in work.images]
    kept_image = Counter(uids) == Counter(image.uid for image in held)
    if held and work.several != known.has_several(base):
        kept_image = False
    kept_text = work.text_from == (base.uid if base.text_hash else None)
    if not (kept_image and kept_text):
        return work
    if base.missing:
        # The live index may have been built without the row, so it counts as new there.
        return work
    renumbered = work.several and [
        (image.number, image.file.uri, image.state) for image in work.images
    ] != [(image.number, image.uri, image.state) for image in held]
    same_row = row_hash(work.record) == base.row_hash and work.state == base.state
    same_row = same_row and work.embedded == base.embedded
    same = same_row and not renumbered and work.change == "updated"
    change: Change = "unchanged" if same else work.change
    return replace(work, uid=base.uid, change=change, renumbered=renumbered)


def row_hash(record: Record) -> str:
    """Returns a hash of key, path, text and metadata, without the image's content."""
    return digest_of_text(
        repr((record.key, record.uri, record.text, sorted(_plain(record.metadata))))
    )


def _plain(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    # 4 and 4.0 are equal: a column of integers becomes one of floats when another row needs it.
    return [
        (name, repr(int(value) if isinstance(value, float) and value.is_integer() else value))
        for name, value in metadata.items()
    ]


@dataclass(frozen=True, slots=True)
class Decoding:
    """An image to decode for a work, None if it needs none. last: of this work.

    metadata: what to read of the image's metadata, besides its pixels or instead of them.
    """

    work: Work
    image: PlannedImage | None
    last: bool
    metadata: MetadataRequest | None = None


def decodings(works: Iterable[Work]) -> Iterator[Decoding]:
    """Yields what has to be decoded, work by work; a work without such an image once."""
    for work in works:
        read = [
            image
            for image in work.images
            if image.known is None or (work.metadata is not None and image is work.images[0])
        ]
        if not read:
            yield Decoding(work, None, last=True)
        for image in read:
            metadata = work.metadata if image is work.images[0] else None
            yield Decoding(work, image, last=image is read[-1], metadata=metadata)
