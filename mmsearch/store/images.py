"""Where the image files of rows and parts are."""

from pathlib import Path

from mmsearch.records import real_path
from mmsearch.store.spaces import root_of

# Images that are no files of their own, such as bytes in a table, are kept here by their content.
PICTURES = "pictures"


def stored_image(folder: Path, uri: str, content_hash: str) -> Path:
    """Returns the path of an image: the file that `uri` names, or the store's own copy of it.

    folder: of the store, or of one of its spaces. content_hash: of the file.
    """
    path = real_path(uri)
    if not path.exists():
        kept = root_of(folder) / PICTURES / content_hash[:2]
        path = next(iter(kept.glob(f"{content_hash}.*")), path)
    return path
