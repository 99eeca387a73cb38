"""Keeps images that are no files of their own, such as bytes in Parquet, as files in the store."""

import tempfile
from pathlib import Path

from mmsearch.digests import digest_of_bytes
from mmsearch.files import replaced_file

FOLDER_NAME = "pictures"


class PictureFiles:
    """A folder of files named by their content, which is created when the first one is added.

    Its files are `<first two digits>/<digest>.<suffix>`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """folder: None for a temporary one, which is deleted with this object."""
        self._folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def add(self, content: bytes, suffix: str) -> Path:
        """Writes a file atomically, unless it is there; returns its path. Raises OSError.

        suffix: without a dot, such as 'png'.
        """
        digest = digest_of_bytes(content)
        path = self._require_folder() / digest[:2] / f"{digest}.{suffix}"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # It can be read from its source again, so it need not survive a power failure.
            with replaced_file(path, flush=False) as stream:
                stream.write(content)
        return path

    def _require_folder(self) -> Path:
        if self._folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="mmsearch-")
            self._folder = Path(self._temporary.name)
        return self._folder
