"""Compact keypoints of one image, cached next to its fingerprint."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.keypoints.description import DIM
from mmsearch.errors import InputError
from mmsearch.records import Floats, Pixels

_HEADER = struct.Struct("<HHH")
_PLACE_STEPS = 65535
_SIZE_STEPS = 32
_ANGLE_STEPS = 256
_DESCRIPTOR_STEP = 0.75 / 127
_BYTES_EACH = 4 + 1 + 1 + DIM


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Quantised keypoints of one image, at most 20 kB.

    width, height: of the working image in pixels; only their ratio matters to a match.
    places: uint16 (k, 2), x and y, 0 to 65535 from the left and top edge to the right and bottom.
    sizes: uint8 (k,), log2 of the scale in steps of 1/32 octave.
    angles: uint8 (k,), dominant gradient direction in steps of 1/256 turn, x towards y.
    descriptors: int8 (k, DIM).
    """

    width: int
    height: int
    places: NDArray[np.uint16]
    sizes: Pixels
    angles: Pixels
    descriptors: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def quantised(
        cls,
        shape: tuple[int, int],
        *,
        places: Floats,
        octaves: Floats,
        angles: Floats,
        rows: Floats,
    ) -> "Keypoints":
        """Quantises keypoints.

        places: float32 (k, 2), 0 to 1.
        octaves: float32 (k,).
        angles: float32 (k,), radians.
        rows: float32 (k, DIM), unit descriptors.
        """
        turns = np.rint(angles * (_ANGLE_STEPS / (2 * np.pi))).astype(np.int64) % _ANGLE_STEPS
        return cls(
            *shape,
            np.rint(np.clip(places, 0, 1) * _PLACE_STEPS).astype(np.uint16),
            np.rint(np.clip(octaves * _SIZE_STEPS, 0, 255)).astype(np.uint8),
            turns.astype(np.uint8),
            np.rint(np.clip(rows / _DESCRIPTOR_STEP, -127, 127)).astype(np.int8),
        )

    @property
    def half_extent(self) -> Floats:
        """Half the width and height, in half sides of a square of the same area, float32 (2,)."""
        ratio = (self.width / self.height) ** 0.5
        return np.array([ratio, 1 / ratio], np.float32)

    @property
    def points(self) -> NDArray[np.complex64]:
        """Positions x + iy from the centre, in units of `half_extent`, complex64 (k,)."""
        centred = (self.places * np.float32(2 / _PLACE_STEPS) - 1) * self.half_extent
        return np.ascontiguousarray(centred, np.float32).view(np.complex64)[:, 0]

    @property
    def frames(self) -> NDArray[np.complex64]:
        """Scale times e to the i angle, complex64 (k,)."""
        angles = self.angles * np.float32(2 * np.pi / _ANGLE_STEPS)
        frames: NDArray[np.complex64] = np.exp2(self.sizes / np.float32(_SIZE_STEPS)) * np.exp(
            1j * angles
        ).astype(np.complex64)
        return frames

    def to_bytes(self) -> bytes:
        """Serialises the keypoints."""
        arrays = (self.places.astype("<u2"), self.sizes, self.angles, self.descriptors)
        header = _HEADER.pack(len(self), self.width, self.height)
        return header + b"".join(array.tobytes() for array in arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Keypoints":
        """Reads the output of `to_bytes`. Raises InputError if it is damaged."""
        count, width, height = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else (0, 0, 0)
        if not width or not height or len(data) != _HEADER.size + count * _BYTES_EACH:
            raise InputError(
                f"{len(data)} bytes hold no keypoints; delete the cached fingerprints to have"
                " them computed again"
            )
        body = np.frombuffer(data, np.uint8, offset=_HEADER.size)
        places, sizes, angles, rows = np.split(body, np.cumsum([4 * count, count, count]))
        return cls(
            width,
            height,
            places.view("<u2").reshape(count, 2),
            sizes,
            angles,
            rows.view(np.int8).reshape(count, DIM),
        )
