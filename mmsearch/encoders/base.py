"""What every encoder promises: images and texts in, unit rows of one shared space out."""

from collections.abc import Sequence
from typing import Protocol

from PIL.Image import Image

from mmsearch.media import Preprocessing
from mmsearch.records import Floats, Pixels, SpaceId


class TextEncoder(Protocol):
    """The text tower alone: all that a search by words needs."""

    @property
    def space(self) -> SpaceId: ...

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """texts: each cut to the context length if longer → float32 (n, dim), unit rows."""
        ...

    def overlong(self, texts: Sequence[str]) -> list[int]:
        """The positions of the texts that `encode_texts` has to cut."""
        ...


class Encoder(TextEncoder, Protocol):
    """A contrastively trained image tower and text tower that share a space."""

    @property
    def preprocessing(self) -> Preprocessing: ...

    def encode_images(self, images: Sequence[Image]) -> Floats:
        """images: RGB images of any size → float32 (n, dim), unit rows."""
        ...

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """pixels: uint8 (n, size, size, 3), as `media.prepare` makes → float32 (n, dim), unit."""
        ...
