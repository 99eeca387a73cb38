"""Plans the images of items: which are decoded, and whose vectors are copied.

Each image is compared with those that the item had, by path and file state, then by content with
every image in the store. An image that is added, removed, edited or moved to another place thus
leaves the vectors of the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmsearch.digests import digest_of_text
from mmsearch.errors import InputError
from mmsearch.ingest.known import FileState, KnownImage, KnownRows
from mmsearch.media import content_hash
from mmsearch.records import ImageFile, Part, Record


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """An image of a record.

    content_hash: None if not known yet. known: the image in the store whose vector is copied; None
    where it has to be decoded.
    """

    number: int
    file: ImageFile
    state: FileState
    content_hash: str | None = None
    known: KnownImage | None = None

    @property
    def copied_from(self) -> int | None:
        """The uid of the part or row whose vector is copied; None where it is decoded."""
        return None if self.known is None else self.known.uid


def key_of_image(record: Record, number: int) -> str:
    """Returns the key of a failure: the record's, or that of one of its several images."""
    if not record.more_images:
        return record.key
    return f"{record.key}#{Part('image', number).locator}"


def combined_hash(hashes: Iterable[str]) -> str:
    """Returns the hash of several images, which no single image has."""
    return digest_of_text(" ".join(["images", *sorted(hashes)]))


def find_known(
    file: ImageFile,
    state: FileState,
    candidates: Sequence[KnownImage],
    known: KnownRows,
    *,
    alone: bool,
) -> tuple[str | None, KnownImage | None]:
    """Returns the content hash of an image if it is known, and the image that has its vector.

    candidates: the images that the item had. alone: the item has no other image.
    """
    for image in candidates:
        # Files of one item that were written at once can have equal states.
        if image.state == state and (alone or image.uri == file.uri):
            return image.content_hash, image
    if not known.with_size(state.size):
        return None, None
    try:
        image_hash = content_hash(file.path)
    except InputError:
        return None, None
    same = [image for image in candidates if image.content_hash == image_hash]
    # The one of the same path first, so that equal images of an item keep their places.
    same.sort(key=lambda image: image.uri != file.uri)
    return image_hash, same[0] if same else known.with_content(image_hash)
