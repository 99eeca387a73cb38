"""The interface of encoders: images and texts in, unit vectors of one shared space out."""

from collections.abc import Sequence
from typing import Protocol

from PIL.Image import Image

from mmsearch.media import Preprocessing
from mmsearch.records import Floats, Ids, Pixels, SpaceId


class TextEncoder(Protocol):
    """A text tower: all that a search by text needs."""

    @property
    def space(self) -> SpaceId:
        """The embedding space of its vectors."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """Embeds texts → float32 (n, dim), unit rows; texts beyond the context length are cut."""
        ...

    @property
    def context(self) -> int:
        """The number of tokens that it reads of a text, with special ones."""
        ...

    def text_lengths(self, texts: Sequence[str]) -> Ids:
        """Returns the number of tokens of each text, with special ones: int64 (n,)."""
        ...

    def overlong(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts that `encode_texts` cuts."""
        ...

    def unknown(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts of which the model knows no word."""
        ...


class Encoder(TextEncoder, Protocol):
    """A contrastively trained image tower and text tower that share a space."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become its input pixels."""
        ...

    def encode_images(self, images: Sequence[Image]) -> Floats:
        """Embeds RGB images of any size → float32 (n, dim), unit rows."""
        ...

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """Embeds prepared images, uint8 (n, size, size, 3) → float32 (n, dim), unit rows."""
        ...
