"""Keeps images that are no files of their own, such as bytes in Parquet, as files in the store."""

import atexit
import tempfile
from pathlib import Path

from mmsearch.digests import digest_of_bytes
from mmsearch.files import replaced_file

FOLDER_NAME = "pictures"


class PictureFiles:
    """A folder of files named by their content, which is created when the first one is added.

    Its files are `<first two digits>/<digest>.<suffix>`.
    """

    def __init__(self, folder: Path | None = None, *, read_only: bool = False) -> None:
        """folder: None for a temporary one, which is deleted when the process ends.

        read_only: files that are not in the folder are written to a temporary one.
        """
        self._kept = folder
        self._new = None if read_only else folder

    def add(self, content: bytes, suffix: str) -> Path:
        """Writes a file atomically, unless it is there; returns its path. Raises OSError.

        suffix: without a dot, such as 'png'.
        """
        digest = digest_of_bytes(content)
        name = Path(digest[:2], f"{digest}.{suffix}")
        if self._kept is not None and (self._kept / name).exists():
            return self._kept / name
        path = self._require_folder() / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # It can be read from its source again, so it need not survive a power failure.
            with replaced_file(path, flush=False) as stream:
                stream.write(content)
        return path

    def _require_folder(self) -> Path:
        if self._new is None:
            # Records with its files may outlive the source, so it is not deleted with this object.
            temporary = tempfile.TemporaryDirectory(prefix="mmsearch-")
            atexit.register(temporary.cleanup)
            self._new = Path(temporary.name)
        return self._new
