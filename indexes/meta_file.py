"""The meta.json of an index, read without FAISS."""

from dataclasses import dataclass
from pathlib import Path

from mmsearch.errors import CorruptIndex
from mmsearch.indexes.base import IndexMeta
from mmsearch.typed_json import parse_json

FORMAT_VERSION = 1
META_FILE = "meta.json"
REBUILD = "run `catalog.index()` to rebuild it from the table"


@dataclass(frozen=True, slots=True)
class _Version:
    format_version: int


def read_meta(folder: Path) -> IndexMeta:
    """Reads meta.json. Raises CorruptIndex where it is missing, damaged or of another version."""
    path = folder / META_FILE
    try:
        content = path.read_bytes()
        version = parse_json(_Version, content, extra="ignore").format_version
        if version == FORMAT_VERSION:
            return parse_json(IndexMeta, content)
    except (OSError, ValueError) as error:
        raise CorruptIndex(f"{path} cannot be read ({error}); {REBUILD}") from error
    raise CorruptIndex(
        f"{path} has format version {version}, this mmsearch reads {FORMAT_VERSION}; {REBUILD}"
    )
