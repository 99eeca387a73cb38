"""Sources of records: folders of images and texts, and tables that name images."""

from mmsearch.sources.base import Source
from mmsearch.sources.columns import TableColumns
from mmsearch.sources.detect import open_source
from mmsearch.sources.fields import safe_column_name
from mmsearch.sources.folder import FolderSource
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.table import TableSource

__all__ = [
    "FolderSource",
    "Source",
    "SourceOptions",
    "TableColumns",
    "TableSource",
    "open_source",
    "safe_column_name",
]
