"""The shared types: unit rows at the door, spaces that never mix, paths that survive the trip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.errors import InputError, SpaceMismatch
from mmsearch.records import SpaceId, printable_path, real_path, require_unit_rows

SPACE = SpaceId("builtin", "a" * 32, 4, "b" * 32)


@given(
    st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name and b"/" not in name)
)
def test_any_file_name_comes_back_from_its_printable_form(name: bytes) -> None:
    path = name.decode("utf-8", "surrogateescape")
    if "\\udc" in path:
        return
    printable = printable_path(path)
    printable.encode("utf-8")
    assert str(real_path(printable)).encode("utf-8", "surrogateescape") == str(
        real_path(printable_path(path))
    ).encode("utf-8", "surrogateescape")
    assert printable_path(real_path(printable)) == printable


def test_vectors_must_be_unit_rows() -> None:
    good = np.eye(4, dtype=np.float32)[:2]
    require_unit_rows(good)
    for bad in (good * 2, good * np.float32("nan"), np.zeros_like(good)):
        with pytest.raises(InputError):
            require_unit_rows(bad)


@pytest.mark.parametrize(
    "other",
    [
        SpaceId("builtin", "c" * 32, 4, "b" * 32),
        SpaceId("builtin", "a" * 32, 5, "b" * 32),
        SpaceId("builtin", "a" * 32, 4, "c" * 32),
    ],
)
def test_another_space_is_refused(other: SpaceId) -> None:
    with pytest.raises(SpaceMismatch, match="store holds 4-dim"):
        SPACE.require(other, holder="store")


def test_a_renamed_model_is_the_same_space() -> None:
    SPACE.require(SpaceId("elsewhere", "a" * 32, 4, "b" * 32), holder="store")
