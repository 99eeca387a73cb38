"""Images that are not files of their own are kept in the store, named by their content."""

from pathlib import Path

from mmsearch.digests import digest_of_bytes
from mmsearch.files import replaced_file


class PictureFiles:
    """The folder of a store's pictures: `<first two hex digits>/<content hash>.<suffix>`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, content: bytes, suffix: str) -> Path:
        """Writes an image unless it is there, and returns its file. Raises OSError.

        suffix: without a dot, such as 'png'.
        """
        name = digest_of_bytes(content)
        path = self.folder / name[:2] / f"{name}.{suffix}"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replaced_file(path, flush=False) as stream:
                stream.write(content)
        return path
