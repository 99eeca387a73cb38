"""The frozen part of a text tower is computed once, and independent of the batch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.encoders.registry import load_encoder
from mmsearch.encoders.text_tower import pool, text_tower
from mmsearch.encoders.tokenize import Tokenizer, Tokens
from mmsearch.finetuning.towers.start_model import StartModel, load_start
from mmsearch.finetuning.towers.text_inputs import Depth, FrozenTextTower, TextEncoder

# Of all lengths, from one word to more than the context holds.
TEXTS = [
    " ".join(["red", "shoe", "of", "leather"][at % 4] for at in range(n)) for n in range(1, 70)
]


@pytest.fixture(scope="module")
def start(tiny_model: Path) -> StartModel:
    return load_start(str(tiny_model), DeviceChoice("cpu", "requested"))


@pytest.fixture(scope="module")
def together(start: StartModel) -> torch.Tensor:
    return FrozenTextTower(start).pooled(TEXTS)


@settings(deadline=None, max_examples=20)
@given(chosen=st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=40))
def test_a_row_does_not_depend_on_the_other_texts(
    chosen: list[int], start: StartModel, together: torch.Tensor
) -> None:
    alone = FrozenTextTower(start).pooled([TEXTS[at] for at in chosen])
    assert torch.equal(alone, together[torch.tensor(chosen)])


def test_short_passes_give_what_the_whole_context_gives(
    start: StartModel, together: torch.Tensor
) -> None:
    with torch.no_grad():
        whole = pool(text_tower(start.model), torch.from_numpy(start.tokenizer(TEXTS).ids))
    torch.testing.assert_close(together, whole, atol=1e-5, rtol=1e-5)


def test_the_vectors_are_the_encoders(start: StartModel, tiny_model: Path) -> None:
    encoder = load_encoder(str(tiny_model), device="cpu")
    np.testing.assert_allclose(
        FrozenTextTower(start).encode(TEXTS), encoder.encode_texts(TEXTS), atol=1e-5
    )


def test_a_locked_and_a_trained_encoder_share_what_is_frozen(
    start: StartModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenized: list[str] = []
    tokenize = Tokenizer.__call__

    def noted(self: Tokenizer, texts: Sequence[str]) -> Tokens:
        tokenized.extend(texts)
        return tokenize(self, texts)

    monkeypatch.setattr(Tokenizer, "__call__", noted)
    frozen = FrozenTextTower(start)
    vectors = frozen.encode(TEXTS)
    depths: tuple[Depth, ...] = ("none", "head")
    for depth in depths:
        side = TextEncoder(start, start.model, depth, frozen)
        torch.testing.assert_close(side.encode(TEXTS), vectors)
    assert tokenized == TEXTS
