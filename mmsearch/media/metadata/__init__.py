"""What image files say about themselves: EXIF, XMP (also in sidecar files) and IPTC-IIM.

Only containers are parsed, no pixels decoded; blocks become one `ImageMetadata`.
"""

from mmsearch.media.metadata.image_metadata import (
    POSITION_COLUMNS,
    ImageMetadata,
    MetadataRequest,
)
from mmsearch.media.metadata.reading import (
    SIDECAR_SUFFIX,
    read_metadata,
    read_metadata_of_file,
    sidecar_of,
)

__all__ = [
    "POSITION_COLUMNS",
    "SIDECAR_SUFFIX",
    "ImageMetadata",
    "MetadataRequest",
    "read_metadata",
    "read_metadata_of_file",
    "sidecar_of",
]
