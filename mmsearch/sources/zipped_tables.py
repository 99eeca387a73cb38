"""A table and its images in a zip archive."""

import tempfile
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.records import printable_path
from mmsearch.sources.file_trees import ZipMembers
from mmsearch.sources.picture_files import PictureFiles
from mmsearch.sources.table_files import is_table

SUFFIX = ".zip"


class ZippedTable:
    """The one table in a zip archive, unpacked to a temporary file.

    members: of the archive. place: the table's path with that of the archive as a folder.
    unpacked: the temporary file, which is deleted with this object.
    """

    def __init__(self, path: Path, pictures: PictureFiles) -> None:
        """pictures: where images are kept. Raises InputError unless there is one table in it."""
        self.members = ZipMembers(path.absolute(), pictures)
        tables = [Path(file) for file in self.members.files() if is_table(Path(file))]
        if len(tables) != 1:
            found = ", ".join(printable_path(table.name) for table in tables[:5]) or "none"
            raise InputError(
                f"{printable_path(path)} should hold one table with its pictures, it holds "
                f"{found}; unpack it and index the folder"
            )
        self.place = tables[0]
        self._folder = tempfile.TemporaryDirectory(prefix="mmsearch-")
        self.unpacked = Path(self._folder.name, self.place.name)
        self.members.copy_to(str(self.place), self.unpacked)
